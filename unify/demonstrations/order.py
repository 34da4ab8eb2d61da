"""Ordering demonstrations by what a model says about probes, without a label.

All take ``p [orders, probes, labels]``: for each candidate order, the model's label probabilities
on the same probing examples (Lu et al. 2022, section 3; the probes are the model's own texts).
The same numbers choose between prompts.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from formats.errors import ConfigError, UnknownName

Values = NDArray[np.float64]


def orders(k: int, most: int = 24, seed: int = 0) -> list[tuple[int, ...]]:
    """All orders of ``k`` demonstrations, or ``most`` different ones drawn at random."""
    if math.factorial(k) <= most:
        return list(itertools.permutations(range(k)))
    draw = random.Random(f"orders {seed}")
    found: dict[tuple[int, ...], None] = {}
    while len(found) < most:
        found[tuple(draw.sample(range(k), k))] = None
    return list(found)


def _checked(p: ArrayLike) -> Values:
    table = np.asarray(p, np.float64)
    if table.ndim != 3 or 0 in table.shape:
        raise ConfigError(
            "not [orders, probes, labels]", got=table.shape, expected="an array of three dimensions"
        )
    return table


def entropy(p: Values) -> Values:
    """In nats, over the last axis; 0 log 0 is 0."""
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    return -(p * logs).sum(-1) + 0.0


def global_entropy(p: ArrayLike) -> Values:
    """GlobalE: the entropy of how often each label is predicted over the probes (eq. 4-5)."""
    table = _checked(p)
    counts = np.eye(table.shape[2])[table.argmax(2)].mean(1)
    return entropy(counts)


def local_entropy(p: ArrayLike) -> Values:
    """LocalE: the mean entropy of the label probabilities of each probe (eq. 6-7)."""
    return entropy(_checked(p)).mean(1)


def mutual_information(p: ArrayLike) -> Values:
    """Between probe and label: the entropy of the mean less the mean entropy (Sorensen et al.
    2022, section 3)."""
    table = _checked(p)
    return entropy(table.mean(1)) - entropy(table).mean(1)


SCORES: dict[str, Callable[[ArrayLike], Values]] = {
    "global_entropy": global_entropy,
    "local_entropy": local_entropy,
    "mutual_information": mutual_information,
}


def chosen_order(p: ArrayLike, by: str = "global_entropy") -> int:
    """The place of the order with the largest score; the first of equals."""
    if by not in SCORES:
        raise UnknownName("ordering", by, SCORES)
    return int(SCORES[by](p).argmax())
