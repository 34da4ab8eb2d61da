"""Box plots as one SVG file that stands by itself: a row per name, its values on a shared scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

import numpy as np

from .bars import scale_for
from .numbers import points
from .svg import add, printable, ticks

ROW, LEFT, WIDTH, RIGHT = 26, 230, 560, 70  # pixels
TOP = 34
STYLE = """
svg { background: #fff; font: 13px system-ui, sans-serif } text { fill: #222 }
.grid { stroke: #ddd } .box { fill: #9fc2e8; stroke: #24517f } .whisker { stroke: #24517f }
.median { stroke: #24517f; stroke-width: 2.5 } .mean { fill: #c2410c } .out { fill: none;
stroke: #24517f } .said { fill: #555 }
"""


class Box(NamedTuple):
    """Quartiles, whiskers at the last values within 1.5 times the box beyond it (Tukey 1977), and
    the values outside."""

    low: float
    lower: float
    median: float
    upper: float
    high: float
    outside: tuple[float, ...]


def box(values: Sequence[float]) -> Box:
    """``values`` (one or more) in five numbers; quartiles are interpolated linearly.

    >>> box([1, 2, 3, 4, 12])
    Box(low=1.0, lower=2.0, median=3.0, upper=4.0, high=4.0, outside=(12.0,))
    """
    lower, median, upper = (float(q) for q in np.quantile(values, (0.25, 0.5, 0.75)))
    reach = 1.5 * (upper - lower)
    inside = [float(v) for v in values if lower - reach <= v <= upper + reach]
    outside = tuple(sorted(float(v) for v in values if not lower - reach <= v <= upper + reach))
    return Box(min(inside), lower, median, upper, max(inside), outside)


def boxes(title: str, rows: Sequence[tuple[str, Sequence[float]]]) -> str:
    """The plot of ``rows`` (name, scores in 0..1): a box, its median, the mean as a dot and in
    points, values outside the whiskers as rings."""
    height = TOP + ROW * len(rows) + 30
    width = LEFT + WIDTH + RIGHT
    root = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width} {height}",
            "width": str(width),
            "height": str(height),
            "role": "img",
            "aria-label": printable(title),
        },
    )
    add(root, "style", STYLE)
    add(root, "title", title)
    add(root, "text", title, x=8, y=20, font_weight="600")
    scale = scale_for(v for _, values in rows for v in values)

    def x(value: float) -> float:
        return round(LEFT + WIDTH * scale.at(value) / 100, 2)

    bottom = TOP + ROW * len(rows)
    for tick in ticks(scale.low, scale.high):
        add(root, "line", cls="grid", x1=x(tick), x2=x(tick), y1=TOP, y2=bottom)
        add(root, "text", f"{tick:g}", x=x(tick), y=bottom + 18, text_anchor="middle")
    for number, (name, values) in enumerate(rows):
        y = TOP + ROW * number + ROW / 2
        add(root, "text", name, x=LEFT - 10, y=y + 4, text_anchor="end")
        if not len(values):
            continue
        b = box([100 * v for v in values])
        mean = 100 * float(np.mean(values))
        line: dict[str, Any] = {"cls": "whisker", "y1": y, "y2": y}
        add(root, "line", x1=x(b.low), x2=x(b.lower), **line)
        add(root, "line", x1=x(b.upper), x2=x(b.high), **line)
        for end in (b.low, b.high):
            add(root, "line", cls="whisker", x1=x(end), x2=x(end), y1=y - 4, y2=y + 4)
        wide = round(max(1.0, x(b.upper) - x(b.lower)), 2)
        add(root, "rect", cls="box", x=x(b.lower), y=y - 8, width=wide, height=16)
        add(root, "line", cls="median", x1=x(b.median), x2=x(b.median), y1=y - 8, y2=y + 8)
        for value in b.outside:
            add(root, "circle", cls="out", cx=x(value), cy=y, r=3)
        add(root, "circle", cls="mean", cx=x(mean), cy=y, r=3)
        add(root, "text", points(mean / 100), cls="said", x=LEFT + WIDTH + 10, y=y + 4)
    return ET.tostring(root, encoding="unicode")
