"""The loss curve: training loss smoothed, over the losses themselves, and validation as points."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from markupsafe import Markup

from .lines import Line, Panel, Point, chart
from .numbers import decimal, finite

DRAWN = 400  # bins along x; a longer run shows the lowest and highest loss of each bin
LOG_FROM = 20.0  # highest / lowest loss from which the axis is logarithmic


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


def loss_chart(
    losses: Sequence[tuple[int, float]], validation: Sequence[tuple[int, float]]
) -> Markup | None:
    """The chart, or ``None`` if there are too few losses (one or none) for a curve."""
    train, held_out = known(losses), known(validation)
    if len(train) + len(held_out) < 2:
        return None
    smooth = smoothed(train)
    said = "Loss by optimizer step."
    if smooth:
        said += f" Training, smoothed: {decimal(smooth[0][1])} to {decimal(smooth[-1][1])}."
    if held_out:
        said += f" Validation: {decimal(held_out[0][1])} to {decimal(held_out[-1][1])}."
    # The end is named by the last value, which thinning may leave out.
    drawn = [*thinned(smooth), *smooth[-1:]]
    found = [Line("training", drawn, under=thinned(train))] if smooth else []
    if held_out:
        found.append(Line("validation", held_out, marks=len(held_out) <= 60))
    return chart(Panel(found, log_y=logarithmic(losses, validation)), said)
