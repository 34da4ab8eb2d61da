"""Lightning modules that turn a mixture of tasks into gradient steps."""

from __future__ import annotations

from typing import Any

from .maml import MAML
from .metaicl import MetaICL
from .multitask import Multitask
from .optim import Optimization

LEARNERS: dict[str, Any] = {"maml": MAML, "metaicl": MetaICL, "multitask": Multitask}

__all__ = ["LEARNERS", "MAML", "MetaICL", "Multitask", "Optimization"]
