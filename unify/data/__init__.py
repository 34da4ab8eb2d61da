"""From tasks to batches: cached features, the mixture's order, and the Lightning data module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .prepare import Preparation, TaskFeatures, prepare

if TYPE_CHECKING:
    from .module import MixtureData

__all__ = ["MixtureData", "Preparation", "TaskFeatures", "prepare"]


def __getattr__(name: str) -> Any:
    """Lightning takes seconds to import: only who trains should wait for it."""
    if name == "MixtureData":
        from .module import MixtureData

        return MixtureData
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
