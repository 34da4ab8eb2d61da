"""What an evaluation finds: one task's score, and averages over tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class TaskResult:
    """One task's score with its 95% bootstrap interval, and what trivial methods reach."""

    task: str
    type: str
    format: str
    metric: str
    value: float
    low: float
    high: float
    rows: int
    baselines: dict[str, float]
    seconds: float
    notes: dict[str, Any] = field(default_factory=dict)
    examples: list[dict[str, Any]] = field(default_factory=list)
    setting: str = ""  # what tells this result from others of the same task: 16-shot, ...
    cluster: str = ""  # of the task

    def as_dict(self) -> dict[str, Any]:
        """The entry of ``report.json``."""
        return {
            "type": self.type,
            "format": self.format,
            "metric": self.metric,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "rows": self.rows,
            "baselines": self.baselines,
            "seconds": round(self.seconds, 2),
            **({"cluster": self.cluster} if self.cluster else {}),
            **self.notes,
        }


def summary(results: Sequence[TaskResult]) -> dict[str, float | None]:
    """Macro average over tasks, and that of the best trivial method per task."""
    if not results:
        return {"value": None, "best_baseline": None}
    return {
        "value": float(np.mean([r.value for r in results])),
        "best_baseline": float(np.mean([max(r.baselines.values()) for r in results])),
    }
