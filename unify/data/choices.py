"""Which of a task's training rows demonstrate an unseen row: beyond a random draw for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeAlias

from formats.episodes import Turn
from formats.errors import ConfigError
from formats.store import Rows

from ..demonstrations import balanced, nearest
from ..demonstrations.vectors import bag_of_words, encoded
from .shots import dealt, drawn
from .turns import Turns

CHOICES = ("random", "first", "balanced", "nearest")
SEEDED = ("random", "balanced")  # the others are the same whatever the seed

PerRow: TypeAlias = Callable[[int], Sequence[Turn]]  # feature row -> its demonstrations


def picked(
    choose: str, turns: Turns, held: Rows, shots: int, seed: int, *, shuffled: bool = False,
    encoder: str | None = None,
) -> Sequence[Turn] | PerRow:
    """``shots`` demonstrations (all rows, where there are fewer): the same for every row of
    ``held``, or, chosen ``nearest``, a function of the row.

    ``balanced``: outputs differ in number by one at most. ``nearest``: by the cosine of
    ``encoder``'s vectors, or of bags of words without one; the most similar last. Raises
    ConfigError.
    """
    if choose not in CHOICES:
        raise ConfigError("unknown choice", got=choose, expected=", ".join(CHOICES))
    if choose == "random":
        return drawn(turns, shots, seed, shuffled=shuffled)
    count = len(turns.rows)
    k = min(shots, count)
    if choose == "nearest" and k:
        return _nearest(turns, held, k, seed, shuffled, encoder)
    rows: Sequence[int] = range(k)
    if choose == "balanced":
        rows = balanced([tuple(turns.turn(r).output) for r in range(count)], k, seed)
    shown = [turns.turn(r) for r in rows]
    return dealt(shown, Random(f"{seed}/{turns.name}")) if shuffled else shown


def _nearest(
    turns: Turns, held: Rows, k: int, seed: int, shuffled: bool, encoder: str | None
) -> PerRow:
    text = turns.coder.text
    pool = [text(list(turns.turn(r).input)) for r in range(len(turns.rows))]
    asked = [text(held[i].shared.tolist()) for i in range(len(held))]
    if encoder is None:
        known, wanted = bag_of_words(pool, asked)
    else:
        known, wanted = encoded(encoder, pool), encoded(encoder, asked)
    places = nearest(wanted, known, k)

    def of(row: int) -> Sequence[Turn]:
        shown = [turns.turn(r) for r in places[row]]
        return dealt(shown, Random(f"{seed}/{turns.name}/{row}")) if shuffled else shown

    return of
