"""A picture for a README: marks with intervals over a number, lines through their means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from xml.etree import ElementTree as ET

from unify.report.svg import add, markup, outward, ticks

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 24, 48
COLOURS = ("#1f6f8b", "#c1582b", "#5b8c3a", "#7a4fa3")
SHAPES = ("circle", "square", "diamond", "triangle")
GREY = "#6b6b6b"
Interval = tuple[float, float]


@dataclass(frozen=True)
class Mark:
    """``y`` at ``x``, with its interval."""

    x: float
    y: float
    interval: Interval | None = None


@dataclass(frozen=True)
class Series:
    """Marks of one name; a line joins the means of those with the same ``x``."""

    name: str
    marks: tuple[Mark, ...]


def _sign(root: ET.Element, shape: str, x: float, y: float, colour: str) -> None:
    paint = {"fill": "white", "stroke": colour, "stroke_width": 2}
    if shape == "circle":
        add(root, "circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=4, **paint)
        return
    corners = {
        "square": ((-4, -4), (4, -4), (4, 4), (-4, 4)),
        "diamond": ((0, -6), (6, 0), (0, 6), (-6, 0)),
        "triangle": ((0, -5), (5, 4), (-5, 4)),
    }[shape]
    points = " ".join(f"{x + a:.1f},{y + b:.1f}" for a, b in corners)
    add(root, "polygon", points=points, **paint)


def lines(
    series: Sequence[Series],
    levels: Sequence[tuple[str, float, Interval | None]],
    *,
    x: str,
    y: str,
) -> str:
    """An SVG of its own. ``x`` and ``y`` name the axes; x is logarithmic. ``levels`` are values
    that do not depend on x, with their intervals as bands."""
    marks = [m for s in series for m in s.marks]
    heights = [v for m in marks for v in (m.y, *(m.interval or ()))]
    heights += [v for _, value, band in levels for v in (value, *(band or ()))]
    low, high = min(heights), max(heights)
    low, high = outward(low, high) if low < high else (low, low + 1)
    places = sorted({m.x for m in marks}) or [1.0]
    first, last = math.log(places[0] / 1.2), math.log(places[-1] * 1.2)

    def at_x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log(value) - first) / (last - first)

    def at_y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    root = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {WIDTH} {HEIGHT}",
            "width": str(WIDTH),
            "height": str(HEIGHT),
            "font-family": "sans-serif",
            "font-size": "12",
            "role": "img",
            "aria-label": f"{y} by {x}",
        },
    )
    add(root, "rect", width=WIDTH, height=HEIGHT, fill="white")
    end = WIDTH - RIGHT
    for tick in ticks(low, high):
        v = f"{at_y(tick):.1f}"
        add(root, "line", x1=LEFT, x2=end, y1=v, y2=v, stroke="#dddddd")
        add(root, "text", f"{tick:.2f}", x=LEFT - 8, y=v, dy=4, text_anchor="end", fill=GREY)
    for place in places:
        h = f"{at_x(place):.1f}"
        add(root, "line", x1=h, x2=h, y1=HEIGHT - BOTTOM, y2=HEIGHT - BOTTOM + 5, stroke=GREY)
        below = {"y": HEIGHT - BOTTOM + 19, "text_anchor": "middle", "fill": GREY}
        add(root, "text", f"{place:g}", x=h, **below)
    middle = (LEFT + end) / 2
    add(root, "text", x, x=middle, y=HEIGHT - 10, text_anchor="middle")
    add(root, "text", y, x=LEFT - 44, y=14)
    labels: list[tuple[float, str, str]] = []
    for name, value, band in levels:
        v = at_y(value)
        if band is not None:
            top, bottom = at_y(band[1]), at_y(band[0])
            size = {"y": f"{top:.1f}", "height": f"{bottom - top:.1f}"}
            add(root, "rect", x=LEFT, width=end - LEFT, fill=GREY, opacity=0.12, **size)
        dash = {"stroke": GREY, "stroke_dasharray": "5 4"}
        add(root, "line", x1=LEFT, x2=end, y1=f"{v:.1f}", y2=f"{v:.1f}", **dash)
        labels.append((v, name, GREY))
    for number, one in enumerate(series):
        colour, shape = COLOURS[number % len(COLOURS)], SHAPES[number % len(SHAPES)]
        own = sorted({m.x for m in one.marks})
        means = [(at_x(p), at_y(fmean(m.y for m in one.marks if m.x == p))) for p in own]
        # A line says "more of the same": single clusters are no such thing.
        if len(means) > 1 and one.name != "one cluster":
            points = " ".join(f"{a:.1f},{b:.1f}" for a, b in means)
            add(root, "polyline", points=points, fill="none", stroke=colour, stroke_width=2)
        for p in own:
            here = [m for m in one.marks if m.x == p]
            for k, m in enumerate(here):
                h, v = at_x(p) + 7 * (k - (len(here) - 1) / 2), at_y(m.y)
                if m.interval is not None:
                    ends = {"y1": f"{at_y(m.interval[0]):.1f}", "y2": f"{at_y(m.interval[1]):.1f}"}
                    place = {"x1": f"{h:.1f}", "x2": f"{h:.1f}"}
                    add(root, "line", stroke=colour, opacity=0.5, **place, **ends)
                _sign(root, shape, h, v, colour)
        labels.append((means[-1][1], one.name, colour))
    _labels(root, labels, end + 12)
    return str(markup(root)) + "\n"


def _labels(root: ET.Element, labels: Sequence[tuple[float, str, str]], x: float) -> None:
    """Names beside the plot at their heights, pushed apart where these are close."""
    last = -math.inf
    for height, name, colour in sorted(labels):
        last = max(height, last + 15)
        add(root, "text", name, x=x, y=f"{last:.1f}", dy=4, fill=colour)
