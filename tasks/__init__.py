"""What datasets mean: declarations, readers, metrics, mixtures and unseen suites."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .catalogue import load, names
    from .task import Skipped, Task

_HOME = {"load": "catalogue", "names": "catalogue", "Task": "task", "Skipped": "task"}

__all__ = ["Skipped", "Task", "load", "names"]


def __getattr__(name: str) -> Any:
    """Imports on first use, so that ``import tasks`` stays cheap."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
