"""Choosing among samples instead of training: best of n, and generate, score, filter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple


def best(scores: Sequence[float], n: int) -> int:
    """The place of the highest of the first ``n`` scores; the first of equals."""
    return max(range(min(n, len(scores))), key=lambda i: scores[i])


def best_of_n_kl(n: int) -> float:
    """The KL of best-of-n from its sampler in nats: log n - (n - 1) / n (Stiennon et al. 2020,
    appendix G.3)."""
    return math.log(n) - (n - 1) / n


class Kept(NamedTuple):
    """``place`` of the text to give (None where all were filtered out), ``filtered`` how many."""

    place: int | None
    filtered: int


def safe_and_best(safety: Sequence[float], quality: Sequence[float], threshold: float) -> Kept:
    """Candidates of a safety below ``threshold`` are dropped; the best in quality is given
    (Thoppilan et al. 2022, section 6.1)."""
    left = [i for i, s in enumerate(safety) if s >= threshold]
    place = max(left, key=lambda i: quality[i]) if left else None
    return Kept(place, len(safety) - len(left))
