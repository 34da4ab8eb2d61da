"""Numbers: Pearson's and Spearman's correlation; constant answers correlate 0."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from formats.examples import Regression

from ._base import Metric, Summed
from ._record import Record


def _places(records: Sequence[Record]) -> np.ndarray:
    """Per row: whether the answer is a number, then gold and answer as places on the scale.

    Places are relative to the middle, and the scale has length 1; an answer beyond its ends is
    taken for the end, as decoding does. Rows of invalid answers are 0.
    """
    out = np.zeros((len(records), 3))
    for row, record in enumerate(records):
        example, answer = record.example, record.answer
        assert isinstance(example, Regression) and example.gold is not None
        middle, length = (example.low + example.high) / 2, example.high - example.low
        if isinstance(answer, (int, float)) and answer == answer and abs(answer) != math.inf:
            place = min(max(answer, example.low), example.high)
            out[row] = 1, (example.gold - middle) / length, (place - middle) / length
    return out


# Below this variance, on a scale of length 1, numbers are constant but for rounding.
_CONSTANT = 1e-14


@dataclass(frozen=True)
class Pearson(Summed):
    """Pearson's r of the rows with a valid answer, times their share of all rows.

    So an invalid answer counts as an uncorrelated one. Statistics: 1, valid, x, y, xx, yy, xy.
    """

    def rows(self, records: Sequence[Record]) -> np.ndarray:
        valid, x, y = _places(records).T
        return np.stack([np.ones_like(x), valid, x, y, x * x, y * y, x * y], axis=1)

    def of(self, sums: np.ndarray) -> np.ndarray:
        total, valid, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
        n = np.maximum(valid, 1)
        var_x, var_y = xx / n - (x / n) ** 2, yy / n - (y / n) ** 2
        varies = (var_x > _CONSTANT) & (var_y > _CONSTANT)
        below = np.sqrt(np.where(varies, var_x * var_y, 1.0))
        r = np.where(varies, np.clip((xy / n - x * y / n**2) / below, -1, 1), 0.0)
        return r * valid / total


@dataclass(frozen=True)
class Spearman(Metric):
    """As :class:`Pearson`, of the ranks, ties at their mean rank. Statistics: valid, x, y."""

    def rows(self, records: Sequence[Record]) -> np.ndarray:
        return _places(records)

    def reduce(self, stats: np.ndarray) -> float:
        from scipy.stats import rankdata

        valid = stats[stats[:, 0] > 0, 1:]
        if not len(valid):
            return 0.0
        x, y = (rankdata(column) - (len(valid) + 1) / 2 for column in valid.T)
        below = math.sqrt(float(x @ x) * float(y @ y))
        return float(x @ y) / below * len(valid) / len(stats) if below > 0 else 0.0
