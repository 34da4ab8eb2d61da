"""Demonstrations for masked models: one per class, filled in, behind the query
(LM-BFF: Gao et al. 2021, arXiv 2012.15723, section 6)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from formats.errors import ConfigError
from formats.examples import Example

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


def behind(query: Sides, shown: Sequence[str]) -> Sides:
    """``query`` followed by filled-in demonstrations."""
    before, after = query
    return list(before), [*after, *(" " + text for text in shown)]


def filled(asked: Asked, example: Example, word: str) -> str:
    """The pattern of a demonstration with its label word in the blank."""
    before, after = asked(example)
    text = "".join(map(str.__str__, before)).rstrip() + " " + word
    return text + "".join(map(str.__str__, after))
