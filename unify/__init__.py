"""How models learn and are used: data path, backbones, learners, evaluation, reports, CLI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .unified import Unified

__all__ = ["Unified", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "Unified":
        from .unified import Unified

        return Unified
    raise AttributeError(f"module 'unify' has no attribute {name!r}")
