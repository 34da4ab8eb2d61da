"""`unify tasks --check`: what tasks hold, in a table, and whether it is what they declare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from formats.errors import ConfigError

from ..config import assignments, check_keys
from ..progress import progress
from ..report.numbers import plural

if TYPE_CHECKING:
    from tasks.check import SplitCheck, TaskCheck


def run(arguments: Sequence[str]) -> int:
    """``[<name or pattern> ...] [rows=N]``; returns 1 when a task has a problem."""
    from tasks.check import check
    from tasks.suites import select

    values, patterns = assignments(arguments)
    check_keys(values, ("rows",), "tasks --check")
    rows = _rows(values)
    names = select(patterns or ["*"])
    found = []
    with progress("checking tasks", len(names), "tasks") as advance:
        for name in names:
            advance(0, name)
            found.append(check(name, rows))
            advance(1, name)
    _print(found)
    return 1 if any(task.problems for task in found) else 0


def _rows(values: dict[str, Any]) -> int | None:
    rows = values.get("rows")
    if rows is not None and (type(rows) is not int or rows < 1):
        raise ConfigError("rows is no number of rows", got=rows, expected="a whole number from 1")
    return rows


def _print(found: Sequence[TaskCheck]) -> None:
    import sys

    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from ..report.tables import render

    table = Table(box=None, pad_edge=False)
    for name in ("task", "type", "split"):
        table.add_column(name, no_wrap=True)
    for name in ("rows", "read", "skipped", "mended", "words"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("gold", overflow="fold")
    for task in found:
        for i, split in enumerate(task.splits):
            first = (task.task, task.kind) if i == 0 else ("", "")
            table.add_row(*map(Text, (*first, *_cells(split))))
    parts: list[RenderableType] = [table, Text("")] if table.row_count else []
    parts += [Text(line) for line in (*_notes(found), *_problems(found), _sum(found))]
    if sys.stdout.isatty():
        console = Console(highlight=False, emoji=False)
        for part in parts:
            console.print(part)
    else:
        sys.stdout.write(render(*parts))


def _cells(split: SplitCheck) -> tuple[str, ...]:
    mended = split.skipped.mended.total()
    return (
        split.split,
        f"{split.rows:,}",
        f"{split.read:,}",
        f"{split.skipped.count:,}" if split.skipped.count else "",
        f"{mended:,}" if mended else "",
        f"{split.words:.1f}",
        split.histogram(),
    )


def _notes(found: Sequence[TaskCheck]) -> Iterator[str]:
    """Why rows were skipped or mended, labels that no row has, and what was not checked."""
    for task in found:
        for split in task.splits:
            for reason, times in split.skipped.reasons.most_common():
                yield f"{task.task}/{split.split}: skipped {times} × {reason}"
            for reason, times in split.skipped.mended.most_common():
                if times:
                    yield f"{task.task}/{split.split}: mended {times} × {reason}"
        if task.unused:
            some = ", ".join(task.unused[:5]) + (" …" if len(task.unused) > 5 else "")
            yield f"{task.task}: {plural(len(task.unused), 'label')} that no row has: {some}"
    for reason, times in Counter(t.unchecked for t in found if t.unchecked).most_common():
        away = [t.task for t in found if t.unchecked == reason]
        listed = ", ".join(away[:5]) + (" …" if times > 5 else "")
        yield f"not checked: {plural(times, 'task')}, since {reason}: {listed}"


def _problems(found: Sequence[TaskCheck]) -> Iterator[str]:
    for task in found:
        for problem in task.problems:
            yield f"PROBLEM {task.task}: {problem}"


def _sum(found: Sequence[TaskCheck]) -> str:
    checked = [t for t in found if not t.unchecked]
    splits = [s for t in checked for s in t.splits]
    bad = sum(bool(t.problems) for t in checked)
    parts = [
        f"{plural(len(checked), 'task')} checked",
        plural(len(splits), "split"),
        f"{sum(s.rows for s in splits):,} rows",
        f"{sum(s.read for s in splits):,} read",
        f"{sum(s.skipped.count for s in splits):,} skipped",
        f"{plural(bad, 'task')} with problems",
        f"{len(found) - len(checked)} not checked",
    ]
    return "; ".join(parts)
