"""Small text helpers of the writers: drawing, joining facts, finding whole words."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

Item = TypeVar("Item")


def one(rng: Random, items: Sequence[Item]) -> Item:
    """One item."""
    return items[int(rng.random() * len(items))]


def draw(rng: Random, items: Sequence[Item], k: int) -> list[Item]:
    """``k`` different items in random order, cheaper than ``Random.sample`` for small ``k``."""
    size = len(items)
    chosen: list[int] = []
    while len(chosen) < k:
        index = int(rng.random() * size)
        if index not in chosen:
            chosen.append(index)
    return [items[index] for index in chosen]


def draw_names(rng: Random, pool: Sequence[str], k: int) -> list[str]:
    """``k`` names that begin differently."""
    chosen: list[str] = []
    while len(chosen) < k:
        name = one(rng, pool)
        if all(name[:3] != other[:3] for other in chosen):
            chosen.append(name)
    return chosen


def raise_first(text: str) -> str:
    """``text`` with a capital first letter."""
    return text[:1].upper() + text[1:]


def join_facts(rng: Random, facts: Sequence[str], one_sentence: float = 0.5) -> str:
    """The facts in random order: one sentence each, or (with a given chance) one for all."""
    order = draw(rng, facts, len(facts))
    if rng.random() < one_sentence:
        return raise_first(", ".join(order[:-1]) + ", and " + order[-1]) + "."
    return " ".join(raise_first(fact) + "." for fact in order)


def find_word(text: str, word: str, start: int = 0) -> int:
    """Where ``word`` next stands in ``text`` as a whole word; it must be there."""
    at = text.index(word, start)
    end = at + len(word)
    if (at and text[at - 1].isalnum()) or (end < len(text) and text[end].isalnum()):
        return find_word(text, word, at + 1)
    return at
