"""The loss curve: training loss as a thin line, smoothed as a strong one, validation as points."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from xml.etree import ElementTree as ET

from markupsafe import Markup

from .numbers import decimal, finite
from .svg import Scale, add, canvas, log_ticks, markup, outward, ticks

HEIGHT = 280
DRAWN = 400  # bins along x; a longer run shows the lowest and highest loss of each bin
STRETCH = 1000  # units of the inner, stretched picture along both axes
LOG_FROM = 20.0  # highest / lowest loss from which the axis is logarithmic
LABEL_GAP = 34  # pixels that the two lines of an end label need

Point = tuple[float, float]


def known(series: Sequence[tuple[int, float]]) -> list[Point]:
    """The points that are numbers, by step."""
    found = [(float(s), v) for s, raw in series if (v := finite(raw)) is not None]
    return sorted(found, key=lambda p: p[0])


def smoothed(series: Sequence[Point], window: int | None = None) -> list[Point]:
    """A centred moving average over ``window`` points (a thirtieth of the run). It does not lag
    behind a falling loss; at both ends it is over the part of the window that exists."""
    half = (window if window is not None else len(series) // 30) // 2
    sums = [0.0, *accumulate(loss for _, loss in series)]
    out = []
    for i, (step, _) in enumerate(series):
        first, last = max(0, i - half), min(len(series), i + half + 1)
        out.append((step, (sums[last] - sums[first]) / (last - first)))
    return out


def thinned(series: Sequence[Point], bins: int = DRAWN) -> list[Point]:
    """At most two points per bin, the lowest and the highest, so that no spike is lost."""
    if len(series) <= 2 * bins:
        return list(series)
    out: list[Point] = []
    for b in range(bins):
        part = series[b * len(series) // bins : (b + 1) * len(series) // bins]
        low, high = min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])
        out += sorted({low, high})
    return out


def logarithmic(*series: Sequence[tuple[int, float]]) -> bool:
    """Whether the losses span so much that a plain axis would flatten most of the run."""
    values = [v for one in series for _, v in known(one)]
    return bool(values) and min(values) > 0 and max(values) / min(values) > LOG_FROM


def _y_scale(values: Sequence[float], log: bool) -> tuple[Scale, list[float]]:
    low, high = min(values), max(values)
    if log:
        scale = Scale(low / 1.1, high * 1.1, log=True)
        return scale, log_ticks(scale.low, scale.high)
    if low > 0 and low < high / 3:
        low = 0.0  # close enough to zero to show it
    if high - low < 1e-9:
        low, high = low - abs(low or 1.0) / 10, high + abs(high or 1.0) / 10
    scale = Scale(*outward(low, high))
    return scale, ticks(scale.low, scale.high)


def _line(inner: ET.Element, series: Sequence[Point], x: Scale, y: Scale, cls: str) -> None:
    unit = STRETCH / 100
    points = " ".join(f"{x.at(s) * unit:.1f},{STRETCH - y.at(v) * unit:.1f}" for s, v in series)
    add(inner, "polyline", cls=cls, points=points, vector_effect="non-scaling-stroke")


def _end_labels(root: ET.Element, ends: Sequence[tuple[str, str, float]], y: Scale) -> None:
    """Names and last values beside the plot, pushed apart where the curves end close together."""
    placed = sorted(((HEIGHT * (1 - y.at(v) / 100), n, c, v) for n, c, v in ends))
    tops = [p[0] for p in placed]
    for i in range(1, len(tops)):
        tops[i] = max(tops[i], tops[i - 1] + LABEL_GAP)
    for i in range(len(tops) - 1, -1, -1):
        room = HEIGHT - 12 if i == len(tops) - 1 else tops[i + 1] - LABEL_GAP
        tops[i] = min(tops[i], room)
    for top, (_, name, cls, value) in zip(tops, placed, strict=True):
        text = add(root, "text", cls=f"end {cls}", x="100%", y=f"{top:.1f}")
        add(text, "tspan", name, x="100%", dx=10)
        add(text, "tspan", decimal(value), x="100%", dx=10, dy=15, cls="number")


def loss_chart(
    losses: Sequence[tuple[int, float]], validation: Sequence[tuple[int, float]]
) -> Markup | None:
    """The chart, or ``None`` if there are too few losses (one or none) for a curve."""
    train, held_out = known(losses), known(validation)
    if len(train) + len(held_out) < 2:
        return None
    smooth = smoothed(train)
    steps = [s for s, _ in (*train, *held_out)]
    x = Scale(min(steps), max(steps)) if max(steps) > min(steps) else Scale(0, max(steps) or 1)
    y, heights = _y_scale([v for _, v in (*train, *held_out)], logarithmic(losses, validation))
    said = "Loss by optimizer step."
    if smooth:
        said += f" Training, smoothed: {decimal(smooth[0][1])} to {decimal(smooth[-1][1])}."
    if held_out:
        said += f" Validation: {decimal(held_out[0][1])} to {decimal(held_out[-1][1])}."
    root = canvas(HEIGHT, said, "curve")
    for tick in heights:
        at = f"{100 - y.at(tick):g}%"
        base = tick == y.low
        add(root, "line", cls="zero" if base else "grid", x1="0", x2="100%", y1=at, y2=at)
        add(root, "text", decimal(tick), x=-8, y=at, dy=4, text_anchor="end", cls="number")
    for tick in (t for t in ticks(x.low, x.high, 4) if t == int(t)):  # there is no half step
        at = x.percent(tick)
        add(root, "line", cls="grid", x1=at, x2=at, y1=HEIGHT, y2=HEIGHT + 5)
        add(root, "text", f"{tick:,g}", x=at, y=HEIGHT + 19, text_anchor="middle", cls="number")
    inner = add(
        root,
        "svg",
        x=0,
        y=0,
        width="100%",
        height=HEIGHT,
        view_box=f"0 0 {STRETCH} {STRETCH}",
        preserve_aspect_ratio="none",
        overflow="visible",
    )
    if len(train) > 1:
        _line(inner, thinned(train), x, y, "train")
        _line(inner, thinned(smooth), x, y, "smooth")
    elif train:
        _dot(root, train[0], x, y, "train-dot")
    if len(held_out) > 1:
        _line(inner, held_out, x, y, "validation")
    if len(held_out) <= 60:
        for point in held_out:
            _dot(root, point, x, y, "validation-dot")
    ends = [("train", "of-train", smooth[-1][1])] if smooth else []
    ends += [("validation", "of-validation", held_out[-1][1])] if held_out else []
    _end_labels(root, ends, y)
    return markup(root)


def _dot(root: ET.Element, point: Point, x: Scale, y: Scale, cls: str) -> None:
    dot = add(root, "circle", cls=cls, cx=x.percent(point[0]), cy=f"{100 - y.at(point[1]):g}%", r=4)
    add(dot, "title", f"step {point[0]:,.0f}: {decimal(point[1])}")
