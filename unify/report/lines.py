"""Lines over a number, in a page (as wide as their place) or as pictures of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean
from xml.etree import ElementTree as ET

from markupsafe import Markup

from .numbers import decimal
from .svg import Scale, add, canvas, log_ticks, markup, outward, printable, ticks

Point = tuple[float, float]
Interval = tuple[float, float]

LEFT, RIGHT, NAMES, TOP, FOOT = 52, 18, 150, 34, 44  # of a picture's panel, in pixels
STRETCH = 1000  # units of the inner, stretched picture along both axes
LABEL_GAP = 34  # pixels that the two lines of an end label need
KINDS = 6  # colours; each has a dash of its own, too
# The colours of the page where there is one.
STYLE = """
.lines { font: 12px system-ui, sans-serif } .lines .paper { fill: var(--paper, #fff) }
.lines text { fill: var(--quiet, #5a626c); font-size: 12px } .lines .head { font-weight: 600 }
.lines .grid { stroke: var(--rule, #d9dad6) } .lines .zero { stroke: var(--quiet, #5a626c) }
.lines .k0 { color: var(--accent, #1f5fa8) } .lines .k1 { color: var(--orange, #b3500f) }
.lines .k2 { color: #3f8f56 } .lines .k3 { color: #9063b8 }
.lines .k4 { color: #b8860b } .lines .k5 { color: #c2407a } .lines .level { color: #7a828c }
.lines .line, .lines .span { fill: none; stroke: currentColor; stroke-width: 2 }
.lines .line { stroke-linejoin: round } .lines .under { stroke-width: 1; opacity: .35 }
.lines .k1.line { stroke-dasharray: 6 3 } .lines .k2.line { stroke-dasharray: 2 3 }
.lines .k3.line { stroke-dasharray: 9 3 2 3 } .lines .k4.line { stroke-dasharray: 12 4 }
.lines .k5.line { stroke-dasharray: 4 2 1 2 } .lines .span { stroke-width: 1.5; opacity: .5 }
.lines .level.line { stroke-dasharray: 5 4; stroke-width: 1 }
.lines .band { fill: currentColor; opacity: .14 }
.lines .mark { fill: var(--paper, #fff); stroke: currentColor; stroke-width: 1.8 }
.lines text.end { fill: currentColor; font-size: 13px; font-weight: 600 }
"""


@dataclass(frozen=True)
class Line:
    """``points`` (x, y); where several share their x, the line goes through their mean.

    ``spans`` are the points' intervals, ``marks`` shows the points, ``joined`` the line;
    ``under`` is drawn thinly behind: what was smoothed."""

    name: str
    points: Sequence[Point]
    spans: Sequence[Interval] = ()
    marks: bool = False
    joined: bool = True
    under: Sequence[Point] = ()


@dataclass(frozen=True)
class Level:
    """A value that does not depend on x, and its interval."""

    name: str
    value: float
    band: Interval | None = None


@dataclass(frozen=True)
class Panel:
    """``title`` says what y is, ``x`` what x is; a logarithmic x has its ticks at the points.
    ``zero``: the axis begins at 0 or below."""

    lines: Sequence[Line]
    levels: Sequence[Level] = ()
    title: str = ""
    x: str = ""
    log_x: bool = False
    log_y: bool = False
    zero: bool = False


def chart(panel: Panel, said: str, height: int = 280) -> Markup:
    """``panel`` as wide as its place; what stands beside it needs a margin (``.curve-box``)."""
    root = canvas(height, said, "lines")
    add(root, "style", STYLE)
    _panel(root, panel, height, _kinds([panel]), named=True)
    return markup(root)


def picture(panels: Sequence[Panel], said: str, width: int = 0, height: int = 200) -> str:
    """``panels`` side by side in one SVG that stands by itself, ``width`` pixels each. A lone
    panel has the lines' names at their ends, several have them below."""
    lone = len(panels) == 1
    width = width or (460 if lone else 240)
    right = NAMES if lone else RIGHT
    whole = (LEFT + width + right) * len(panels)
    tall = TOP + height + FOOT + (0 if lone else 26)
    root = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {whole} {tall}",
            "width": str(whole),
            "height": str(tall),
            "class": "lines",
            "role": "img",
            "aria-label": printable(said),
        },
    )
    add(root, "title", said)
    add(root, "style", STYLE)
    add(root, "rect", cls="paper", width=whole, height=tall)
    kinds = _kinds(panels)
    for number, panel in enumerate(panels):
        x = (LEFT + width + right) * number + LEFT
        own = add(root, "svg", x=x, y=TOP, width=width, height=height, overflow="visible")
        _panel(own, panel, height, kinds, named=lone)
    if not lone:
        _legend(root, kinds, TOP + height + FOOT + 14)
    return ET.tostring(root, encoding="unicode") + "\n"


def _kinds(panels: Sequence[Panel]) -> dict[str, str]:
    """The class of each line: a name looks the same in all panels."""
    names = dict.fromkeys(line.name for panel in panels for line in panel.lines)
    return {name: f"k{k % KINDS}" for k, name in enumerate(names)}


def _panel(
    root: ET.Element, panel: Panel, height: int, kinds: Mapping[str, str], named: bool
) -> None:
    """Draws into ``root``, whose whole width and first ``height`` pixels are the plot."""
    x, y = _x_scale(panel), _y_scale(panel)
    if panel.title:
        add(root, "text", panel.title, cls="head", x=-LEFT + 12, y=-14)
    for tick in log_ticks(y.low, y.high) if panel.log_y else ticks(y.low, y.high):
        at = f"{100 - y.at(tick):g}%"
        base = "zero" if tick == y.low else "grid"
        add(root, "line", cls=base, x1="0", x2="100%", y1=at, y2=at)
        add(root, "text", decimal(tick), x=-8, y=at, dy=4, text_anchor="end", cls="number")
    for tick in _x_ticks(panel, x):
        at, below = x.percent(tick), {"y": height + 19, "text_anchor": "middle"}
        add(root, "line", cls="grid", x1=at, x2=at, y1=height, y2=height + 5)
        add(root, "text", f"{tick:,g}", x=at, cls="number", **below)
    if panel.x:
        add(root, "text", panel.x, x="50%", y=height + 37, text_anchor="middle")
    for level in panel.levels:
        _level(root, level, y)
    stretched = {"view_box": f"0 0 {STRETCH} {STRETCH}", "preserve_aspect_ratio": "none"}
    inner = add(root, "svg", width="100%", height=height, overflow="visible", **stretched)
    for line in panel.lines:
        kind = kinds[line.name]
        _joined(inner, line.under, x, y, f"line under {kind}")
        if line.joined:
            _joined(inner, means(line.points), x, y, f"line {kind}")
    for line in panel.lines:
        if line.marks or not line.joined or len(line.points) == 1:
            _marks(root, line, x, y, kinds[line.name])
    if named:
        ends = [(line.name, kinds[line.name], means(line.points)[-1][1]) for line in panel.lines]
        ends += [(level.name, "level", level.value) for level in panel.levels]
        _end_labels(root, ends, y, height)


def means(points: Sequence[Point]) -> list[Point]:
    """One point for each x, by x: the mean of those that share it."""
    groups = groupby(sorted(points), key=lambda p: p[0])
    return [(at, fmean(p[1] for p in group)) for at, group in groups]


def _x_scale(panel: Panel) -> Scale:
    found = [p[0] for line in panel.lines for p in line.points]
    low, high = min(found), max(found)
    if panel.log_x:
        return Scale(low / 1.2, high * 1.2, log=True)
    return Scale(low, high) if low < high else Scale(0, high or 1)


def _x_ticks(panel: Panel, x: Scale) -> list[float]:
    if panel.log_x:
        return sorted({p[0] for line in panel.lines for p in line.points})
    return [t for t in ticks(x.low, x.high, 4) if t == int(t)]  # there is no half step


def _y_scale(panel: Panel) -> Scale:
    values = [p[1] for line in panel.lines for p in (*line.points, *line.under)]
    values += [v for line in panel.lines for span in line.spans for v in span]
    values += [v for level in panel.levels for v in (level.value, *(level.band or ()))]
    low, high = min(values), max(values)
    if panel.log_y:
        return Scale(low / 1.1, high * 1.1, log=True)
    if low > 0 and (panel.zero or low < high / 3):
        low = 0.0  # close enough to zero to show it
    if high - low < 1e-9:
        low, high = low - abs(low or 1.0) / 10, high + abs(high or 1.0) / 10
    return Scale(*outward(low, high))


def _joined(inner: ET.Element, points: Sequence[Point], x: Scale, y: Scale, cls: str) -> None:
    if len(points) < 2:
        return
    unit = STRETCH / 100
    path = " ".join(f"{x.at(s) * unit:.1f},{STRETCH - y.at(v) * unit:.1f}" for s, v in points)
    add(inner, "polyline", cls=cls, points=path, vector_effect="non-scaling-stroke")


def _marks(root: ET.Element, line: Line, x: Scale, y: Scale, kind: str) -> None:
    """The points and their intervals; those of one x side by side."""
    seen: dict[float, int] = {}
    met = {p[0]: sum(q[0] == p[0] for q in line.points) for p in line.points}
    for number, (at, value) in enumerate(line.points):
        aside = 7 * (seen.get(at, 0) - (met[at] - 1) / 2)
        seen[at] = seen.get(at, 0) + 1
        own = add(root, "g", cls=kind, transform=f"translate({aside:g} 0)")
        across = x.percent(at)
        if number < len(line.spans):
            low, high = (f"{100 - y.at(v):g}%" for v in line.spans[number])
            add(own, "line", cls="span", x1=across, x2=across, y1=low, y2=high)
        dot = add(own, "circle", cls="mark", cx=across, cy=f"{100 - y.at(value):g}%", r=4)
        add(dot, "title", f"{line.name}, {at:,g}: {decimal(value)}")


def _level(root: ET.Element, level: Level, y: Scale) -> None:
    at = f"{100 - y.at(level.value):g}%"
    if level.band is not None:
        low, high = (y.at(v) for v in level.band)
        size = {"y": f"{100 - high:g}%", "height": f"{high - low:g}%"}
        add(root, "rect", cls="level band", width="100%", **size)
    add(root, "line", cls="level line", x1="0", x2="100%", y1=at, y2=at)


def _end_labels(
    root: ET.Element, ends: Sequence[tuple[str, str, float]], y: Scale, height: int
) -> None:
    """Names and last values beside the plot, pushed apart where the lines end close together."""
    placed = sorted((height * (1 - y.at(v) / 100), n, c, v) for n, c, v in ends)
    tops = [p[0] for p in placed]
    for i in range(1, len(tops)):
        tops[i] = max(tops[i], tops[i - 1] + LABEL_GAP)
    for i in range(len(tops) - 1, -1, -1):
        room = height - 12 if i == len(tops) - 1 else tops[i + 1] - LABEL_GAP
        tops[i] = min(tops[i], room)
    for top, (_, name, cls, value) in zip(tops, placed, strict=True):
        text = add(root, "text", cls=f"end {cls}", x="100%", y=f"{top:.1f}")
        add(text, "tspan", name, x="100%", dx=10)
        add(text, "tspan", decimal(value), x="100%", dx=10, dy=15, cls="number")


def _legend(root: ET.Element, kinds: Mapping[str, str], height: int) -> None:
    x = LEFT
    for name, kind in kinds.items():
        add(root, "line", cls=f"{kind} line", x1=x, x2=x + 26, y1=height, y2=height)
        add(root, "text", name, x=x + 34, y=height + 4)
        x += 56 + 7 * len(name)
