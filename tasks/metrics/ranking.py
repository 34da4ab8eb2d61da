"""Metrics of scores: the area under the ROC per label, and rankings within groups."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from formats.base import option_words
from formats.examples import MultipleChoice

from ._base import Mean, Metric, ratio
from ._record import Record
from .labels import classes


def option_scores(record: Record) -> list[float]:
    """One score per option. Without valid ones those that the answer says: 1 for what it names,
    0 for the rest; a row with neither ranks its right options last, at -inf, the rest at +inf."""
    options, size = _options(record), len(option_words(record.example))
    given = record.scores
    if given is not None and len(given) == size and not any(map(_no_number, given)):
        return [float(s) for s in given]
    if isinstance(record.answer, frozenset):
        named: object = record.answer
        chosen = [option in record.answer for option in options]
        if all(name in options for name in record.answer):
            return [float(c) for c in chosen]
    else:
        named = record.answer
        if isinstance(named, (str, int)) and named in options:
            return [float(option == named) for option in options]
    return [-math.inf if right else math.inf for right in _right(record)]


def _no_number(score: object) -> bool:
    return not isinstance(score, (int, float, np.floating)) or math.isnan(score)


def _options(record: Record) -> Sequence[object]:
    example = record.example
    if isinstance(example, MultipleChoice):
        return range(len(example.options))
    return example.labels.names  # type: ignore[union-attr]


def _right(record: Record) -> list[bool]:
    gold = record.example.gold
    if isinstance(gold, frozenset):
        return [option in gold for option in _options(record)]
    return [option == gold for option in _options(record)]


@dataclass(frozen=True)
class LabelAuc(Metric):
    """The mean over labels of the area under the ROC curve of the label's score over rows.

    The share of pairs of a row that has the label and one that has not in which the first scores
    higher, ties as half (Mann and Whitney 1947); each label's score is that of its description
    (Zhong et al. 2021). A label that all rows have, or none, is left out; 0.5 where all are.

    Statistics: per label 1, 0 or NaN (no option of the row), then the score's rank over all rows,
    equal for ties.
    """

    uses_scores: ClassVar[bool] = True

    def rows(self, records: Sequence[Record]) -> np.ndarray:
        names = classes([r.example for r in records])
        index = {name: i for i, name in enumerate(names)}
        gold = np.full((len(records), len(names)), np.nan)
        score = np.zeros_like(gold)
        for row, record in enumerate(records):
            columns = [index[name] for name in _options(record)]
            gold[row, columns] = _right(record)
            score[row, columns] = option_scores(record)
        ranks = [np.unique(column, return_inverse=True)[1] for column in score.T]
        return np.concatenate([gold, np.stack(ranks, axis=1)], axis=1)

    def reduce(self, stats: np.ndarray) -> float:
        (value,) = self.resampled(stats, np.ones((1, len(stats)), dtype=int))
        return value

    def resampled(self, stats: np.ndarray, counts: np.ndarray) -> list[float]:
        gold, ranks = np.split(stats, 2, axis=1)
        # Rows are gathered fastest; sums of counts are exact below 2^24.
        times = np.ascontiguousarray(counts.T, dtype=np.float32)
        areas = np.stack([_areas(g, r, times) for g, r in zip(gold.T, ranks.T, strict=True)])
        known = np.isfinite(areas)
        total = np.where(known, areas, 0.0).sum(axis=0)
        labels = known.sum(axis=0)
        return np.where(labels > 0, total / np.maximum(labels, 1), 0.5).tolist()  # type: ignore[no-any-return]


def _areas(gold: np.ndarray, ranks: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Of one label in each resampling, ``[m]``; NaN where it is not defined.

    ``gold`` and ``ranks`` are ``[n]``, ``counts`` is ``[n, m]``.
    """
    have, lack = (np.flatnonzero(gold == g) for g in (1, 0))
    lack = lack[np.argsort(ranks[lack])]
    # Rows without the label before each place.
    below = np.zeros((len(lack) + 1, counts.shape[1]), dtype=np.float32)
    np.cumsum(counts[lack], axis=0, out=below[1:])
    first, last = (np.searchsorted(ranks[lack], ranks[have], side) for side in ("left", "right"))  # type: ignore[call-overload]
    times = counts[have]
    won = (times * (below[first] + below[last])).sum(axis=0, dtype=float) / 2
    pairs = times.sum(axis=0, dtype=float) * below[-1]
    return np.divide(won, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


@dataclass(frozen=True)
class _Ranking(Mean):
    """The mean over groups of what one ranking is worth. Groups without a relevant row do not
    count, as in WikiQA (Yang et al. 2015). On ties the irrelevant one comes first.

    A group is the rows of one ``group``, of which those with the label ``positive`` are relevant
    (the last label where that is None), or the options of a MultipleChoice row.
    """

    positive: str | None = None
    uses_scores: ClassVar[bool] = True
    uses_groups: ClassVar[bool] = True

    def worth(self, relevant: np.ndarray) -> float:
        """Of a ranking with at least one relevant place; ``relevant`` is 0/1, best first."""
        raise NotImplementedError

    def rows(self, records: Sequence[Record]) -> np.ndarray:
        out = []
        for found in _rankings(records, self.positive):
            order = sorted(found, key=lambda pair: (-pair[0], pair[1]))
            relevant = np.array([right for _, right in order], dtype=float)
            out.append((self.worth(relevant), 1.0) if relevant.any() else (0.0, 0.0))
        return np.array(out)


def _rankings(
    records: Sequence[Record], positive: str | None
) -> Iterator[list[tuple[float, bool]]]:
    """Per group (score, relevant)."""
    groups: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for record in records:
        scores, right = option_scores(record), _right(record)
        if isinstance(record.example, MultipleChoice):
            yield list(zip(scores, right, strict=True))
            continue
        at = -1 if positive is None else record.example.labels.index(positive)  # type: ignore[union-attr]
        own = scores.pop(at)
        # The margin over the best other label; infinite both ways for a row without an answer.
        margin = own if math.isinf(own) else own - max(scores)
        groups[_group(record)].append((margin, right[at]))
    yield from groups.values()


def _group(record: Record) -> str:
    return record.example.id if record.group is None else record.group


@dataclass(frozen=True)
class AveragePrecision(_Ranking):
    """MAP: the mean precision at the places of the relevant rows."""

    def worth(self, relevant: np.ndarray) -> float:
        precision = ratio(np.cumsum(relevant), np.arange(1, len(relevant) + 1))
        return float(precision @ relevant / relevant.sum())


@dataclass(frozen=True)
class ReciprocalRank(_Ranking):
    """MRR: one over the place of the first relevant row."""

    def worth(self, relevant: np.ndarray) -> float:
        return 1.0 / (int(relevant.argmax()) + 1)


@dataclass(frozen=True)
class Consistency(Mean):
    """The share of groups with every row right (contrast sets, Gardner et al. 2020)."""

    uses_groups: ClassVar[bool] = True

    def rows(self, records: Sequence[Record]) -> np.ndarray:
        groups: dict[str, bool] = {}
        for record in records:
            right = record.answer is not None and record.answer == record.example.gold
            group = _group(record)
            groups[group] = groups.get(group, True) and right
        return np.array([(float(right), 1.0) for right in groups.values()])
