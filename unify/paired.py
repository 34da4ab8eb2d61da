"""Paired significance: two models on the same rows, for any metric with row statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.metrics import Metric

_COUNTS = 1 << 20  # row counts held at a time


@dataclass(frozen=True)
class Sides:
    """One task's row statistics of two runs, ``[n, k]`` each, a pair per seed or one for all.

    Row ``i`` of every array is about the same row of data (or group of rows).
    """

    metric: Metric
    a: Sequence[np.ndarray]
    b: Sequence[np.ndarray]

    @property
    def rows(self) -> int:
        return len(self.a[0])

    def values(self) -> tuple[float, float]:
        """The metric's value on each side, the mean over seeds."""
        reduce = self.metric.reduce
        a, b = ([reduce(stats) for stats in side] for side in (self.a, self.b))
        return math.fsum(a) / len(a), math.fsum(b) / len(b)

    def resampled(self, counts: np.ndarray) -> np.ndarray:
        """Differences a - b, ``[m]``, of resamplings: how often each has each row, ``[m, n]``."""
        a, b = (
            np.mean([list(self.metric.resampled(stats, counts)) for stats in side], axis=0)
            for side in (self.a, self.b)
        )
        return np.asarray(a - b)

    def swapped(self, swap: np.ndarray) -> np.ndarray:
        """Differences a - b, ``[m]``, with the rows where ``swap`` (``[m, n]``) is 1 exchanged
        between the sides, in all seeds alike."""
        if len(self.a) != len(self.b):
            raise ValueError("an exchange of rows between unequal numbers of seeds")
        sides = []
        for counts in (np.hstack([1 - swap, swap]), np.hstack([swap, 1 - swap])):
            pairs = (np.concatenate(pair) for pair in zip(self.a, self.b, strict=True))
            found = [list(self.metric.resampled(pair, counts)) for pair in pairs]
            sides.append(np.mean(found, axis=0))
        return np.asarray(sides[0] - sides[1])


@dataclass(frozen=True)
class Difference:
    """a - b with its 95% interval, and how often chance alone gives as much."""

    value: float
    low: float
    high: float
    p: float


def randomised(observed: float, differences: np.ndarray) -> float:
    """Two-sided p of approximate randomisation (Noreen 1989; Yeh 2000): the share of exchanges
    with a difference as large, the observed one counted among them."""
    as_large = int(np.sum(np.abs(differences) >= abs(observed) - 1e-12))
    return (as_large + 1) / (len(differences) + 1)


def compared(
    sides: Sequence[Sides], n: int = 1000, seed: int = 0, numbers: Sequence[int] | None = None
) -> tuple[list[Difference], Difference]:
    """Each task's difference, and that of the macro averages: a paired bootstrap interval over
    rows and a p by exchanging rows, both with ``n`` samples. Tasks are drawn independently, each
    by its number in ``numbers`` (its place): one that is met again is drawn alike."""
    observed = [a - b for a, b in (s.values() for s in sides)]
    drawn, exchanged = [], []
    for number, one in zip(numbers or range(len(sides)), sides, strict=True):
        rng, size = np.random.default_rng([seed, number]), one.rows
        even = np.full(size, 1 / size)
        parts = [min(_step(size), n - done) for done in range(0, n, _step(size))]
        drawn.append(np.concatenate([one.resampled(rng.multinomial(size, even, m)) for m in parts]))
        exchanged.append(
            np.concatenate([one.swapped(rng.integers(0, 2, (m, size))) for m in parts])
        )
    each = [_told(o, d, e) for o, d, e in zip(observed, drawn, exchanged, strict=True)]
    whole = _told(
        math.fsum(observed) / len(observed), np.mean(drawn, axis=0), np.mean(exchanged, axis=0)
    )
    return each, whole


def _step(rows: int) -> int:
    """How many samples of so many rows are computed at a time."""
    return max(1, min(100, _COUNTS // (2 * rows)))


def _told(observed: float, drawn: np.ndarray, exchanged: np.ndarray) -> Difference:
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Difference(observed, float(low), float(high), randomised(observed, exchanged))


def mcnemar(only_a: int, only_b: int) -> float:
    """Exact two-sided p that rows which one side alone has right fall evenly (McNemar 1947)."""
    n, k = only_a + only_b, min(only_a, only_b)
    # In whole numbers: 2 ** n is no float from 1024 on.
    tail = sum(math.comb(n, i) for i in range(k + 1))
    return min(1.0, float(2 * tail / 2**n)) if n else 1.0


def holm(ps: Sequence[float]) -> list[float]:
    """``ps`` adjusted for their number (Holm 1979), in the order given."""
    adjusted, least = [0.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        least = max(least, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = least
    return adjusted
