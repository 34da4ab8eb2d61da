"""What a metric is, and the bootstrap over any of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from formats.errors import ConfigError
from formats.examples import Answer, Example

from ._record import Record, records

_CHUNK = 100  # bootstrap samples computed at a time, at most
_COUNTS = 1 << 20  # row counts held at a time, 8 bytes each


@dataclass(frozen=True)
class Metric:
    """``rows`` gives sufficient statistics per row, ``reduce`` the value of any set of rows.

    Where rows of a group count together, a "row" of statistics is a group. An answer of None, of
    another type or empty is wrong, and so are scores that are missing, too few or not numbers:
    nothing that a model says raises. Values lie in [0, 1], correlations in [-1, 1].
    """

    name: str
    uses_scores: ClassVar[bool] = False
    uses_groups: ClassVar[bool] = False

    def rows(self, records: Sequence[Record]) -> np.ndarray:
        """Statistics ``[n, k]``. All examples are labelled."""
        raise NotImplementedError

    def reduce(self, stats: np.ndarray) -> float:
        """The value over rows of statistics ``[m, k]``; order does not matter."""
        raise NotImplementedError

    def resampled(self, stats: np.ndarray, counts: np.ndarray) -> Iterable[float]:
        """Values of resamplings, ``[m]``: how often each of them has each row, ``[m, n]``."""
        return [self.reduce(np.repeat(stats, times, axis=0)) for times in counts]

    def signature(self, records: Sequence[Record]) -> str:
        """What has to be told beside the value so that another can be compared with it."""
        return ""

    def value(
        self,
        examples: Sequence[Example],
        answers: Sequence[Answer],
        scores: Sequence[Sequence[float] | None] | None = None,
        groups: Sequence[str] | None = None,
    ) -> float:
        """The value of these answers; raises ConfigError on unequal lengths or no gold."""
        return self.reduce(self.checked(records(examples, answers, scores, groups)))

    def checked(self, records: Sequence[Record]) -> np.ndarray:
        """:meth:`rows` after checking that there are any, and that every example is labelled."""
        if not records:
            raise ConfigError("no row to score", got=0, expected="at least one", metric=self.name)
        for record in records:
            if record.example.gold is None:
                raise ConfigError(
                    "an unlabelled example cannot be scored",
                    row=record.example.id,
                    metric=self.name,
                    fix="evaluate a split with gold answers",
                )
        return self.rows(records)


@dataclass(frozen=True)
class Summed(Metric):
    """A metric whose value is a function of the column sums of its statistics."""

    def of(self, sums: np.ndarray) -> np.ndarray:
        """Values ``[...]`` of column sums ``[..., k]``."""
        raise NotImplementedError

    def reduce(self, stats: np.ndarray) -> float:
        return float(self.of(stats.sum(axis=0)))

    def resampled(self, stats: np.ndarray, counts: np.ndarray) -> Iterable[float]:
        return np.atleast_1d(self.of(counts.astype(float) @ stats)).tolist()


@dataclass(frozen=True)
class Mean(Summed):
    """The mean of a score per row; subclasses say which."""

    def score(self, example: Example, answer: Answer) -> float:
        raise NotImplementedError

    def rows(self, records: Sequence[Record]) -> np.ndarray:
        scores = [self.score(r.example, r.answer) for r in records]
        return np.stack([np.array(scores, dtype=float), np.ones(len(scores))], axis=1)

    def of(self, sums: np.ndarray) -> np.ndarray:
        return ratio(sums[..., 0], sums[..., 1])


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """``above / below``, and 0 where ``below`` is 0."""
    above, below = np.asarray(above, dtype=float), np.asarray(below, dtype=float)
    return np.divide(above, below, out=np.zeros(np.broadcast(above, below).shape), where=below != 0)


def bootstrap(
    metric: Metric, stats: np.ndarray, n: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile interval over ``n`` resamplings of the rows (Efron 1979).

    A resampling is a vector of row counts, so that most metrics compute many at once.
    """
    rng = np.random.default_rng(seed)
    size = len(stats)
    step = max(1, min(_CHUNK, _COUNTS // size))
    values: list[float] = []
    for done in range(0, n, step):
        counts = rng.multinomial(size, np.full(size, 1 / size), size=min(step, n - done))
        values.extend(metric.resampled(stats, counts))
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def macro(values: Sequence[float]) -> float:
    """The unweighted mean over tasks. No value at all is an error, not a zero."""
    if not values:
        raise ConfigError("a macro average over no task", got=[], expected="at least one value")
    return float(np.mean(values))
