"""Auto-CoT (Zhang et al. 2023): demonstrations that the model writes itself, for diverse questions.

Questions are clustered; the one nearest to each centre whose reasoning is short becomes the
cluster's demonstration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formats.errors import ConfigError
from formats.examples import Answer

from .chain import ZeroShot
from .demos import Demo, steps
from .lm import LM
from .questions import Question


@dataclass(frozen=True)
class Limits:
    """What a demonstration may be: tokens (words) of its question, steps of its rationale."""

    question: int = 60
    steps: int = 5


@dataclass(frozen=True)
class Found:
    """``demos`` stand in the order of their clusters. ``tried`` counts the questions asked,
    ``without`` the clusters none of whose questions would do."""

    demos: tuple[Demo, ...]
    tried: int
    without: int


def clusters(vectors: NDArray[np.float32], k: int, seed: int) -> list[list[int]]:
    """Places of ``vectors [questions, size]`` in ``k`` k-means clusters, the nearest to a centre
    first. Clusters stand in the order of their first member. Raises ConfigError."""
    from sklearn.cluster import KMeans

    if not 1 <= k <= len(vectors):
        raise ConfigError("more clusters than questions", got=k, expected=f"1 to {len(vectors)}")
    made = KMeans(k, n_init=10, random_state=seed).fit(vectors)
    apart = np.linalg.norm(vectors - made.cluster_centers_[made.labels_], axis=1)
    found = [np.flatnonzero(made.labels_ == c) for c in range(k)]
    ranked = [sorted(map(int, c), key=lambda i: (float(apart[i]), i)) for c in found if len(c)]
    return sorted(ranked, key=min)


def vectors_of(texts: Sequence[str], encoder: str | None) -> NDArray[np.float32]:
    """By a sentence encoder, or without one by bags of words."""
    from ..demonstrations import bag_of_words, encoded

    return encoded(encoder, texts) if encoder else bag_of_words(texts)[0].toarray()


def demonstrate(
    lm: LM,
    questions: Sequence[Question],
    groups: Sequence[Sequence[int]],
    by: ZeroShot,
    limits: Limits,
    tries: int = 8,
) -> Found:
    """One demonstration per group: the first question, in the group's order, that is short, and
    whose reasoning by ``by`` is short and ends in an answer. All groups are asked together;
    ``tries`` questions each at most."""
    short = [
        [i for i in group if len(questions[i].text.split()) <= limits.question][:tries]
        for group in groups
    ]
    made: dict[int, Demo] = {}
    tried = 0
    for turn in range(tries):
        asked = [(g, s[turn]) for g, s in enumerate(short) if g not in made and turn < len(s)]
        if not asked:
            break
        tried += len(asked)
        places = [i for _, i in asked]
        for (g, i), found in zip(
            asked, by(lm, [questions[i] for i in places], places), strict=True
        ):
            rationale = found.texts[0].strip()
            if good(rationale, found.answer, limits):
                answer = questions[i].written(found.answer)
                made[g] = Demo(questions[i].text, answer, f"{by.trigger} {rationale}")
    return Found(tuple(made[g] for g in sorted(made)), tried, len(groups) - len(made))


def good(rationale: str, answer: Answer, limits: Limits) -> bool:
    """Whether reasoning may be shown: some, of few steps, with an answer."""
    return bool(rationale.strip()) and answer is not None and steps(rationale) <= limits.steps
