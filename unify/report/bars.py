"""Bars for scores: the value, its interval, and the trivial methods on one scale per chart.

Every bar is an SVG of its own, so that labels stay ordinary page text that wraps and can be
searched; all bars of a chart share one :class:`Scale`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from markupsafe import Markup

from .numbers import finite, interval, points
from .svg import Scale, add, canvas, markup, outward, ticks

HEIGHT = 24
MIDDLE = HEIGHT / 2


def scale_for(values: Iterable[Any]) -> Scale:
    """0 to 100 points, further down where a value is negative: bars always begin at zero."""
    known = [v * 100 for raw in values if (v := finite(raw)) is not None]
    low, high = min([0.0, *known]), max([100.0, *known])
    return Scale(*outward(low, high)) if low < 0 or high > 100 else Scale(0.0, 100.0)


def mark(root: ET.Element, kind: int, x: str) -> None:
    """The sign of trivial method number ``kind`` at ``x``: told apart by shape, not by colour."""
    m = MIDDLE
    if kind == 0:
        add(root, "line", cls="mark tick", x1=x, x2=x, y1=m - 9, y2=m + 9)
    elif kind == 1:
        add(root, "circle", cls="mark", cx=x, cy=m, r=4)
    elif kind == 2:
        add(root, "rect", cls="mark", x=x, y=m - 4, width=8, height=8, transform="translate(-4 0)")
    else:
        glyph = "×+△◇☆"[(kind - 3) % 5]
        add(root, "text", glyph, cls="mark glyph", x=x, y=m + 5, text_anchor="middle")


def sign(kind: int) -> Markup:
    """The sign alone, for a legend."""
    root = ET.Element(
        "svg",
        {
            "width": "18",
            "height": str(HEIGHT),
            "class": "sign",
            "aria-hidden": "true",
        },
    )
    mark(root, kind, "9")
    return markup(root)


def interval_sign() -> Markup:
    """A piece of bar with its whisker, for a legend."""
    root = ET.Element(
        "svg",
        {
            "width": "34",
            "height": str(HEIGHT),
            "class": "sign",
            "aria-hidden": "true",
        },
    )
    add(root, "rect", cls="bar", x=0, y=MIDDLE - 6, width=24, height=12)
    _whisker(root, "16", "32")
    return markup(root)


def _whisker(root: ET.Element, low: str, high: str) -> None:
    add(root, "line", cls="whisker", x1=low, x2=high, y1=MIDDLE, y2=MIDDLE)
    for end in (low, high):
        add(root, "line", cls="whisker", x1=end, x2=end, y1=MIDDLE - 4, y2=MIDDLE + 4)


def bar(
    scale: Scale,
    label: str,
    value: Any,
    low: Any,
    high: Any,
    baselines: Mapping[str, Any],
    kinds: Sequence[str],
    strong: bool = True,
) -> Markup:
    """One bar. ``kinds`` fixes each trivial method's sign; ``strong`` is a full colour."""
    number, bottom, top = finite(value), finite(low), finite(high)
    said = f"{label}: {points(value)} points"
    if bottom is not None and top is not None:
        said += f", interval {interval(low, high)}"
    said += "".join(f"; {name} {points(v)}" for name, v in baselines.items())
    root = canvas(HEIGHT, said, "row")
    for tick in ticks(scale.low, scale.high):
        x = scale.percent(tick)
        add(root, "line", cls="grid" if tick else "zero", x1=x, x2=x, y1=0, y2=HEIGHT)
    if number is not None:
        zero, end = scale.at(0.0), scale.at(number * 100)
        add(
            root,
            "rect",
            cls="bar" if strong else "bar soft",
            x=f"{min(zero, end):g}%",
            y=MIDDLE - 6,
            width=f"{abs(end - zero):g}%",
            height=12,
        )
        if bottom is not None and top is not None:
            _whisker(root, scale.percent(bottom * 100), scale.percent(top * 100))
    for name, raw in baselines.items():
        trivial = finite(raw)
        if trivial is not None:
            mark(root, kinds.index(name), scale.percent(trivial * 100))
    return markup(root)


def axis(scale: Scale) -> Markup:
    """The tick labels that stand over and under a chart's bars."""
    root = canvas(18, f"scale from {scale.low:g} to {scale.high:g} points", "axis")
    for tick in ticks(scale.low, scale.high):
        text = f"{tick:g}".replace("-", "\u2212")
        add(root, "text", text, x=scale.percent(tick), y=13, text_anchor="middle")
    return markup(root)
