"""Windows over a long passage, and spans of characters as spans of its tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .layout import Placed


def tokens_of(placed: Placed, spans: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``spans [n, 3]`` (text, start, end; characters) as the first and the last token that touch
    them, ``[n, 2]`` counted within the text, and ``[n]`` whether any token does.

    The tokens of all texts stand in one line, a gap apart, so that one binary search finds the
    tokens of all spans. A text's tokens ascend, not strictly: one character may be several byte
    tokens.
    """
    gap = int(max(placed.places.max(initial=0), spans.max(initial=0))) + 2
    shift = np.repeat(np.arange(len(placed.ends) - 1), np.diff(placed.ends)) * gap
    text, start, end = spans.T
    first = np.searchsorted(placed.places[:, 1] + shift, start + text * gap, "right")
    last = np.searchsorted(placed.places[:, 0] + shift, end + text * gap, "left") - 1
    begin, stop = placed.ends[text], placed.ends[text + 1]
    touched = (first <= last) & (first < stop) & (last >= begin)
    return np.stack([first - begin, last - begin], 1), touched


def held(tokens: np.ndarray, windows: Sequence[int], room: int) -> np.ndarray:
    """``[n]``: whether some window has all of ``tokens [n, 2]`` (first and last)."""
    at = np.array(windows)[:, None]
    return np.any((at <= tokens[:, 0]) & (tokens[:, 1] < at + room), axis=0)


def window_starts(length: int, room: int, stride: float) -> Iterator[int]:
    """Starts of windows of ``room`` tokens that cover ``length``; neighbours share
    ``room * (1 - stride)`` tokens, so that no span of at most so many is torn."""
    step = max(1, int(room * stride))
    at = 0
    yield at
    while at + room < length:
        at += step
        yield at
