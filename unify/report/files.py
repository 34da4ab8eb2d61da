"""A run folder's report files: written together, read back for tables over several runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from formats.errors import RunError

from .comparison import Comparison
from .data import Report, write_json
from .html import write_comparison_html, write_html

REPORT_JSON, COMPARISON_JSON, PAGE = "report.json", "comparison.json", "report.html"

_FIELDS = ("type", "format", "metric", "value", "low", "high", "rows", "baselines")


def write(report: Report, folder: Path, examples: int = 10) -> None:
    """Writes ``report.json`` and ``report.html`` into ``folder``; both with up to ``examples``
    worked examples per task."""
    write_html(report, folder / PAGE, examples=examples)
    write_json(report, folder / REPORT_JSON, examples=examples > 0)  # last: it says "finished"


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Writes ``comparison.json`` and ``report.html`` into ``folder``."""
    comparison.write_json(folder / COMPARISON_JSON)
    write_comparison_html(comparison, folder / PAGE)


def read_json(path: Path) -> Report:
    """The report that was written to ``path``; its title is the folder's name.

    Raises RunError if the file is missing or is no report.
    """
    from unify.evaluation import TaskResult

    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        unseen, held_out = (
            [_result(TaskResult, task, entry) for task, entry in found.get(kind, {}).items()]
            for kind in ("unseen", "held_out")
        )
        return Report(
            title=path.parent.name,
            unseen=unseen,
            held_out=held_out,
            seen=found["seen"],
            skipped=found["skipped"],
            seconds=found["seconds"],
            losses=[(s, v) for s, v in found["losses"]],
            validation=[(s, v) for s, v in found["validation"]],
            mixture=found["mixture"],
            leaks=found["leaks"],
            allowed_leaks=found["allowed_leaks"],
            contact=found["contact"],
            data_notes=found["data_notes"],
            config=found["config"],
            versions=found["versions"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            "no report that can be read",
            file=str(path),
            got=repr(error),
            fix="run the training or evaluation again",
        ) from None


def _result(make: Any, task: str, entry: dict[str, Any]) -> Any:
    own = (*_FIELDS, "seconds", "examples", "cluster")
    rest = {k: v for k, v in entry.items() if k not in own}
    return make(
        task,
        *(entry[k] for k in _FIELDS),
        entry.get("seconds", 0.0),
        rest,
        entry.get("examples", []),
        cluster=entry.get("cluster", ""),
    )
