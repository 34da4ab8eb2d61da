"""Sets of labels: micro and macro F1, and subset accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from formats.examples import Answer, Example

from ._base import Mean, Summed, ratio
from ._record import Record
from .labels import classes


def _sets(records: Sequence[Record]) -> tuple[np.ndarray, np.ndarray]:
    """Gold and answered labels as 0/1 ``[n, classes]``; what is no set of labels is empty."""
    index = {name: i for i, name in enumerate(classes([r.example for r in records]))}
    gold, given = np.zeros((2, len(records), len(index)))
    for row, record in enumerate(records):
        for name in record.example.gold or ():  # type: ignore[union-attr]
            gold[row, index[name]] = 1
        for name in record.answer if isinstance(record.answer, frozenset) else ():
            if name in index:
                given[row, index[name]] = 1
    return gold, given


@dataclass(frozen=True)
class MultiMicroF1(Summed):
    """F1 over all (row, label) decisions. Statistics: hits, answers, golds."""

    def rows(self, records: Sequence[Record]) -> np.ndarray:
        gold, given = _sets(records)
        return np.stack([(gold * given).sum(1), given.sum(1), gold.sum(1)], axis=1)

    def of(self, sums: np.ndarray) -> np.ndarray:
        return ratio(2 * sums[..., 0], sums[..., 1] + sums[..., 2])


@dataclass(frozen=True)
class MultiMacroF1(Summed):
    """The mean F1 of the labels that gold names, or of all labels with ``all_labels``."""

    all_labels: bool = False

    def rows(self, records: Sequence[Record]) -> np.ndarray:
        gold, given = _sets(records)
        return np.concatenate([gold * given, given, gold], axis=1)

    def of(self, sums: np.ndarray) -> np.ndarray:
        hits, given, gold = np.split(sums, 3, axis=-1)
        counted = np.ones_like(gold) if self.all_labels else gold > 0
        return ratio((ratio(2 * hits, given + gold) * counted).sum(-1), counted.sum(-1))


@dataclass(frozen=True)
class SubsetAccuracy(Mean):
    """The share of rows whose whole set is right."""

    def score(self, example: Example, answer: Answer) -> float:
        return float(answer is not None and answer == example.gold)
