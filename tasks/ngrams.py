"""Texts as arrays of 64-bit hashes: whole rows and runs of words, for overlap checks."""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

_WORD = re.compile(r"\w+")
_BASE = 0x9E3779B97F4A7C15 | 1  # odd, so that no factor is lost modulo 2^64


def _digest(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


@lru_cache(maxsize=1 << 16)  # about 10 MB; rarer words are hashed again
def _hash(word: str) -> int:
    return _digest(word.encode("utf-8", "replace"))


def words(text: str) -> list[str]:
    """Lower-cased runs of word characters."""
    return _WORD.findall(text.lower())


@dataclass(frozen=True)
class Hashes:
    """``rows`` one hash per row ``[rows]``, blind to case, punctuation and blanks; ``grams`` those
    of all runs of n words inside one text, with the row of each in ``owner``, both ``[grams]``."""

    rows: np.ndarray
    grams: np.ndarray
    owner: np.ndarray


def hashes(rows: Iterable[Iterable[str]], n: int) -> Hashes:
    """The hashes of rows of texts. A run's is a polynomial over its words' modulo 2^64."""
    flat = array("Q")
    lengths: list[int] = []  # words per text
    row_of: list[int] = []  # the texts' rows
    whole = array("Q")
    for number, row in enumerate(rows):
        begun, first = len(flat), len(lengths)
        for text in row:
            before = len(flat)
            flat.extend(map(_hash, words(text)))
            lengths.append(len(flat) - before)
            row_of.append(number)
        parts = array("Q", lengths[first:])  # so that the texts' bounds count
        whole.append(_digest(flat[begun:].tobytes() + parts.tobytes()))
    found = np.array(whole, dtype=np.uint64)
    starts = len(flat) - n + 1
    if starts < 1:
        return Hashes(found, np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int32))
    values = np.array(flat, dtype=np.uint64)
    text_of = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    grams = np.zeros(starts, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for i in range(n):
            grams = grams * np.uint64(_BASE) + values[i : starts + i]
    inside = text_of[:starts] == text_of[n - 1 :]
    owner = np.array(row_of, dtype=np.int32)[text_of[:starts][inside]]
    return Hashes(found, grams[inside], owner)


def among(values: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """Which ``values`` are in ``ordered``, a sorted array; ``[values]``, without a copy of it."""
    if not len(ordered):
        return np.zeros(len(values), dtype=bool)
    places = np.searchsorted(ordered, values)
    places[places == len(ordered)] = 0
    return np.asarray(ordered[places] == values)
