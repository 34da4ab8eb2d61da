"""Methods by tasks: the mean over seeds with its standard deviation, as in few-shot papers."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from .data import save_json
from .numbers import NONE

METHODS_JSON = "methods.json"


@dataclass(frozen=True)
class Shot:
    """One run: ``value`` of ``task``'s metric; ``trained`` parameters; ``seconds`` of wall time."""

    method: str
    task: str
    shots: int
    seed: int
    metric: str
    value: float
    rows: int
    trained: int
    seconds: float

    @property
    def column(self) -> str:
        return f"{self.task}, {self.shots} per label"


def spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean, and the sample standard deviation (None of one value)."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None


@dataclass(frozen=True)
class Methods:
    """Runs of the few-shot protocol. ``missing`` names what did not finish."""

    runs: Sequence[Shot]
    missing: Sequence[str] = ()

    def methods(self) -> list[str]:
        return list(dict.fromkeys(r.method for r in self.runs))

    def columns(self) -> list[str]:
        return list(dict.fromkeys(r.column for r in self.runs))

    def cell(self, method: str, column: str) -> list[Shot]:
        return [r for r in self.runs if r.method == method and r.column == column]

    def seeds(self, column: str) -> list[int]:
        """All seeds that any method has there."""
        return sorted({r.seed for r in self.runs if r.column == column})

    def uneven(self) -> list[str]:
        """Cells whose seeds or rows differ from the other methods': no fair comparison."""
        found = []
        for column in self.columns():
            rows = {r.rows for r in self.runs if r.column == column}
            for method in self.methods():
                own = self.cell(method, column)
                if sorted(r.seed for r in own) != self.seeds(column) or len(rows) > 1:
                    found.append(f"{method} on {column}: {len(own)} of "
                                 f"{len(self.seeds(column))} seeds")  # fmt: skip
        return found

    def as_json(self) -> dict[str, Any]:
        """Every run, and the mean and deviation of each cell."""
        cells = []
        for method in self.methods():
            for column in self.columns():
                own = self.cell(method, column)
                if own:
                    mean, deviation = spread([r.value for r in own])
                    cells.append({"method": method, "column": column, "mean": mean,
                                  "std": deviation, "seeds": [r.seed for r in own]})  # fmt: skip
        return {
            "runs": [asdict(r) for r in self.runs],
            "cells": cells,
            "missing": list(self.missing),
        }


def of_folder(folder: Path) -> list[Shot] | None:
    """The protocol's result in run ``folder``; None if that is no run of the protocol."""
    import yaml

    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    asked = config.get("protocol") or {}
    if not asked.get("task"):
        return None
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    method = str(asked.get("method") or config["learner"]["name"])
    return [
        Shot(
            method,
            str(asked["task"]),
            int(asked["shots"]),
            int(config["seed"]),
            entry["metric"],
            float(entry["value"]),
            int(entry["rows"]),
            int(facts.get("trained", 0)),
            float(facts["seconds"]),
        )
        for entry in report.get("held_out", {}).values()
    ]


def of_folders(folders: Sequence[Path]) -> Methods | None:
    """The methods table of finished runs, if all of them followed the protocol."""
    found: list[Shot] = []
    missing = []
    for folder in folders:
        if not (folder / "report.json").exists():
            missing.append(str(folder))
            continue
        own = of_folder(folder)
        if own is None:
            return None
        found += own
    return Methods(found, missing) if found else None


def methods_view(methods: Methods) -> Group:
    """The table and what keeps it from being fair."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("method")
    for column in methods.columns():
        metrics = dict.fromkeys(r.metric for r in methods.runs if r.column == column)
        table.add_column(Text(f"{column} ({', '.join(metrics)})"), justify="right", no_wrap=True)
    table.add_column("trained", justify="right", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    best = {c: max(spread([r.value for r in own])[0] for m in methods.methods()
                   if (own := methods.cell(m, c))) for c in methods.columns()}  # fmt: skip
    for method in methods.methods():
        cells = []
        for column in methods.columns():
            own = methods.cell(method, column)
            if not own:
                cells.append(Text(NONE))
                continue
            mean, deviation = spread([r.value for r in own])
            text = f"{100 * mean:.1f}" + ("" if deviation is None else f" ± {100 * deviation:.1f}")
            cells.append(Text(text, "bold" if mean == best[column] else ""))
        own = [r for r in methods.runs if r.method == method]
        seconds = statistics.fmean(r.seconds for r in own)
        table.add_row(Text(method), *cells, f"{max(r.trained for r in own):,}", f"{seconds:.0f}")
    parts: list[RenderableType] = [Padding(table, (1, 0))]
    for column in methods.columns():
        seeds = ", ".join(map(str, methods.seeds(column)))
        rows = max(r.rows for r in methods.runs if r.column == column)
        parts.append(Text(f"{column}: seeds {seeds}; {rows} test rows; mean ± sample std"))
    if methods.uneven():
        parts.append(Text("Not the same seeds or rows: " + "; ".join(methods.uneven())))
    if methods.missing:
        parts.append(Text("Unfinished: " + ", ".join(methods.missing)))
    return Group(*parts)


def write_methods(methods: Methods, folder: Path) -> None:
    """Writes ``methods.json`` into ``folder``."""
    save_json(methods.as_json(), folder / METHODS_JSON)
