"""Extractive answers: exact match and F1 over the best alternative."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from formats.examples import Answer, Example, QuestionAnswering

from ._base import Mean
from .normal import normal, tokens


def token_f1(one: list[str], two: list[str]) -> float:
    """SQuAD's overlap of two token lists; two empty lists are equal."""
    if not one or not two:
        return float(one == two)
    common = sum((Counter(one) & Counter(two)).values())
    return 2 * common / (len(one) + len(two))


def aligned_f1(given: Iterable[str], gold: Iterable[str]) -> float:
    """F1 of two sets of texts: the best one-to-one alignment, over the larger number of texts.

    For single texts this is SQuAD's F1; for several it is DROP's rule (Dua et al. 2019) without
    its condition on numbers. Two empty sets ("unanswerable") are equal.
    """
    ours, theirs = [tokens(t) for t in given], [tokens(t) for t in gold]
    if not ours or not theirs:
        return float(len(ours) == len(theirs))
    scores = np.array([[token_f1(a, b) for b in theirs] for a in ours])
    if scores.size == 1:
        return float(scores[0, 0])
    from scipy.optimize import linear_sum_assignment

    best = linear_sum_assignment(scores, maximize=True)
    return float(scores[best].sum() / max(scores.shape))


def _texts(answer: Answer) -> frozenset[str] | None:
    if isinstance(answer, str):
        return frozenset([answer])
    if isinstance(answer, frozenset) and all(isinstance(t, str) for t in answer):
        return frozenset(str(t) for t in answer)
    return None


@dataclass(frozen=True)
class AnswerMatch(Mean):
    """The share of answers whose normal forms equal those of an alternative, as sets."""

    def score(self, example: Example, answer: Answer) -> float:
        assert isinstance(example, QuestionAnswering)
        texts = _texts(answer)
        if texts is None:
            return 0.0
        given = {normal(t) for t in texts}
        return float(any(given == {normal(t) for t in alt} for alt in example.gold_texts()))


@dataclass(frozen=True)
class AnswerF1(Mean):
    """The mean of :func:`aligned_f1` with the best alternative."""

    def score(self, example: Example, answer: Answer) -> float:
        assert isinstance(example, QuestionAnswering)
        texts = _texts(answer)
        if texts is None:
            return 0.0
        return max(aligned_f1(sorted(texts), sorted(alt)) for alt in example.gold_texts())
