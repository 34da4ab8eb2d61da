"""Demonstrations for masked models: one per class, filled in, behind the query
(LM-BFF: Gao et al. 2021, arXiv 2012.15723, section 6)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from formats.errors import ConfigError
from formats.examples import Example
from formats.templates import Field

from .cloze import Asked, Sides


def nearest(similar: np.ndarray, share: float, exclude: int | None = None) -> list[int]:
    """The numbers of the most similar ``share`` of the rows (one at least), best first; row
    ``exclude`` (the query itself) is none of them. ``similar [rows]``."""
    if not 0 < share <= 1:
        raise ConfigError(
            "a share outside (0, 1]", got=share, expected="a number above 0, at most 1"
        )
    order = [int(k) for k in np.argsort(-similar, kind="stable") if int(k) != exclude]
    return order[: max(1, round(share * len(order)))]


def one_per_class(
    gold: Sequence[int], labels: int, similar: np.ndarray, share: float,
    draw: np.random.Generator, exclude: int | None = None,
) -> list[int]:  # fmt: skip
    """For each class one training row, drawn from its own nearest ``share``; classes without a row
    have none."""
    found = []
    for label in range(labels):
        rows = [k for k, y in enumerate(gold) if y == label and k != exclude]
        if rows:
            near = nearest(similar[rows], share)
            found.append(rows[near[int(draw.integers(len(near)))]])
    return found


def behind(query: Sides, shown: Sequence[Sequence[str]]) -> Sides:
    """``query`` followed by the pieces of filled-in demonstrations."""
    before, after = query
    return list(before), [*after, *(piece for pieces in shown for piece in (" ", *pieces))]


def filled(asked: Asked, example: Example, word: str) -> list[str]:
    """The pieces of a demonstration: its pattern with the label word in the blank, which stays
    where its texts are cut."""
    before, after = asked(example)
    ends = bool(before) and type(before[-1]) is not Field
    start = [*before[:-1], before[-1].rstrip()] if ends else before
    return [*start, " " + word, *after]
