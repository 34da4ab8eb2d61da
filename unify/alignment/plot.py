"""What happened over the steps of one or more arms, as panels of lines in one SVG of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from unify.report.svg import Scale, add, outward, ticks

WIDTH, HEIGHT, LEFT, RIGHT, TOP, FOOT = 300, 190, 44, 14, 30, 34  # of a panel, in pixels
COLOURS = ("#2563ab", "#c2571a", "#3a7d44", "#7a4fa3")
DASHES = ("none", "6 3", "2 3", "8 2 2 2")  # so that lines are told apart without colour
Series = Mapping[str, Sequence[float]]


def panels(found: Mapping[str, Series], across: str, title: str) -> str:
    """``found[panel][arm]`` is one line: a value per step. Arms keep their colour in all panels."""
    arms = list(dict.fromkeys(a for series in found.values() for a in series))
    width, height = WIDTH * len(found), TOP + HEIGHT + FOOT + 24
    root = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width} {height}",
            "width": str(width),
            "height": str(height),
            "role": "img",
            "font-family": "system-ui, sans-serif",
            "font-size": "12",
            "aria-label": title,
        },
    )
    add(root, "title", title)
    add(root, "rect", width=width, height=height, fill="#ffffff")
    for k, (name, series) in enumerate(found.items()):
        _panel(add(root, "g", transform=f"translate({k * WIDTH} 0)"), name, series, arms, across)
    x = LEFT
    for k, arm in enumerate(arms):
        y = TOP + HEIGHT + FOOT + 10
        _line(root, [(x, y - 4), (x + 24, y - 4)], k)
        add(root, "text", arm, x=x + 30, y=y, fill="#222222")
        x += 48 + 7 * len(arm)
    return ET.tostring(root, encoding="unicode") + "\n"


def _panel(
    root: ET.Element, name: str, series: Series, arms: Sequence[str], across: str
) -> None:
    values = [v for line in series.values() for v in line]
    low, high = outward(min([0.0, *values]), max([*values, min([0.0, *values]) + 1e-3]))
    y, last = Scale(low, high), max((len(line) for line in series.values()), default=1)
    x = Scale(1, max(2, last))
    inner = WIDTH - LEFT - RIGHT

    def at(step: int, value: float) -> tuple[float, float]:
        return LEFT + inner * x.at(step) / 100, TOP + HEIGHT * (1 - y.at(value) / 100)

    add(root, "text", name, x=LEFT, y=TOP - 12, fill="#222222", font_weight="600")
    for tick in ticks(low, high):
        _, height = at(1, tick)
        colour = "#777777" if tick == low else "#dddddd"
        across_it = LEFT + inner
        add(root, "line", stroke=colour, x1=LEFT, x2=across_it, y1=height, y2=height)
        add(root, "text", f"{tick:g}", x=LEFT - 6, y=height + 4, text_anchor="end", fill="#555555")
    for tick in (t for t in ticks(1, max(2, last), 4) if t == int(t)):
        place, _ = at(int(tick), low)
        base = TOP + HEIGHT
        add(root, "text", f"{tick:g}", x=place, y=base + 16, text_anchor="middle", fill="#555555")
    middle = LEFT + inner / 2
    add(root, "text", across, x=middle, y=TOP + HEIGHT + 31, text_anchor="middle", fill="#555555")
    for arm, line in series.items():
        _line(root, [at(i + 1, v) for i, v in enumerate(line)], arms.index(arm))


def _line(root: ET.Element, points: Sequence[tuple[float, float]], kind: int) -> None:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    colour, dash = COLOURS[kind % len(COLOURS)], DASHES[kind % len(DASHES)]
    add(
        root, "polyline", points=path, fill="none", stroke=colour, stroke_width=2,
        stroke_dasharray=dash,
    )  # fmt: skip


def save(found: Mapping[str, Series], across: str, title: str, path: Path) -> None:
    """Writes :func:`panels` to ``path``."""
    path.write_text(panels(found, across, title), encoding="utf-8")
