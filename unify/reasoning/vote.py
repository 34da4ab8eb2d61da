"""One answer from several samples (Wang et al. 2023, self-consistency)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from formats.examples import Answer

from .questions import Question


@dataclass(frozen=True)
class Vote:
    """``share`` is the answer's share of all weight, unreadable samples included: how far the
    samples agree."""

    answer: Answer
    share: float


def likelihood(logprob: float | None, tokens: int) -> float:
    """A text's probability per token: exp(log p / tokens) (Wang et al. 2023, eq. 1)."""
    return math.exp((logprob or 0.0) / max(1, tokens))


def vote(question: Question, answers: Sequence[Answer], weights: Sequence[float]) -> Vote:
    """The answer with most weight; of equals, the one sampled first."""
    sums: dict[object, float] = {}
    first: dict[object, Answer] = {}
    for answer, weight in zip(answers, weights, strict=True):
        if answer is not None:
            key = question.key(answer)
            first.setdefault(key, answer)
            sums[key] = sums.get(key, 0.0) + weight
    whole = math.fsum(weights)
    if not sums or whole <= 0:
        return Vote(None, 0.0)
    best = max(sums, key=lambda k: sums[k])  # the first of equals
    return Vote(first[best], sums[best] / whole)


def among_complex(steps: Sequence[int], most: int) -> list[int]:
    """The places of the ``most`` samples with most steps, in sampling order (Fu et al. 2023,
    complexity-based consistency)."""
    ranked = sorted(range(len(steps)), key=lambda i: (-steps[i], i))
    return sorted(ranked[:most])
