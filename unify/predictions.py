"""The rows that a finished run predicted: where they lie, and whether two runs' are the same."""

from __future__ import annotations

import re
from glob import escape
from pathlib import Path
from typing import Any

from formats.errors import RunError

from .kept import whole_lines
from .results import TaskResult
from .runs import REPORT

Row = dict[str, Any]
Rows = dict[str, Row]  # id -> row of a predictions file


def predictions(folder: Path) -> dict[str, dict[str, Path]]:
    """Result name as in the report -> its predictions files by seed, order and template, as far as
    there are several (``0, order 1-0, template 1``); ``0`` where there are no seeds."""
    from .report import read_json

    report = read_json(folder / REPORT)
    found = {}
    for r in (*report.unseen, *report.held_out):
        paths = _paths(folder / "predictions", r)
        found[r.task] = {s: p for s, p in sorted(paths.items(), key=_natural) if p.exists()}
    return found


def _paths(inside: Path, r: TaskResult) -> dict[str, Path]:
    task, setting = parted(r.task)
    file = f"{task.replace('/', '_')}.jsonl"
    if not setting:
        return {"0": inside / file}
    # Those of the report alone, not of an earlier evaluation.
    ways = {f", template {n}": inside / f"template {n}" for n in r.notes.get("templates", ())}
    seeds = r.notes.get("seeds")
    found = {}
    for way, place in (ways or {"": inside}).items():
        for one in place.glob(f"{escape(setting)}, seed *"):
            seed = one.name.removeprefix(f"{setting}, seed ")
            if seeds is None or seed.partition(",")[0] in seeds:
                found[seed + way] = one / file
    return found


def _natural(entry: tuple[str, Path]) -> tuple[int, str]:
    """Seeds by their number."""
    seed = entry[0].partition(",")[0]
    return (int(seed) if seed.isdigit() else -1, entry[0])


def parted(result: str) -> tuple[str, str]:
    """A result's task and setting: ``topics, 16-shot, 2 templates`` is of ``topics`` and
    ``16-shot``, in several ways of asking. Task names have no comma and space."""
    task, _, setting = result.partition(", ")
    return task, re.sub(r", \d+ templates$", "", setting)


def read_rows(path: Path) -> Rows:
    """The rows of a predictions file by id. Raises RunError for a torn or a double one."""
    rows, size = whole_lines(path)
    if size != path.stat().st_size:
        raise RunError(
            "a predictions file that ends in the middle",
            file=str(path),
            fix="run the evaluation again under its name; it continues",
        )
    found = {str(row["id"]): row for row in rows}
    if len(found) != len(rows):
        raise RunError(
            "a predictions file has rows twice",
            fix="delete the file and evaluate again",
            file=str(path),
        )
    return found


def same_rows(task: str, a: Rows, b: Rows) -> None:
    """Raises RunError unless both have the same rows with the same gold."""
    shared = a.keys() & b.keys()
    if len(shared) < max(len(a), len(b)):
        raise RunError(
            "the runs were evaluated on different rows",
            task=task,
            got=f"{len(a)} and {len(b)} rows, {len(shared)} of them shared",
            expected="the same rows in both",
            fix="evaluate both with the same suite.limits and seed",
        )
    other = [i for i in a if a[i]["gold"] != b[i]["gold"]]
    if other:
        raise RunError(
            "the runs were evaluated against different gold",
            task=task,
            got=f"{len(other)} of {len(a)} rows",
            row=other[0],
            fix="evaluate both again on the task as it is now",
        )
