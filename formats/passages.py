"""Passages to feature rows: spans of characters become spans of tokens, long passages windows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain, groupby
from typing import NamedTuple

import numpy as np

from .instances import ExtractInstance
from .layout import Coder, Placed
from .rows import MOST_VARIANTS, FeatureRow, cut_middle
from .windows import held, tokens_of, window_starts


class Run(NamedTuple):
    """Questions about one passage; ``first`` is the number of the first one in its group."""

    row: int
    first: int
    instances: list[ExtractInstance]


def _runs(listed: Sequence[tuple[int, list[ExtractInstance]]]) -> Iterator[Run]:
    for row, instances in listed:
        if len(instances) == 1:
            yield Run(row, 0, instances)
            continue
        first = 0
        for _, same in groupby(instances, key=lambda i: (i.passage, i.candidates)):
            run = list(same)
            for at in range(0, len(run), MOST_VARIANTS):
                yield Run(row, first + at, run[at : at + MOST_VARIANTS])
            first += len(run)


class _Found:
    """Spans of several passages, looked up together.

    ``table [spans, 4 or more]`` holds passage, start, end, and more, in the order of the passages.
    Of each passage, :meth:`of` gives a table of ``more[0]``, first token, last token, ``more[1:]``.
    """

    def __init__(self, placed: Placed, texts: list[int], table: np.ndarray) -> None:
        owner, places = table[:, 0], table[:, 1:3]
        text = np.array(texts, np.int64)[owner]
        tokens, touched = tokens_of(placed, np.column_stack([text, places]))
        self._placed, self._texts, self._owner = placed, text[touched], owner[touched]
        self._places, self._tokens = places[touched], tokens[touched]
        more = table[touched, 3:]
        self._rows = np.column_stack([more[:, :1], self._tokens, more[:, 1:]]).astype(np.int32)
        self._flat, self._width = self._rows.ravel(), self._rows.shape[1]
        self._ends = np.searchsorted(self._owner, np.arange(len(texts) + 1)).tolist()
        self._given = np.bincount(owner, minlength=len(texts)).tolist()

    @cached_property
    def _moved(self) -> np.ndarray:
        """``[touched]``: which spans begin or end inside a token."""
        tokens = self._tokens + self._placed.ends[self._texts][:, None]
        shown = self._placed.places[tokens]
        return np.any(np.column_stack([shown[:, 0, 0], shown[:, 1, 1]]) != self._places, axis=1)

    @cached_property
    def _moved_of(self) -> list[int]:
        """How many of each passage."""
        counts = np.bincount(self._owner[self._moved], minlength=len(self._given))
        return [int(count) for count in counts]

    def of(self, passage: int) -> np.ndarray:
        return self._rows[self._ends[passage] : self._ends[passage + 1]]

    def flat(self, passage: int) -> np.ndarray:
        """:meth:`of`, one row after the other."""
        a, b = self._ends[passage], self._ends[passage + 1]
        return self._flat[a * self._width : b * self._width]

    def lost_and_moved(self, passage: int, windows: list[int], room: int) -> tuple[int, int]:
        """How many spans stand whole in no window; how many others begin or end inside a token."""
        given = self._given[passage]
        if not given:
            return 0, 0
        a, b = self._ends[passage], self._ends[passage + 1]
        if len(windows) == 1:
            return given - (b - a), self._moved_of[passage]
        whole = held(self._rows[a:b, 1:3], windows, room)
        return given - int(whole.sum()), int(self._moved[a:b][whole].sum())


def _inside(table: np.ndarray, at: int, stop: int) -> np.ndarray:
    """The rows of ``table`` whose tokens lie in the window, counted from its first token."""
    kept = table[(table[:, 1] >= at) & (table[:, 2] < stop)]
    kept[:, 1:3] -= at
    return kept.ravel()


def _table(given: Iterable[Iterable[int]], width: int) -> np.ndarray:
    """``[given, width]``."""
    return np.fromiter(chain.from_iterable(given), np.int64).reshape(-1, width)


def _gold(runs: Sequence[Run]) -> np.ndarray:
    """``[spans, 5]``: run, start, end, variant, type."""
    found = [
        (r, s.start, s.end, v, i.types.index(s.type) if i.types else 0)
        for r, run in enumerate(runs)
        for v, i in enumerate(run.instances)
        for s in i.gold or ()
    ]
    return _table(found, 5)


def _options(runs: Sequence[Run]) -> np.ndarray:
    """``[places, 4]``: run, start, end, number of the option."""
    listed = [run.instances[0].candidates for run in runs]
    others = [run.instances[0].elsewhere for run in runs]
    counts = np.array([list(map(len, listed)), list(map(len, others))])
    numbers = np.arange(counts[0].sum()) - np.repeat(np.cumsum(counts[0]) - counts[0], counts[0])
    own = np.column_stack([_table(chain.from_iterable(listed), 2), numbers])
    more = _table(chain.from_iterable(others), 3)[:, [1, 2, 0]]
    owner = np.repeat(np.tile(np.arange(len(runs)), 2), counts.ravel())
    order = np.argsort(owner, kind="stable")
    return np.column_stack([owner, np.concatenate([own, more])])[order]


def passage_rows(
    listed: Sequence[tuple[int, list[ExtractInstance]]], coder: Coder
) -> Iterator[FeatureRow]:
    """Feature rows of the instances of several examples, window by window."""
    runs = list(_runs(listed))
    placed, texts = coder.placed([run.instances[0].passage for run in runs])
    ids = iter(coder.ids([i.question for run in runs for i in run.instances]))
    marked, closed = _Found(placed, texts, _gold(runs)), _Found(placed, texts, _options(runs))
    layout = coder.layout
    pair_room, window, stride = layout.pair_room, layout.window, layout.stride
    half = pair_room // 2
    frame = window - pair_room
    bounds, places = placed.ends.tolist(), placed.places.ravel()
    for r, (row, first, run) in enumerate(runs):
        variants = [next(ids) for _ in run]
        sizes = [len(v) for v in variants]
        cut = 0
        if max(sizes) > half:
            variants = [cut_middle(v, half) for v in variants]
            cut = sum(sizes)
            sizes = [len(v) for v in variants]
            cut -= sum(sizes)
        longest, asked = max(sizes), sum(sizes)
        room = pair_room - longest
        text = texts[r]
        begin, end = bounds[text], bounds[text + 1]
        count = len(run)
        labels = [1.0 if run[0].gold is not None else math.nan] * count
        whole = end - begin <= room
        windows = [0] if whole else list(window_starts(end - begin, room, stride))
        lost, moved = marked.lost_and_moved(r, windows, room)
        for w, at in enumerate(windows):
            stop = min(at + room, end - begin)
            yield FeatureRow(
                row,
                first,
                w,
                placed.ids[begin + at : begin + stop],
                places[2 * (begin + at) : 2 * (begin + stop)],
                variants,
                labels,
                marked.flat(r) if whole else _inside(marked.of(r), at, stop),
                closed.flat(r) if whole else _inside(closed.of(r), at, stop),
                len(run[0].candidates),
                stop - at + longest + frame,
                asked + count * (stop - at + frame),
                cut if w == 0 else 0,
                lost if w == 0 else 0,
                moved if w == 0 else 0,
            )
