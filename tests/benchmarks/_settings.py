"""What a report says of its unseen tasks per setting (0-shot, 16-shot, gradient steps …)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from _bench import train

ZERO = "0-shot"


def means(report: Mapping[str, Any]) -> dict[str, float]:
    """Setting -> mean over the unseen tasks."""
    found: dict[str, list[float]] = {}
    for name, entry in report["unseen"].items():
        _, _, setting = name.partition(", ")
        found.setdefault(setting or ZERO, []).append(entry["value"])
    return {setting: fmean(values) for setting, values in found.items()}


def finished(name: str, overrides: Sequence[str], folder: Path) -> Mapping[str, Any]:
    """The report of run ``name`` in ``folder``, which is trained if it is not there yet."""
    file = folder / "runs" / name / "report.json"
    if file.exists():
        report: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return report
    return train(name, overrides, folder).report
