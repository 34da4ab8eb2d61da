"""Texts as arrays of 64-bit hashes: whole texts and runs of words, for overlap checks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache

import numpy as np

_WORD = re.compile(r"\w+")
_BASE = 0x9E3779B97F4A7C15 | 1  # odd, so that no factor is lost modulo 2^64


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()


@lru_cache(maxsize=1 << 20)
def _hash(word: str) -> int:
    return int.from_bytes(_digest(word), "little")


def words(text: str) -> list[str]:
    """Lower-cased runs of word characters."""
    return _WORD.findall(text.lower())


def row_hashes(rows: Iterable[Iterable[str]]) -> np.ndarray:
    """One hash per row of texts ``[rows]``, blind to case, punctuation and blanks."""
    joined = ("\0".join(" ".join(words(t)) for t in row) for row in rows)
    return np.frombuffer(b"".join(map(_digest, joined)), dtype=np.uint64)


def gram_hashes(texts: Iterable[str], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of all runs of ``n`` words inside one text, and the text's number; both ``[grams]``.

    A polynomial over the words' hashes modulo 2^64.
    """
    lengths: list[int] = []
    flat: list[int] = []
    for text in texts:
        found = [_hash(word) for word in words(text)]
        lengths.append(len(found))
        flat.extend(found)
    total = len(flat)
    if total < n:
        return np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)
    values = np.array(flat, dtype=np.uint64)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    grams = np.zeros(total - n + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for i in range(n):
            grams = grams * np.uint64(_BASE) + values[i : total - n + 1 + i]
    inside = owner[: total - n + 1] == owner[n - 1 :]
    return grams[inside], owner[: total - n + 1][inside]
