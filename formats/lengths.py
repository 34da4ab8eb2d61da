"""How long spans are, in words."""

from __future__ import annotations

import functools
from bisect import bisect_left

from .candidates import words


@functools.lru_cache(maxsize=64)
def _words(text: str) -> tuple[tuple[int, int], ...]:
    return tuple(words(text))  # a text is asked about once per span


def length_in_words(text: str, start: int, end: int) -> int | None:
    """How many words ``text[start:end]`` has; None when it is not a run of whole words."""
    found = _words(text)
    first = bisect_left(found, (start, start))
    last = bisect_left(found, (end, end)) - 1  # the last word that begins before the end
    if not first <= last < len(found) or found[first][0] != start or found[last][1] != end:
        return None
    return last - first + 1
