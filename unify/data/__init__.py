"""From tasks to batches: cached features, the mixture's order, and the Lightning data module."""

from .module import MixtureData, TaskFeatures
from .prepare import Preparation, prepare

__all__ = ["MixtureData", "Preparation", "TaskFeatures", "prepare"]
