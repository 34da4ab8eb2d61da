"""unify tasks import <folder or file> [to=<folder>] [show=40]

Finds tasks in Natural Instructions, MetaICL/CrossFit, BIG-bench, P3, instruction-induction and
Self-Instruct files, in multiple-choice YAMLs of lm-evaluation-harness over local data, and
templates in promptsource's; lists what it found and what it cannot use.
Nothing is written without `to`, which takes a YAML file per task.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from formats.errors import ConfigError

from ..config import assignments, check_keys

if TYPE_CHECKING:
    from tasks.importers import Bad, Found, Nothing


def run(arguments: Sequence[str]) -> int:
    values, rest = assignments(arguments)
    check_keys(values, ("to", "show"), "tasks import")
    if len(rest) != 1:
        raise ConfigError(
            "import needs one place", expected="unify tasks import <folder or file> [to=<folder>]"
        )
    show = values.get("show", 40)
    if type(show) is not int or show < 0:
        raise ConfigError("show is no number of lines", got=show, expected="show=40")
    place = Path(rest[0]).expanduser()
    to = Path(str(values["to"])).expanduser() if values.get("to") is not None else None
    return importing(place, to, show)


def importing(place: Path, to: Path | None, show: int) -> int:
    """Lists, and with ``to`` writes, what is at ``place``; status 1 when no task is."""
    from tasks.importers import Bad, Found, files_of, survey, taken, write

    from ..progress import progress

    if to is not None and to.exists() and not to.is_dir():
        raise ConfigError("to names no folder", got=str(to), expected="a folder, new or not")
    units = files_of(place)
    found: list[Found] = []
    bad: list[Bad] = []
    unknown: list[Nothing] = []
    others = {} if to is None else taken(to)
    written = 0
    with progress("importing", sum(map(len, units)), "files") as advance:
        for files, results in survey(units):
            for result in results:
                if isinstance(result, Bad):
                    bad.append(result)
                elif not isinstance(result, Found):
                    unknown.append(result)
                elif result.name in others:
                    problem = f"a task of the name {result.name} stands in {others[result.name]}"
                    bad.append(Bad(result.files[0], problem))
                else:
                    found.append(result)
                    if to is not None:
                        written += write(result, to)
            advance(len(files), f"{len(found)} tasks")
    _table(found, show)
    _list("cannot be used", [f"{b}" for b in bad], show)
    _list("of no known layout", [f"{u}" for u in unknown], show)
    _sums(found, bad, unknown)
    if to is None:
        print("Nothing was written; to=<folder> writes a YAML file per task.")
    elif found:
        print(f"{len(found)} YAML files in {to} ({written} of them new or changed). Use them by")
        print(f"  export UNIFY_TASKS={_with(to)}")
        print(f"  unify preview task={found[0].name} format=generate")
    return 0 if found else 1


def _with(folder: Path) -> str:
    """UNIFY_TASKS with ``folder`` among its folders."""
    now = [p for p in os.environ.get("UNIFY_TASKS", "").split(os.pathsep) if p]
    whole = str(folder.resolve())
    return os.pathsep.join(now if whole in now else [*now, whole])


def _table(found: Sequence[Found], show: int) -> None:
    import sys

    from rich.console import Console
    from rich.table import Table

    if not found or not show:
        return
    table = Table(box=None, pad_edge=False)
    for name in ("task", "type", "rows", "language", "labels", "left out, notes"):
        table.add_column(name, overflow="fold")
    for task in found[:show]:
        rows = ", ".join(f"{split} {n}" for split, n in task.rows.items())
        labels = ", ".join(task.labels[:4]) + (" …" if len(task.labels) > 4 else "")
        if task.labels:
            labels = f"{len(task.labels)}: {labels}"
        left = "; ".join([*(f"{n} × {why}" for why, n in task.dropped.items()), *task.notes])
        table.add_row(task.name, task.type, rows, task.language, labels, left)
    Console(width=None if sys.stdout.isatty() else 160, markup=False).print(table)
    if len(found) > show:
        print(f"… and {len(found) - show} more tasks (show={len(found)} lists them all)")


def _list(title: str, lines: Sequence[str], show: int) -> None:
    for line in [f"\n{title}:", *lines[:show]] if lines and show else []:
        print(line)
    if len(lines) > show > 0:
        print(f"… and {len(lines) - show} more")


def _sums(found: Sequence[Found], bad: Sequence[Bad], unknown: Sequence[Nothing]) -> None:
    print()
    for (layout, type), n in sorted(Counter((f.layout, f.type) for f in found).items()):
        rows = sum(sum(f.rows.values()) for f in found if (f.layout, f.type) == (layout, type))
        print(f"{layout}: {n} × {type}, {rows} rows")
    dropped = sum(sum(f.dropped.values()) for f in found)
    print(
        f"{len(found)} tasks, {sum(sum(f.rows.values()) for f in found)} rows, {dropped} of them "
        f"left out; {sum(b.count for b in bad)} cannot be used, {len(unknown)} of no known layout"
    )
