"""Results for the terminal. The same tables read well in a file: no colour, never squeezed."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from . import notes
from .comparison import Comparison
from .data import (
    ASKED,
    UNSEEN,
    Report,
    baseline_names,
    best_baseline,
    by_cluster,
    by_setting,
    counted,
    kinds,
    macro,
    margin,
    micro,
)
from .methods import Methods, methods_view
from .numbers import NONE, count, duration, finite, half_width, plural, points

if TYPE_CHECKING:
    from unify.evaluation import TaskResult

CLUSTERS = 12  # that a line lists; the report's JSON has them all
FILE_WIDTHS = (100, 240)  # narrowest and widest page that a file gets


def _table() -> Table:
    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )


def _gain(result: TaskResult) -> Text:
    """The margin; coloured only where the whole interval is on one side of the baseline."""
    best, low, high = best_baseline(result), finite(result.low), finite(result.high)
    style = ""
    if best is not None and low is not None and high is not None:
        style = "green" if low > best[1] else "red" if high < best[1] else ""
    return Text(points(margin(result), sign=True), style)


def results_table(report: Report, kind: str = UNSEEN) -> Table:
    """One line per result of ``kind``, in points."""
    results = kinds(report).get(kind, ())
    names = baseline_names(results)
    table = _table()
    table.add_column("task", overflow="fold", min_width=8, max_width=48)
    table.add_column("type", overflow="ellipsis", no_wrap=True, min_width=6)
    table.add_column("metric", overflow="fold", min_width=6)
    for header in ("value", "±95%", "rows", *names, "margin"):
        table.add_column(Text(header), justify="right", no_wrap=True)
    for r in results:
        best = best_baseline(r)
        table.add_row(
            # Text, not str: a name with brackets is no markup.
            Text(r.task),
            Text(r.type),
            Text(r.metric),
            Text(points(r.value), "bold"),
            half_width(r.low, r.high),
            count(r.rows),
            *(
                Text(points(r.baselines.get(n)), "" if best and n == best[0] else "dim")
                for n in names
            ),
            _gain(r),
        )
    return table


def macro_line(report: Report, kind: str = UNSEEN) -> str:
    """The average of the results of ``kind`` in one sentence, or one for each setting."""
    found = kinds(report)
    if not found:
        hint = "suite.held_out=true scores seen tasks on rows that training leaves out."
        asked = ASKED if report.kind == "reason" else UNSEEN
        none = f"Nothing was evaluated: no {asked} has a result."
        return f"{none} {hint}" if report.kind == "train" else none
    results = found.get(kind, ())
    settings = by_setting(results)
    if len(settings) < 2:
        return _average_line(results, kind)
    return "\n".join(f"{name}: {_average_line(own, kind)}" for name, own in settings.items())


def _average_line(results: Sequence[TaskResult], kind: str) -> str:
    average = macro(results)
    value, best = average["value"], average["best_baseline"]
    if value is None:
        return f"Macro average: no {kind} has a value."
    valued = sum(finite(r.value) is not None for r in results)
    line = f"Macro average over {counted(kind, valued)}: {points(value)}"
    if best is not None:
        line += (
            f" (best baseline per task {points(best)}, margin {points(value - best, sign=True)})"
        )
    missing = len(results) - valued
    line += f"; {plural(missing, 'task')} without a value left out" if missing else ""
    return "\n".join([line, *_further(results)]) if valued > 1 else line


def _further(results: Sequence[TaskResult]) -> Iterator[str]:
    """The average over rows, and those of the clusters where there are several."""
    found, clusters = micro(results), by_cluster(results)
    if found is not None:
        yield f"Micro average over {plural(found[1], 'row')}: {points(found[0])}"
    if 1 < len(clusters) <= CLUSTERS:
        listed = ", ".join(f"{name} {points(value)}" for name, value in clusters.items())
        yield f"By cluster: {listed}"


def skipped_lines(report: Report) -> Text:
    """The tasks without a result, each with the reason."""
    lines = Text()
    if report.skipped:
        lines.append(f"Skipped: {plural(len(report.skipped), 'task')}", "bold")
        for task, reason in report.skipped.items():
            lines.append(f"\n  {task}: {' '.join(reason.split())}")
    return lines


def skipped_rows(report: Report) -> Text:
    """Rows that could not be read and were left out, per task and split; the page has the rest."""
    lines = Text()
    for note in notes.lines(report):
        if left := int(note["counts"]["skipped"]):
            why = "; ".join(w.removeprefix("skipped, ") for w in note["why"] if "skipped" in w)
            lines.append("\n" if lines else "")
            lines.append(f"Left out: {plural(left, 'row')}", "bold")
            lines.append(f" of {note['task']}, {note['split']}" + (f": {why}" if why else ""))
    return lines


def _leak_line(report: Report) -> Text | None:
    if not report.leaks:
        return None
    text = f"{plural(len(report.leaks), 'leak')} between seen and unseen tasks"
    tail = " allowed: these numbers are not zero-shot." if report.allowed_leaks else "."
    return Text(text + tail, "bold red")


def report_view(report: Report) -> Group:
    """Everything that the terminal shows after a run."""
    parts: list[RenderableType] = [Text(report.title, "bold")]
    for kind in kinds(report):
        parts.append(Padding(results_table(report, kind), (1, 0)))
        parts.append(Text(macro_line(report, kind)))
    if not kinds(report):
        parts.append(Text(macro_line(report)))
    if (leaks := _leak_line(report)) is not None:
        parts.append(leaks)
    if report.skipped:
        parts.append(skipped_lines(report))
    if left_out := skipped_rows(report):
        parts.append(left_out)
    parts.append(Text(f"Took {duration(report.seconds)}.", "dim"))
    return Group(*parts)


def comparison_table(comparison: Comparison) -> Table:
    """Tasks by runs, in points; the best run of a task stands bold with a star."""
    table = _table()
    runs, shared = comparison.runs, comparison.shared()
    table.add_column("task", overflow="fold", min_width=8, max_width=48)
    table.add_column("metric", overflow="fold", min_width=6)
    for run in runs:
        table.add_column(Text(run.label), justify="right", no_wrap=True)
        table.add_column("±95%", no_wrap=True)
    table.add_column("best baseline", justify="right", no_wrap=True)
    for task in comparison.tasks():
        found, best = comparison.results(task), comparison.best(task)
        cells: list[Text] = []
        for run in runs:
            cell = run.cell(task)
            if cell.value is None:
                cells += [Text("refused", "dim"), Text("")]
                continue
            first = cell.value == best and len(found) > 1
            cells.append(Text(points(cell.value), "bold" if first else ""))
            cells.append(Text(half_width(cell.low, cell.high) + (" *" if first else "")))
        metric = Text(found[0].metric if found else NONE)
        table.add_row(Text(task), metric, *cells, points(comparison.baseline(task)))
    table.add_section()
    table.add_row(
        f"macro, {plural(len(shared), 'shared task')}",
        "",
        *(x for r in runs for x in (Text(points(comparison.macro(r)), "bold"), "")),
        points(comparison.baseline_macro()),
    )
    table.add_row(
        "macro, own tasks",
        "",
        *(
            x
            for r in runs
            for x in (points(comparison.own_macro(r)), f"of {comparison.own_count(r)}")
        ),
    )
    return table


def comparison_view(comparison: Comparison) -> Group:
    """The comparison and what it leaves out."""
    parts: list[RenderableType] = [
        Text(comparison.title, "bold"),
        Padding(comparison_table(comparison), (1, 0)),
    ]
    times = "; ".join(f"{run.label} {duration(run.seconds)}" for run in comparison.runs)
    if times:
        parts.append(Text(f"Took: {times}.", "dim"))
    refused = Text()
    for task in comparison.tasks():
        for run in comparison.runs:
            cell = run.cell(task)
            if cell.value is None:
                refused.append(f"\n  {task} as {run.label}: {' '.join(cell.why.split())}")
    if refused:
        parts.append(Text("Refused or skipped:", "bold").append(refused))
    uneven = [t for t in comparison.tasks() if comparison.uneven(t)]
    if uneven:
        parts.append(Text(f"Measured on different rows or metrics: {', '.join(uneven)}"))
    return Group(*parts)


def render(*parts: RenderableType, width: int | None = None) -> str:
    """Plain text as it should stand in a file: as wide as the content needs, no colour."""
    narrow, wide = FILE_WIDTHS
    if width is None:
        probe = Console(file=io.StringIO(), width=wide)
        needed = [Measurement.get(probe, probe.options, part).maximum for part in parts]
        width = min(wide, max([narrow, *needed]))
    page = io.StringIO()
    console = Console(
        file=page,
        width=width,
        color_system=None,
        force_terminal=False,
        highlight=False,
        emoji=False,
        legacy_windows=False,
    )
    for part in parts:
        console.print(part)
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines()) + "\n"


def show(what: Report | Comparison | Methods) -> None:
    """Prints to standard output: coloured on a terminal, wide and plain in a file or a pipe."""
    if isinstance(what, Methods):
        view = methods_view(what)
    else:
        view = report_view(what) if isinstance(what, Report) else comparison_view(what)
    if sys.stdout.isatty():
        Console(highlight=False, emoji=False).print(view)
    else:
        sys.stdout.write(render(view))
