"""What the verbs share that run several times with ``-m``: the runs, and one table of them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import SHORT, Plain, sweep

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
    keys = [key for key, _, value in (o.partition("=") for o in overrides) if several(value)]
    paths = sorted(folder.glob("*/report.json"), key=lambda p: int(p.parent.name))
    return folder, {label(path.parent, keys): read_json(path) for path in paths}


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


def several(value: str) -> bool:
    """Whether ``value`` is a choice of several: commas within brackets part a list's items."""
    return "," in re.sub(r"[\[{(][^\[\](){}]*[\])}]", "", value)


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
