"""Lightning modules that turn a mixture of tasks into gradient steps."""

from __future__ import annotations

from typing import Any

from .efl import EFL
from .instruction_tuning import InstructionTuning
from .maml import MAML
from .meta_tuning import MetaTuning
from .metaicl import MetaICL
from .multitask import Multitask
from .optim import Optimization
from .ppt import PPT

LEARNERS: dict[str, Any] = {
    "efl": EFL,
    "instruction_tuning": InstructionTuning,
    "maml": MAML,
    "meta_tuning": MetaTuning,
    "metaicl": MetaICL,
    "multitask": Multitask,
    "ppt": PPT,
}

__all__ = [
    "EFL",
    "LEARNERS",
    "MAML",
    "PPT",
    "InstructionTuning",
    "MetaICL",
    "MetaTuning",
    "Multitask",
    "Optimization",
]
