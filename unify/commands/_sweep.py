"""What the verbs share that run several times with ``-m``: the runs, and one table of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import SHORT, Plain, several, sweep

if TYPE_CHECKING:
    from ..report import Report

Job = Callable[[Plain, Path], None]


def swept(verb: str, overrides: list[str], job: Job) -> tuple[Path, dict[str, Report]]:
    """Runs ``job`` for every combination; the folder of all runs, and the report of each that
    finished, by the values that make it this run."""
    from ..report import read_json

    given = next((o.partition("=")[2] for o in overrides if o.startswith("name=")), None)
    name = given or datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    if given is None:
        overrides = [*overrides, f"name={name}"]
    sweep(verb, overrides, job)
    folder = Path("runs") / name
    keys = several(overrides)
    paths = sorted(folder.glob("*/report.json"), key=lambda p: int(p.parent.name))
    labels = [label(path.parent, keys) for path in paths]
    return folder, {
        name if labels.count(name) == 1 else f"{name} ({path.parent.name})": read_json(path)
        for name, path in zip(labels, paths, strict=True)
    }


def compared(folder: Path, reports: Mapping[str, Report]) -> int:
    """Shows and writes the runs side by side; the exit status."""
    from ..report import Comparison, show, write_comparison

    if not reports:
        print("no run of the sweep finished", file=sys.stderr)
        return 1
    comparison = Comparison.of(folder.name, reports)
    write_comparison(comparison, folder)
    show(comparison)
    print(f"\nreport: {folder / 'report.html'}")
    return 0


def label(folder: Path, swept: Sequence[str]) -> str:
    """The values of the swept keys, as this run had them."""
    from .. import runs

    config = runs.read_config(folder)
    parts = []
    choices = config.get("choices", {})
    for key in swept:
        value: Any = config
        key = SHORT.get(key, key)
        if key in choices:
            parts.append(str(choices[key]))
            continue
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, dict):
            value = value.get("name") or value.get("architecture")
        parts.append(str(value))
    return ", ".join(parts) or folder.name
