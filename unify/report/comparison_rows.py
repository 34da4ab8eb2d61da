"""Two runs compared row by row, on the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from .numbers import count, interval, plural, points
from .tables import render

if TYPE_CHECKING:
    from unify.compare import RunComparison, TaskComparison
    from unify.paired import Difference

LEVEL = 0.05
SHOWN = 0.0005  # what is less reads as +0.0 points, and counts as equal


def chance(p: float) -> str:
    """A p: three decimals, and no zero."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _cells(found: Difference) -> tuple[Text, Text, Text]:
    side = 0 if found.low <= 0 <= found.high else 1 if found.value > 0 else -1
    style = ("", "green", "red")[side]
    return (
        Text(points(found.value, sign=True), style),
        Text(interval(found.low, found.high)),
        Text(chance(found.p)),
    )


def _task_cells(task: TaskComparison) -> tuple[str | Text, ...]:
    flips = task.flips
    return (
        Text(task.task),
        Text(task.metric),
        points(task.a),
        points(task.b),
        *_cells(task.difference),
        "*" if task.adjusted < LEVEL else "",
        count(task.rows),
        count(task.wins),
        count(task.losses),
        count(task.ties),
        count(len(flips.only_a)),
        count(len(flips.only_b)),
        chance(flips.p),
    )


def rows_table(found: RunComparison) -> Table:
    """Per setting its tasks by what tells the two runs apart; values and differences in points."""
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    table.add_column("task", overflow="fold", min_width=8, max_width=48)
    table.add_column("metric", overflow="fold")
    names = (found.a, found.b, "difference", "95% interval", "p", "", "rows")
    for name in (*names, "wins", "losses", "ties", "only a", "only b", "McNemar p"):
        left = name in ("", "95% interval")
        table.add_column(Text(name), justify="left" if left else "right", no_wrap=True)
    for macro in found.macros:
        for task in (t for t in found.tasks if t.setting == macro.setting):
            table.add_row(*_task_cells(task))
        table.add_section()
        setting = f"{macro.setting}, " if macro.setting else ""
        table.add_row(
            f"macro, {setting}{plural(macro.tasks, 'task')}",
            "",
            points(macro.a),
            points(macro.b),
            *_cells(macro.difference),
            "",
            count(macro.rows),
        )
        table.add_section()
    return table


def rows_view(found: RunComparison, flips: int) -> Group:
    """The table, what its columns are, and the first ``flips`` ids of each kind."""
    better = sum(t.difference.value >= SHOWN for t in found.tasks)
    worse = sum(t.difference.value <= -SHOWN for t in found.tasks)
    noun = "task" if len(found.macros) == 1 else "result"
    clear = [t for t in found.tasks if t.adjusted < LEVEL]
    parts: list[RenderableType] = [
        Text(f"a = {found.a}, b = {found.b}", "bold"),
        Padding(rows_table(found), (1, 0)),
        Text(
            f"a is above b on {plural(better, noun)}, below on {worse}, equal on "
            f"{len(found.tasks) - better - worse}; {len(clear)} of the differences stand after "
            "Holm's correction (*)."
        ),
    ]
    for task in found.tasks if flips else ():
        lines = [
            f"  {title}: {', '.join(ids[:flips])}" + (" …" if len(ids) > flips else "")
            for title, ids in (
                ("right in a alone", task.flips.only_a),
                ("right in b alone", task.flips.only_b),
            )
            if ids
        ]
        if lines:
            parts.append(Text("\n".join([task.task, *lines])))
    if found.left_out:
        lines = [f"  {name}: {why}" for name, why in found.left_out.items()]
        parts.append(Text("\n".join(["Left out:", *lines])))
    return Group(*parts)


def show_rows(found: RunComparison, flips: int) -> None:
    """Prints to standard output: coloured on a terminal, wide and plain in a file or a pipe."""
    view = rows_view(found, flips)
    if sys.stdout.isatty():
        Console(highlight=False, emoji=False).print(view)
    else:
        sys.stdout.write(render(view))
