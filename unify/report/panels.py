"""A task in detail: how sure it was and how right, what it took for what, its worst mistakes; and
all tasks by setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from markupsafe import Markup

from .data import by_setting
from .numbers import count, finite, points, share
from .svg import add, markup

if TYPE_CHECKING:
    from unify.evaluation import TaskResult

SIDE, STRIP, LEFT, FOOT = 220, 44, 40, 34  # of a reliability plot, in pixels


def reliability(found: Mapping[str, Any]) -> Markup:
    """Accuracy by confidence: a bar per bin, a dot at its mean confidence, the diagonal where both
    are equal; under it the share of rows in each bin."""
    bins, rows = found["bins"], found["rows"]
    width, height = LEFT + SIDE + 12, 10 + SIDE + STRIP + FOOT
    said = f"Reliability: ECE {points(found['ece'])} points over {count(rows)} rows. " + "; ".join(
        f"confidence {share(b['confidence'])}, right {share(b['right'])}, {count(b['rows'])} rows"
        for b in bins
    )
    root = ET.Element(
        "svg",
        {
            "width": str(width),
            "height": str(height),
            "viewBox": f"0 0 {width} {height}",
            "class": "reliability",
            "role": "img",
            "aria-label": said,
        },
    )
    add(root, "title", said)
    floor, base = 10 + SIDE, 10 + SIDE + STRIP

    def across(value: float) -> float:
        return round(LEFT + SIDE * value, 2)

    def up(value: float) -> float:
        return round(floor - SIDE * value, 2)

    for tick in (0.0, 0.5, 1.0):
        add(root, "line", cls="grid", x1=LEFT, x2=across(1), y1=up(tick), y2=up(tick))
        add(root, "text", f"{tick:.0%}", x=LEFT - 6, y=up(tick) + 4, text_anchor="end")
        add(root, "text", f"{tick:.0%}", x=across(tick), y=base + 15, text_anchor="middle")
    add(root, "text", "confidence", x=across(0.5), y=base + 31, text_anchor="middle")
    most = max((b["rows"] for b in bins), default=1)
    for b in bins:
        x, wide = across(b["low"]) + 1, round(SIDE * (b["high"] - b["low"]) - 2, 2)
        high = round(SIDE * b["right"], 2)
        add(root, "rect", cls="bar", x=x, y=up(b["right"]), width=wide, height=high)
        tall = round((STRIP - 8) * b["rows"] / most, 2)
        add(root, "rect", cls="bar soft", x=x, y=base - tall, width=wide, height=tall)
    add(root, "line", cls="diagonal", x1=LEFT, x2=across(1), y1=floor, y2=up(1))
    for b in bins:
        x, y = across(b["confidence"]), up(b["right"])
        add(root, "circle", cls="mark", cx=x, cy=y, r=3.5)
    add(root, "line", cls="zero", x1=LEFT, x2=across(1), y1=base, y2=base)
    return markup(root)


def confusion(found: Mapping[str, Any]) -> dict[str, Any]:
    """The matrix with each cell's share of its gold label's rows."""
    rows, others = [], found.get("others", 0)
    named = len(found["gold"]) - bool(others)  # "others" are not all one label
    for i, (label, counts) in enumerate(zip(found["gold"], found["counts"], strict=True)):
        whole = sum(counts)
        cells = [
            {"rows": n, "share": round(n / whole, 3) if whole else 0, "same": i == j < named}
            for j, n in enumerate(counts)
        ]
        rows.append({"label": label, "cells": cells, "rows": whole})
    return {"answers": found["answers"], "rows": rows, "others": others}


def _task(result: TaskResult, most: int) -> dict[str, Any] | None:
    from .view import example_view

    notes = result.notes
    sure, pairs = notes.get("calibration"), notes.get("confusion")
    worst = [
        {**example_view(e, True), "confidence": e.get("confidence")}
        for e in notes.get("worst", ())[:most]
    ]
    also, signatures = notes.get("also") or {}, notes.get("signatures") or {}
    if not (sure or pairs or worst or also or signatures):
        return None
    brief = [f"ECE {points(sure['ece'])}"] if sure else []
    brief += [f"agreement {points(notes['agreement'])}"] if "agreement" in notes else []
    brief += [f"{name} {points(value)}" for name, value in also.items()]
    return {
        "name": result.task,
        "brief": ", ".join(brief).replace("-", "\u2212"),
        "calibration": sure and {**sure, "svg": reliability(sure)},
        "confusion": pairs and confusion(pairs),
        "worst": worst,
        "also": also,
        "signatures": signatures,
        "metric": result.metric,
        "value": result.value,
    }


def heat(results: Sequence[TaskResult]) -> dict[str, Any] | None:
    """Tasks by settings (0-shot, 4-shot, ...), where there are several; shades follow values."""
    settings = {name: own for name, own in by_setting(results).items() if name}
    if len(settings) < 2:
        return None
    tasks: dict[str, dict[str, TaskResult]] = {}
    for name, own in settings.items():
        for r in own:
            tasks.setdefault(r.task.removesuffix(f", {name}"), {})[name] = r
    rows = []
    for task, found in tasks.items():
        values = [finite(found[s].value) if s in found else None for s in settings]
        best = max((v for v in values if v is not None), default=None)
        cells = [
            {
                "value": v,
                "share": 0 if v is None else round(min(1.0, max(0.0, v)), 3),
                "best": v is not None and v == best,
            }
            for v in values
        ]
        rows.append({"task": task, "metric": next(iter(found.values())).metric, "cells": cells})
    return {"settings": list(settings), "rows": rows}


def panels(results: Sequence[TaskResult], examples: int) -> dict[str, Any]:
    """What ``details.html`` names: ``heat`` and the tasks' ``details``."""
    found = (_task(r, examples) for r in results)
    return {"heat": heat(results), "details": [task for task in found if task is not None]}
