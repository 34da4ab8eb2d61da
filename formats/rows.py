"""Feature rows: one shared text and its variants as ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np

from .instances import Instance

Ints: TypeAlias = Sequence[int] | np.ndarray
Ids = TypeVar("Ids", list[int], np.ndarray)

MOST_VARIANTS = 64  # a feature row holds at most so many; a larger group becomes several rows


class Group(NamedTuple):
    """The instances of one example; ``row`` is its number in its task's split."""

    row: int
    instances: Sequence[Instance]


@dataclass(slots=True)
class FeatureRow:
    """One shared text and its variants as ids.

    ``instance`` is the group's first instance that this row speaks of, ``window`` the number of
    its passage window. ``offsets`` holds (start, end) characters per passage token, flattened;
    ``spans`` (variant, first token, last token, type) and ``closed`` (candidate, first, last; a
    candidate may have several places), flattened, tokens counted within ``shared``.
    ``candidates`` is how many the instance has. ``length`` is the longest sequence in tokens,
    ``size`` the tokens of all of them, ``cut`` how many tokens were cut. Of an instance's gold
    spans, counted in its first window, ``lost`` stand whole in no window, and ``moved`` begin or
    end inside a token, so that their tokens read back as other characters.
    """

    row: int
    instance: int
    window: int
    shared: Ints
    offsets: Ints
    variants: list[list[int]]
    gold: list[float]
    spans: Ints
    closed: Ints
    candidates: int
    length: int
    size: int
    cut: int
    lost: int = 0
    moved: int = 0


def cut_middle(ids: Ids, room: int) -> Ids:
    """The first and the last of ``ids``, ``room`` in all: what stands at either end (a question,
    an instruction) is what a prompt cannot do without."""
    if len(ids) <= room:
        return ids
    head = room // 2
    first, last = ids[:head], ids[len(ids) - (room - head) :]
    return np.concatenate([first, last]) if isinstance(ids, np.ndarray) else first + last
