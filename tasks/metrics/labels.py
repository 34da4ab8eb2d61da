"""One answer of a closed set: accuracy, macro F1, Matthews correlation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from formats.examples import Answer, Example, MultipleChoice

from ._base import Mean, Summed, ratio
from ._record import Record


def classes(examples: Sequence[Example]) -> list[object]:
    """All possible answers of the examples, in order of first mention."""
    found: dict[object, None] = {}
    spaces: set[int] = set()
    for example in examples:
        if isinstance(example, MultipleChoice):
            found.update(dict.fromkeys(range(len(example.options))))
        elif id(example.labels) not in spaces:  # type: ignore[union-attr]
            spaces.add(id(example.labels))  # type: ignore[union-attr]
            found.update(dict.fromkeys(example.labels.names))  # type: ignore[union-attr]
    return list(found)


@dataclass(frozen=True)
class Accuracy(Mean):
    """The share of answers that equal gold."""

    def score(self, example: Example, answer: Answer) -> float:
        return float(answer is not None and answer == example.gold)


@dataclass(frozen=True)
class PositiveF1(Summed):
    """F1 of the label ``positive``; of the last one where that is None.

    What is no label counts as the wrong one, so as a positive answer where gold is not.
    Statistics: hits, answers, golds.
    """

    positive: str | None = None

    def rows(self, records: Sequence[Record]) -> np.ndarray:
        out = np.zeros((len(records), 3))
        for row, record in enumerate(records):
            names = record.example.labels.names  # type: ignore[union-attr]
            positive = names[-1] if self.positive is None else self.positive
            gold = record.example.gold == positive
            given = record.answer == positive or not (gold or record.answer in names)
            out[row] = gold and given, given, gold
        return out

    def of(self, sums: np.ndarray) -> np.ndarray:
        return ratio(2 * sums[..., 0], sums[..., 1] + sums[..., 2])


def _one_hot(values: Sequence[object], index: dict[object, int]) -> np.ndarray:
    """``[n, classes]``; a value that is no class (None, rubbish) is a row of zeros."""
    out = np.zeros((len(values), len(index)))
    for row, value in enumerate(values):
        column = index.get(value) if isinstance(value, (str, int)) else None
        if column is not None:
            out[row, column] = 1
    return out


def _gold_and_answers(records: Sequence[Record]) -> tuple[np.ndarray, np.ndarray]:
    index = {name: i for i, name in enumerate(classes([r.example for r in records]))}
    gold, given = [r.example.gold for r in records], [r.answer for r in records]
    return _one_hot(gold, index), _one_hot(given, index)


@dataclass(frozen=True)
class MacroF1(Summed):
    """The mean F1 of the classes that gold names, or of all classes with ``all_labels``.

    Statistics per class: hits, answers, golds.
    """

    all_labels: bool = False

    def rows(self, records: Sequence[Record]) -> np.ndarray:
        gold, given = _gold_and_answers(records)
        return np.concatenate([gold * given, given, gold], axis=1)

    def of(self, sums: np.ndarray) -> np.ndarray:
        hits, given, gold = np.split(sums, 3, axis=-1)
        f1 = ratio(2 * hits, given + gold)
        counted = np.ones_like(gold) if self.all_labels else gold > 0
        return ratio((f1 * counted).sum(-1), counted.sum(-1))


@dataclass(frozen=True)
class Matthews(Summed):
    """Matthews correlation for any number of classes (R_K, Gorodkin 2004); 0 when undefined.

    Invalid answers count as a class of their own. Statistics: n, hits, then answers and golds
    per class.
    """

    def rows(self, records: Sequence[Record]) -> np.ndarray:
        gold, given = _gold_and_answers(records)
        invalid = 1 - given.sum(axis=1, keepdims=True)
        none = np.zeros_like(invalid)
        one, hits = np.ones_like(invalid), (gold * given).sum(axis=1, keepdims=True)
        return np.concatenate([one, hits, given, invalid, gold, none], axis=1)

    def of(self, sums: np.ndarray) -> np.ndarray:
        n, hits = sums[..., 0], sums[..., 1]
        given, gold = np.split(sums[..., 2:], 2, axis=-1)
        above = n * hits - (given * gold).sum(-1)
        below = (n * n - (given * given).sum(-1)) * (n * n - (gold * gold).sum(-1))
        return ratio(above, np.sqrt(np.maximum(below, 0)))
