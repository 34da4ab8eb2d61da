"""Metrics: per-row sufficient statistics, so that resampling is cheap and exact."""

from ._base import Metric, Summed, bootstrap, macro
from ._table import FOR_KIND, METRICS, metric

__all__ = ["FOR_KIND", "METRICS", "Metric", "Summed", "bootstrap", "macro", "metric"]
