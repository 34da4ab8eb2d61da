"""Characters of tokens, tidied: what a token shows, and the signs that it lost."""

from __future__ import annotations

import functools
import re
import unicodedata

import numpy as np

_SPACE = re.compile(r"\s")
_HIGH = re.compile("[\u0300-\U0010ffff]")  # no combining sign has a lower number


def _reach(text: str, starts: np.ndarray, stops: np.ndarray) -> np.ndarray | None:
    """``[characters + 1]``: behind the combining signs that begin there and are in no token."""
    marks = [
        found.start()
        for found in _HIGH.finditer(text)
        if unicodedata.category(found.group()).startswith("M")
    ]
    if not marks:
        return None
    turns = np.zeros(len(text) + 1, np.int64)
    np.add.at(turns, starts, 1)
    np.add.at(turns, stops, -1)
    covered = np.cumsum(turns) > 0
    reach = np.arange(len(text) + 1)
    for i in reversed(marks):
        if not covered[i]:
            reach[i] = reach[i + 1]
    return reach


@functools.cache
def _blank() -> np.ndarray:
    """Of each character number of the Basic Multilingual Plane, which has all white space, whether
    it is white space."""
    return np.array([_SPACE.match(chr(i)) is not None for i in range(1 << 16)])


def _spaces(text: str) -> np.ndarray:
    """``[characters]``: which of ``text`` are white space."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    return _blank()[np.minimum(codes, 0xFFFF)]


def tidied(text: str, starts: np.ndarray, stops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half-open characters ``[tokens]`` of ``text``'s tokens, for reading spans back.

    White space at either end of a token is left out, unless it is all of it: some tokenizers count
    the blank before a word, or the line break after it. A combining sign that no token counts (an
    accent that was stripped, or composed with its letter) belongs to the token before it, so that
    a word read back has all its accents.
    """
    visible = np.append(~_spaces(text), True)
    at = np.arange(len(text) + 1)
    following = np.minimum.accumulate(np.where(visible, at, len(text))[::-1])[::-1]
    shown = following[starts] < stops
    if not visible.all():
        behind = np.maximum.accumulate(np.where(visible, at + 1, 0))  # of the last visible one
        starts = np.where(shown, following[starts], starts)
        stops = np.where(shown, behind[stops - 1], stops)
    reach = _reach(text, starts, stops)
    if reach is not None:
        stops = np.where(shown, reach[stops], stops)
    return starts, stops
