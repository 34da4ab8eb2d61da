"""Candidate spans of a text: every run of at most ``max_words`` words."""

from __future__ import annotations

import functools
import re
import string
import unicodedata
from collections.abc import Iterator

# A word is a run of word characters, except that scripts written without blanks (CJK ideographs,
# kana) give one word per character; every other visible character is a word of its own. Signs
# that combine with the letter before them (accents, Indic and Arabic vowels) belong to its word.
_UNSPACED = (
    "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d"
    "\U00020000-\U000323af"
)
_ALONE = re.compile(f"[{_UNSPACED}]")
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]")


_LETTERS = frozenset(string.ascii_letters + string.digits)
_APART = frozenset(("", *" \n.,;:!?()\"'-"))


def words(text: str) -> list[tuple[int, int]]:
    """Half-open character offsets of the words of ``text``."""
    found: list[tuple[int, int]] = []
    open_word = False  # whether the last word is one of letters, and may go on
    combined = False  # whether the last piece was a combining sign of it
    for match in _WORD.finditer(text):
        start, end = match.span()
        first = text[start]
        touches = bool(found) and found[-1][1] == start and open_word
        if touches and unicodedata.category(first).startswith("M"):
            found[-1] = (found[-1][0], end)
            combined = True
        elif touches and combined and first.isalnum() and not _ALONE.match(first):
            found[-1] = (found[-1][0], end)
            combined = False
        else:
            found.append((start, end))
            open_word, combined = first.isalnum() or first == "_", False
    return found


@functools.lru_cache(maxsize=4096)
def _bounds(text: str) -> tuple[frozenset[int], frozenset[int]]:
    """Where the words of ``text`` start, and where they end."""
    found = words(text)
    return frozenset(s for s, _ in found), frozenset(e for _, e in found)


def whole_words(text: str, start: int, end: int) -> bool:
    """Whether ``text[start:end]`` begins where a word begins and ends where one ends."""
    if (
        text[max(start - 1, 0) : start] in _APART
        and text[end : end + 1] in _APART
        and text[start] in _LETTERS
        and text[end - 1] in _LETTERS
    ):
        return True  # as a rule; the rest is for signs, accents and other scripts
    # No word goes over a blank, so those between the nearest blanks are the words of the text.
    left = text.rfind(" ", 0, start) + 1
    right = text.find(" ", end)
    starts, ends = _bounds(text[left : right if right >= 0 else len(text)])
    return start - left in starts and end - left in ends


def candidates(text: str, max_words: int) -> Iterator[tuple[int, int]]:
    """Runs of 1 to ``max_words`` words, by start and then by length.

    There are at most ``max_words`` times as many as there are words.
    """
    found = words(text)
    for i, (start, _) in enumerate(found):
        for _, end in found[i : i + max_words]:
            yield start, end
