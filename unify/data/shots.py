"""Prepared rows behind demonstrations: what k-shot evaluation reads in place of the rows alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any
from zlib import crc32

import numpy as np

from formats.episodes import BETWEEN, Direction, EpisodeTokens, Turn, lay, separators
from formats.errors import ConfigError
from formats.instances import Raw, Scores
from formats.layout import Coder
from formats.store import Rows, StoredRow
from tasks.permute import mix, permute

from .turns import Turns, stored


def chosen(name: str, count: int, shots: int, seed: int) -> list[int]:
    """``shots`` of ``count`` rows (or all, where there are fewer), fixed by ``seed`` and the task's
    name."""
    key = mix(seed, crc32(name.encode()))
    index = np.arange(min(shots, count))
    rows: list[int] = permute(index, np.full(len(index), count), np.full(len(index), key)).tolist()
    return rows


def drawn(turns: Turns, shots: int, seed: int, *, shuffled: bool = False) -> list[Turn]:
    """The demonstrations that :func:`chosen` names. ``shuffled`` deals their outputs out among
    them anew."""
    shown = [turns.turn(r) for r in chosen(turns.name, len(turns.rows), shots, seed)]
    return dealt(shown, Random(f"{seed}/{turns.name}")) if shuffled else shown


def dealt(shown: Sequence[Turn], rng: Random) -> list[Turn]:
    """``shown`` with their outputs dealt out among them anew."""
    outputs = [t.output for t in shown]
    rng.shuffle(outputs)
    return [Turn(t.input, o) for t, o in zip(shown, outputs, strict=True)]


@dataclass
class Told:
    """Counts in ``facts`` what rows lost when they were laid out, each row once."""

    facts: dict[str, Any]
    rows: dict[int, tuple[int, int]] = field(default_factory=dict)

    def add(self, row: int, dropped: int, cut: int, before_cut: int) -> None:
        """Demonstrations that were dropped, and tokens that were cut from the query, of which
        ``before_cut`` were gone, and counted, before."""
        before, cut_before = self.rows.get(row, (0, 0))
        self.rows[row] = (dropped, cut)
        more = {
            "dropped_demonstrations": dropped - before,
            "cut_rows": 0 if before_cut else (cut > 0) - (cut_before > 0),
            "cut_tokens": cut - cut_before,
        }
        for name, count in more.items():
            self.facts[name] = self.facts.get(name, 0) + count


class EpisodeRows:
    """``store``'s rows, each behind the same demonstrations, or behind those that a function of
    the row's place in ``store`` gives; ``facts`` counts what did not fit.

    A channel episode is one row per option, since options then stand in front of what is scored;
    :func:`together` makes one prediction of theirs again.
    """

    def __init__(
        self,
        store: Rows,
        demonstrations: Sequence[Turn] | Callable[[int], Sequence[Turn]],
        head: Sequence[int],
        coder: Coder,
        *,
        direction: Direction = "direct",
        budget: int | None = None,
    ) -> None:
        self.store, self.coder = store, coder
        self.demonstrations, self.head = demonstrations, head
        self.direction, self.budget = direction, budget
        self.between = separators(coder)
        # A model that goes on as it was shown begins the next demonstration behind its answer.
        self.stop = (BETWEEN,) if demonstrations else ()
        self.facts: dict[str, Any] = dict(store.facts)
        self.told = Told(self.facts)
        options = store.column("candidates").astype(np.int64)
        each = np.ones(len(options), np.int64)
        if direction == "channel":
            if len(options) and options.min() < 1:
                raise ConfigError(
                    "channel scoring of an open answer",
                    expected="a task with listed options",
                    fix="evaluation.direction=direct, or leave the task out",
                )
            each = options
        self._owner = np.repeat(np.arange(len(options)), each)
        self._option = np.arange(len(self._owner)) - np.repeat(np.cumsum(each) - each, each)

    def __len__(self) -> int:
        return len(self._owner)

    def column(self, name: str) -> np.ndarray:
        return self.store.column(name)[self._owner]

    def __getitem__(self, index: int) -> StoredRow:
        own = int(self._owner[index])
        row = self.store[own]
        options = [o.tolist() for o in row.variant_ids()] if row.candidates else []
        eos = self.coder.layout.eos
        options = [o[:-1] if o and o[-1] == eos else o for o in options]
        given = self.demonstrations
        shown = given(own) if callable(given) else given
        tokens = EpisodeTokens(self.head, shown, row.shared.tolist(), options)
        laid = lay(
            tokens,
            self.coder.layout,
            self.between,
            direction=self.direction,
            budget=self.budget,
            room=0 if options else self.coder.layout.max_target,
            row=row.row,
            cut=True,
        )
        self.told.add(own, laid.dropped, laid.cut, row.cut)
        closed = bool(row.candidates)
        if self.direction == "direct":
            gold = row.gold if closed else np.zeros(0, np.float32)
            return stored(
                laid, self.coder.layout, row.row, closed=closed, gold=gold, instance=row.instance
            )[0]
        return stored(laid, self.coder.layout, row.row, closed=closed)[int(self._option[index])]

    @property
    def apart(self) -> bool:
        """Whether every option is a row of its own."""
        return self.direction == "channel"


def together(raws: list[Raw]) -> list[Raw]:
    """The predictions of one row's options, each a row of its own, as that of the row."""
    return [Scores(tuple(r.values[0] for r in raws if isinstance(r, Scores)))]
