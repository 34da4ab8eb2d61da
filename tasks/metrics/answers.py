"""Extractive answers: exact match and F1 over the best alternative."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from formats.examples import Answer, Example, QuestionAnswering

from ._base import Mean
from .normal import SQUAD, Form


def aligned_f1(
    given: Iterable[str], gold: Iterable[str], f1: Callable[[str, str], float] = SQUAD.f1
) -> float:
    """F1 of two sets of texts: the best one-to-one alignment, over the larger number of texts.

    For single texts this is SQuAD's F1; for several it is DROP's rule (Dua et al. 2019) without
    its condition on numbers. Two empty sets ("unanswerable") are equal.
    """
    ours, theirs = list(given), list(gold)
    if not ours or not theirs:
        return float(len(ours) == len(theirs))
    scores = np.array([[f1(a, b) for b in theirs] for a in ours])
    if scores.size == 1:
        return float(scores[0, 0])
    from scipy.optimize import linear_sum_assignment

    best = linear_sum_assignment(scores, maximize=True)
    return float(scores[best].sum() / max(scores.shape))


@dataclass(frozen=True)
class _Answers(Mean):
    """As SQuAD 2.0 counts: the best alternative, and a text whose form is empty is no text.

    ``form`` compares two texts.
    """

    form: Form = SQUAD

    def alike(self, given: list[str], gold: list[str]) -> float:
        raise NotImplementedError

    def score(self, example: Example, answer: Answer) -> float:
        assert isinstance(example, QuestionAnswering)
        texts = frozenset([answer]) if isinstance(answer, str) else answer
        if not isinstance(texts, frozenset) or not all(isinstance(t, str) for t in texts):
            return 0.0
        given = self._visible(texts)
        # Alternatives that are nothing but articles or punctuation count only where all are.
        golds = [g for alt in example.gold_texts() if (g := self._visible(alt)) or not alt]
        return max(self.alike(given, gold) for gold in golds or [[]])

    def _visible(self, texts: Iterable[object]) -> list[str]:
        return sorted(str(t) for t in texts if self.form.normal(str(t)))


@dataclass(frozen=True)
class AnswerMatch(_Answers):
    """The share of answers whose normal forms equal those of an alternative, as sets."""

    def alike(self, given: list[str], gold: list[str]) -> float:
        return float({self.form.normal(t) for t in given} == {self.form.normal(t) for t in gold})


@dataclass(frozen=True)
class AnswerF1(_Answers):
    """The mean of :func:`aligned_f1` with the best alternative."""

    def alike(self, given: list[str], gold: list[str]) -> float:
        return aligned_f1(given, gold, self.form.f1)
