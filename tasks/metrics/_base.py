"""What a metric is, and the bootstrap over any of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from formats.errors import ConfigError
from formats.examples import Answer, Example

_CHUNK = 100  # bootstrap samples computed at a time, which bounds memory to _CHUNK * n counts


@dataclass(frozen=True)
class Metric:
    """``rows`` gives sufficient statistics per row, ``reduce`` the value of any set of rows.

    An answer of None is wrong and never raises. Values lie in [0, 1], correlations in [-1, 1].
    """

    name: str

    def rows(self, examples: Sequence[Example], answers: Sequence[Answer]) -> np.ndarray:
        """Statistics ``[n, k]``. All examples are labelled."""
        raise NotImplementedError

    def reduce(self, stats: np.ndarray) -> float:
        """The value over rows of statistics ``[m, k]``; order does not matter."""
        raise NotImplementedError

    def value(self, examples: Sequence[Example], answers: Sequence[Answer]) -> float:
        """``reduce(rows(examples, answers))``; raises ConfigError on unequal lengths or no gold."""
        return self.reduce(self.checked(examples, answers))

    def checked(self, examples: Sequence[Example], answers: Sequence[Answer]) -> np.ndarray:
        """:meth:`rows` after checking that every example is labelled and answered."""
        if len(examples) != len(answers) or not examples:
            raise ConfigError(
                "answers that do not belong to the examples",
                got=f"{len(examples)} examples, {len(answers)} answers",
                expected="one answer per example, and at least one",
                metric=self.name,
            )
        for example in examples:
            if example.gold is None:
                raise ConfigError(
                    "an unlabelled example cannot be scored",
                    row=example.id,
                    metric=self.name,
                    fix="evaluate a split with gold answers",
                )
        return self.rows(examples, answers)


@dataclass(frozen=True)
class Summed(Metric):
    """A metric whose value is a function of the column sums of its statistics."""

    def of(self, sums: np.ndarray) -> np.ndarray:
        """Values ``[...]`` of column sums ``[..., k]``."""
        raise NotImplementedError

    def reduce(self, stats: np.ndarray) -> float:
        return float(self.of(stats.sum(axis=0)))


@dataclass(frozen=True)
class Mean(Summed):
    """The mean of a score per row; subclasses say which."""

    def score(self, example: Example, answer: Answer) -> float:
        raise NotImplementedError

    def rows(self, examples: Sequence[Example], answers: Sequence[Answer]) -> np.ndarray:
        scores = [self.score(e, a) for e, a in zip(examples, answers, strict=True)]
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

    For metrics over sums a resampling is a vector of row counts, and a matrix product computes
    many at once.
    """
    rng = np.random.default_rng(seed)
    size = len(stats)
    values: list[float] = []
    for done in range(0, n, _CHUNK):
        times = min(_CHUNK, n - done)
        if isinstance(metric, Summed):
            counts = rng.multinomial(size, np.full(size, 1 / size), size=times).astype(float)
            values.extend(np.atleast_1d(metric.of(counts @ stats)))
        else:
            for chosen in rng.integers(0, size, size=(times, size)):
                values.append(metric.reduce(stats[chosen]))
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def macro(values: Sequence[float]) -> float:
    """The unweighted mean over tasks. No value at all is an error, not a zero."""
    if not values:
        raise ConfigError("a macro average over no task", got=[], expected="at least one value")
    return float(np.mean(values))
