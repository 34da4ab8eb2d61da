"""Lightning modules that turn a mixture of tasks into gradient steps."""

from __future__ import annotations

from typing import Any

from .multitask import Multitask
from .optim import Optimization

LEARNERS: dict[str, Any] = {"multitask": Multitask}

__all__ = ["LEARNERS", "Multitask", "Optimization"]
