"""What the pages show, computed: templates only place it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from markupsafe import Markup

from . import bars, notes
from .comparison import Comparison
from .curve import known, logarithmic, loss_chart
from .data import (
    UNSEEN,
    Report,
    averages,
    baseline_names,
    best_baseline,
    by_setting,
    counted,
    headline,
    kinds,
    macro,
    margin,
)
from .numbers import finite, half_width, plural, points
from .panels import panels
from .svg import Scale, add, markup

if TYPE_CHECKING:
    from unify.evaluation import TaskResult

INEXACT = {"Regression", "TextGeneration"}  # an answer can be good without equalling the gold


def side(result: TaskResult) -> str:
    """``over`` or ``under``, if the whole interval is on that side of the best baseline."""
    best, low, high = best_baseline(result), finite(result.low), finite(result.high)
    if best is None or low is None or high is None:
        return ""
    return "over" if low > best[1] else "under" if high < best[1] else ""


def verdict(results: Sequence[TaskResult]) -> str:
    """The results in one sentence."""
    margins = [m for r in results if (m := margin(r)) is not None]
    if not margins:
        return ""
    above = sum(m > 0 for m in margins)
    if len(margins) == 1:
        only = next(r for r in results if margin(r) is not None)
        tail = ", with the whole 95% interval." if side(only) else "."
        return ("Above" if above else "Not above") + " the best baseline" + tail
    text = f"Above the best baseline on {above} of {plural(len(margins), 'task')}"
    clear = sum(side(r) == "over" for r in results)
    if above:
        text += f", on {clear} of them with the whole 95% interval"
    below = sum(side(r) == "under" for r in results)
    return text + (f"; clearly below it on {below}." if below else ".")


def _row(result: TaskResult, names: Sequence[str]) -> dict[str, Any]:
    best = best_baseline(result)
    return {
        "task": result.task,
        "type": result.type,
        "format": result.format,
        "metric": result.metric,
        "value": result.value,
        "low": result.low,
        "high": result.high,
        "rows": result.rows,
        "margin": margin(result),
        "side": side(result),
        "baselines": [
            {"value": result.baselines.get(n), "best": best is not None and best[0] == n}
            for n in names
        ],
    }


def _scale(results: Sequence[TaskResult]) -> Scale:
    return bars.scale_for(
        v for r in results for v in (r.value, r.low, r.high, *r.baselines.values())
    )


def _lane(
    name: str,
    sub: str,
    result: TaskResult,
    scale: Scale,
    names: Sequence[str],
    aside: str,
    run: bool = False,
    strong: bool = True,
) -> dict[str, Any]:
    label = f"{result.task}, {name}" if run else result.task
    picture = bars.bar(
        scale, label, result.value, result.low, result.high, result.baselines, names, strong
    )
    return {
        "name": name,
        "sub": sub,
        "svg": picture,
        "run": run,
        "aside": aside,
        "value": points(result.value).replace("-", "\u2212"),
    }


def _by_margin(results: Sequence[TaskResult]) -> list[TaskResult]:
    return sorted(results, key=lambda r: -1e9 if (m := margin(r)) is None else m, reverse=True)


def _gain(result: TaskResult) -> str:
    gain = margin(result)
    return "" if gain is None else f"{points(gain, sign=True)} margin".replace("-", "\u2212")


def example_view(example: dict[str, Any], exact: bool) -> dict[str, Any]:
    """A worked example as the page shows it; ``exact`` where any other answer is wrong."""
    from unify.answers import shown

    right = bool(example.get("right"))
    words = ("✓ right", "✗ wrong") if exact else ("✓ equal to gold", "differs from gold")
    return {
        "id": example.get("id", ""),
        "prompt": example.get("prompt", ""),
        "answer": shown(example.get("answer")),
        "gold": shown(example.get("gold")),
        "verdict": words[0] if right else words[1],
        "cls": "right" if right else "wrong" if exact else "open",
    }


def worked(results: Sequence[TaskResult], most: int) -> list[dict[str, Any]]:
    """Up to ``most`` worked examples of each task that has any."""
    out = []
    for r in results:
        exact = r.type not in INEXACT
        examples = [example_view(e, exact) for e in r.examples[:most]]
        if examples:
            out.append(
                {
                    "name": r.task,
                    "examples": examples,
                    "right": sum(e["cls"] == "right" for e in examples),
                    "word": "right" if exact else "equal to gold",
                }
            )
    return out


def _meter(rate: float | None, rows: float | None, longest: float) -> Markup:
    """How often a task is drawn as a bar, its share of the rows as a tick."""
    root = ET.Element("svg", {"height": "16", "aria-hidden": "true"})
    if rate is not None:
        add(root, "rect", cls="bar", x=0, y=4, width=f"{100 * rate / longest:g}%", height=8)
    if rows is not None:
        x = f"{100 * rows / longest:g}%"
        add(root, "line", cls="mark tick", x1=x, x2=x, y1=1, y2=15)
    return markup(root)


def mixture(report: Report) -> list[dict[str, Any]]:
    """The mixture's rows with their meters, on one scale."""
    shares = [finite(row.get(k)) for row in report.mixture for k in ("rate", "fraction")]
    longest = max([s for s in shares if s is not None and s > 0], default=1.0)
    return [
        {
            **{k: row.get(k) for k in ("task", "rate", "fraction", "rows", "mean_length")},
            "svg": _meter(finite(row.get("rate")), finite(row.get("fraction")), longest),
        }
        for row in report.mixture
    ]


def _table(kind: str, results: Sequence[TaskResult]) -> dict[str, Any]:
    """One kind of results as a table with its averages."""
    names, head = baseline_names(results), headline(results)
    average = macro(head)
    value, best = average["value"], average["best_baseline"]
    return {
        "kind": kind,
        "names": names,
        "formats": list(dict.fromkeys(r.format for r in results)),
        "macro": averages(head),
        "gain": None if value is None or best is None else value - best,
        "valued": sum(finite(r.value) is not None for r in head),
        "rows": [_row(r, names) for r in results],
    }


def report_view(report: Report, examples: int) -> dict[str, Any]:
    """Everything that ``report.html`` names."""
    tables = [_table(kind, results) for kind, results in kinds(report).items()]
    kind, main = next(iter(kinds(report).items()), (UNSEEN, ()))
    results = [*report.unseen, *report.held_out]
    names, head = baseline_names(results), headline(main)
    average, scale = macro(head), _scale(results)
    value, best = average["value"], average["best_baseline"]
    valued = [r for r in results if finite(r.value) is not None]
    left_out = notes.lines(report)
    return {
        "title": report.title,
        "over": counted(kind, sum(finite(r.value) is not None for r in head)),
        "macro": average,
        "tables": tables,
        "seen": list(report.seen),
        "gain": None if value is None or best is None else value - best,
        "unvalued": len(results) - len(valued),
        "settings": [(name, macro(own)) for name, own in by_setting(main).items()],
        "verdict": verdict(main),
        "seconds": report.seconds,
        "skipped": dict(report.skipped),
        "leaks": [notes.leak_line(leak) for leak in report.leaks],
        "allowed_leaks": report.allowed_leaks,
        "contact": list(report.contact),
        "bars": [_lane(r.task, r.metric, r, scale, names, _gain(r)) for r in _by_margin(valued)],
        "scale": bars.axis(scale),
        "interval_sign": bars.interval_sign(),
        "signs": [(n, bars.sign(i)) for i, n in enumerate(names)],
        "curve": loss_chart(report.losses, report.validation),
        "log": logarithmic(report.losses, report.validation),
        "validated": bool(known(report.validation)),
        "undrawn": len(report.losses)
        - len(known(report.losses))
        + len(report.validation)
        - len(known(report.validation)),
        "mixture": mixture(report),
        "worked": worked(results, examples),
        **panels(results, examples),
        "notes": left_out,
        "note_columns": notes.columns(left_out),
        "config": report.config,
        "versions": dict(report.versions),
    }


def _task_view(comparison: Comparison, task: str) -> dict[str, Any]:
    found, best = comparison.results(task), comparison.best(task)
    cells = []
    for run in comparison.runs:
        cell = run.cell(task)
        cells.append(
            {
                "value": cell.value,
                "why": cell.why,
                "aside": half_width(cell.low, cell.high),
                "best": cell.value is not None and cell.value == best and len(found) > 1,
            }
        )
    first = found[0] if found else None
    return {
        "name": task,
        "type": first.type if first else "",
        "metric": first.metric if first else "",
        "cells": cells,
        "baseline": comparison.baseline(task),
    }


def comparison_view(comparison: Comparison) -> dict[str, Any]:
    """Everything that ``comparison.html`` names."""
    tasks, shared = comparison.tasks(), comparison.shared()
    everything = [r for run in comparison.runs for r in run.results]
    names, scale = baseline_names(everything), _scale(everything)
    macros = [comparison.macro(run) for run in comparison.runs]
    top = max((m for m in macros if m is not None), default=None)
    groups = []
    for task in tasks:
        best, lanes = comparison.best(task), []
        for run in comparison.runs:
            r = run.result(task)
            if r is not None:
                strong = finite(r.value) == best
                aside = half_width(r.low, r.high)
                lanes.append(_lane(run.label, "", r, scale, names, aside, True, strong))
        if lanes:
            metric = comparison.results(task)[0].metric
            groups.append({"name": task, "metric": metric, "bars": lanes})
    return {
        "title": comparison.title,
        "tasks": [_task_view(comparison, t) for t in tasks],
        "shared": shared,
        "baseline": comparison.baseline_macro(),
        "names": names,
        "runs": [
            {
                "label": run.label,
                "macro": m,
                "best": m is not None and m == top,
                "own_macro": comparison.own_macro(run),
                "own_count": comparison.own_count(run),
                "seconds": run.seconds,
            }
            for run, m in zip(comparison.runs, macros, strict=True)
        ],
        "groups": groups,
        "scale": bars.axis(scale),
        "interval_sign": bars.interval_sign(),
        "signs": [(n, bars.sign(i)) for i, n in enumerate(names)],
        "uneven": [t for t in tasks if comparison.uneven(t)],
        "refused": [
            (t, run.label, cell.why)
            for t in tasks
            for run in comparison.runs
            if (cell := run.cell(t)).value is None
        ],
    }
