"""Shuffles that depend on a text alone: the same in every process, and quick for short lists."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
_BITS = 512  # of a digest: enough to choose among the orders of 64 items


def shuffled(items: Sequence[T], key: str) -> list[T]:
    """``items`` in the order that ``key`` chooses (Fisher and Yates; the digest of ``key``, and of
    its continuations, is read as one large number)."""
    out = list(items)
    left = 0
    number = 0
    for i in range(len(out) - 1, 0, -1):
        if left < 64:
            text = f"{key}/{i}".encode("utf-8", "surrogatepass")
            number = int.from_bytes(hashlib.blake2b(text).digest(), "little")
            left = _BITS
        number, j = divmod(number, i + 1)
        left -= (i + 1).bit_length()
        out[i], out[j] = out[j], out[i]
    return out
