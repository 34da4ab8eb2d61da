"""Several evaluations of one task as one result: over seeds, orders and ways of asking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .results import TaskResult


def mean_of(
    runs: list[TaskResult],
    setting: str,
    seeds: tuple[int, ...],
    said: Sequence[tuple[int, str]] = (),
) -> TaskResult:
    """The mean over seeds, and over orders where there are several, of one task's runs. The
    interval is the mean of theirs: it tells of the rows. So are further metrics. ``notes['seeds']``
    has each seed's value, ``notes['orders']`` each order's."""
    first = runs[0]
    seconds = sum(r.seconds for r in runs)
    notes = dict(first.notes)
    names = {order for _, order in said}
    values: dict[int, list[float]] = {}
    for k, run in enumerate(runs):
        values.setdefault(said[k][0] if said else seeds[k], []).append(run.value)
    if len(values) > 1:
        notes["seeds"] = {str(s): float(np.mean(v)) for s, v in values.items()}
    if len(names) > 1:
        notes["orders"] = {
            f"seed {s}{order}": r.value for (s, order), r in zip(said, runs, strict=True)
        }
    dropped = sum(int(r.notes.get("dropped_demonstrations", 0)) for r in runs)
    if dropped:
        notes["dropped_demonstrations"] = dropped
    if "also" in notes:
        further = [r.notes.get("also", {}) for r in runs]
        notes["also"] = {
            k: float(np.mean([f[k] for f in further]))
            for k in notes["also"] if all(k in f for f in further)
        }  # fmt: skip
    mean = [float(np.mean([getattr(r, k) for r in runs])) for k in ("value", "low", "high")]
    return replace(
        first,
        task=f"{first.task}, {setting}",
        setting=setting,
        value=mean[0],
        low=mean[1],
        high=mean[2],
        seconds=seconds,
        notes=notes,
    )


def mean_over_ways(name: str, results: list[TaskResult]) -> TaskResult:
    """The mean over ways of asking; ``notes['templates']`` has each one's value."""
    if len(results) == 1:
        return results[0]
    setting = f"{results[0].setting}, {len(results)} templates"
    made = mean_of(results, setting, tuple(range(len(results))))
    made.notes.pop("seeds", None)
    made.notes["templates"] = {str(i): r.value for i, r in enumerate(results)}
    return replace(made, task=f"{name}, {setting}")
