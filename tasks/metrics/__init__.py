"""Metrics: per-row sufficient statistics, so that resampling is cheap and exact."""

from ._base import Mean, Metric, Summed, bootstrap, macro
from ._record import Record, records
from ._table import FOR_KIND, METRICS, for_task, metric

__all__ = [
    "FOR_KIND",
    "METRICS",
    "Mean",
    "Metric",
    "Record",
    "Summed",
    "bootstrap",
    "for_task",
    "macro",
    "metric",
    "records",
]
