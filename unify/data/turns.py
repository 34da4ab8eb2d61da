"""Prepared rows as turns, and episodes as feature rows.

Texts were tokenized when the rows were prepared; an episode only joins them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any, NamedTuple

import numpy as np

from formats.episodes import EpisodeTokens, Laid, Separators, Turn, lay
from formats.errors import ConfigError
from formats.layout import Coder, Layout
from formats.store import StoredRow
from tasks.task import Task

from .episodes import Drawn, Episodes
from .prepare import TaskFeatures

_NONE = np.zeros(0, np.int32)
KEPT = 50_000  # turns that stay in memory, all tasks of a mixture together: about 100 MB


def share(tasks: int) -> int:
    """How many of them are one task's, of ``tasks``."""
    return max(64, KEPT // max(1, tasks))


class Turns:
    """A task's prepared rows as turns.

    ``rows`` are those that fit the budget whole and are complete; ``left_out`` counts the others.
    ``labels`` are the tokens of the label words, where the task has a fixed set of labels.
    """

    def __init__(
        self, task: Task, features: TaskFeatures, coder: Coder, settings: Episodes, kept: int = KEPT
    ) -> None:
        self.name, self.coder, self.store = task.name, coder, features.store
        words = task.labels.words if task.labels is not None and task.kind != "multilabel" else ()
        self.labels = [tuple(i) for i in coder.ids([coder.target(w) for w in words])]
        self.head: list[int] = []
        if settings.instruction and not task.prompt.variant("generate").reads("instruction"):
            self.head = coder.ids([task.prompt.instruction])[0]
        lengths = features.store.column("length").astype(np.int64)
        room = min(settings.budget or coder.layout.window, coder.layout.window)
        # 8 tokens: separators and signs around the parts.
        fits = (features.store.column("cut") == 0) & (lengths + len(self.head) + 8 <= room)
        self.rows = np.flatnonzero(fits)
        self.lengths = lengths[self.rows]
        self.left_out = int(len(lengths) - len(self.rows))
        self._turn = lru_cache(kept)(self._read)

    def turn(self, row: int) -> Turn:
        """Usable row number ``row``: input and output in tokens, without an end sign."""
        return self._turn(row)

    def _read(self, row: int) -> Turn:
        return turn_of(self.store[int(self.rows[row])], self.coder)


def turn_of(stored: StoredRow, coder: Coder) -> Turn:
    """A training row's input and output as a demonstration shows them."""
    output = stored.variants.tolist()
    if output and output[-1] == coder.layout.eos:
        output = output[:-1]
    if coder.layout.kind == "seq2seq":  # it now stands in the source
        (output,) = coder.ids([coder.continuation(coder.text(output))])
    return Turn(stored.shared.tolist(), output)


class Made(NamedTuple):
    """An episode as a feature row, and as it was laid out."""

    row: StoredRow
    laid: Laid


@dataclass(frozen=True)
class Maker:
    """Turns what was drawn into feature rows. ``pool`` are the label words of all seen tasks."""

    turns: Sequence[Turns]
    coder: Coder
    between: Separators
    settings: Episodes
    pool: Sequence[tuple[int, ...]] = ()

    def __call__(self, drawn: Drawn, query: Any = None) -> Made:
        """The episode; ``query`` stands in for the task's own row."""
        own = self.turns[drawn.task]
        shown = [own.turn(r) for r in drawn.demonstrations]
        asked = [query or own.turn(drawn.query), *map(own.turn, drawn.more)]
        said = self._symbols(own, drawn.seed)
        if said is not None:
            shown, asked = (
                [Turn(t.input, said.get(tuple(t.output), t.output)) for t in turns]
                for turns in (shown, asked)
            )
        (first, *more) = asked
        tokens = EpisodeTokens(own.head, shown, first.input, [first.output], more)
        s = self.settings
        laid = lay(
            tokens,
            self.coder.layout,
            self.between,
            direction=s.direction,
            budget=s.budget,
            row=f"{own.name}/{drawn.query}",
        )
        return Made(stored(laid, self.coder.layout, drawn.query, apart=True)[0], laid)

    @property
    def names(self) -> list[str]:
        return [t.name for t in self.turns]

    @property
    def lengths(self) -> list[np.ndarray]:
        """Tokens of each usable row, per task."""
        return [t.lengths for t in self.turns]

    @property
    def left_out(self) -> dict[str, int]:
        """Rows per task that are too long for an episode."""
        return {t.name: t.left_out for t in self.turns}

    def sizes(self) -> tuple[int, ...]:
        """Usable rows per task."""
        return tuple(len(t.rows) for t in self.turns)

    def query(self, held: TaskFeatures, index: int) -> Turn | None:
        """A held-out row, as :meth:`__call__` takes it; None where it was cut."""
        stored = held.store[index]
        return None if stored.cut else turn_of(stored, self.coder)

    def _symbols(self, own: Turns, seed: int) -> Mapping[tuple[int, ...], Any] | None:
        if self.settings.symbols == "own" or not own.labels:
            return None
        rng = Random(seed)
        if self.settings.symbols == "permuted":
            said = rng.sample(own.labels, len(own.labels))
        else:
            said = rng.sample(self.pool, len(own.labels))
        return dict(zip(own.labels, said, strict=True))


def stored(laid: Laid, layout: Layout, number: int, **more: Any) -> list[StoredRow]:
    """The feature rows of a laid-out episode, which collation frames again: one with all options
    where they share their lead (direct), else one per option; ``apart`` always one for each."""
    first, after = len(layout.single_before), len(layout.single_after)
    tail = after if layout.kind == "seq2seq" else 0
    leads = [lead for lead, _ in laid.pairs]
    together = all(lead == leads[0] for lead in leads) and not more.get("apart", False)
    groups = [laid.pairs] if together else [[pair] for pair in laid.pairs]
    closed = more.get("closed", False)
    rows = []
    for instance, pairs in enumerate(groups):
        lead = [*laid.context, *pairs[0][0]]
        scored = [s for _, s in pairs if s]
        shared = np.array(lead[first : len(lead) - tail], np.int32)
        widths = np.array([len(s) for s in scored], np.int32)
        rows.append(
            StoredRow(
                row=number,
                instance=more.get("instance", 0) if together else instance,
                window=0,
                candidates=len(scored) if closed else 0,
                length=len(lead) + int(max(widths, default=0)) + after,
                size=len(lead) + int(widths.sum()),
                cut=0,
                shared=shared,
                offsets=_NONE,
                variants=np.array([i for s in scored for i in s], np.int32),
                widths=widths,
                spans=_NONE,
                closed=_NONE,
                gold=more.get("gold", np.ones(len(scored), np.float32)),
            )
        )
    return rows


def makers(
    tasks: Sequence[Task],
    train: Sequence[TaskFeatures],
    coder: Coder,
    between: Separators,
    settings: Episodes,
) -> Maker:
    """A maker over the prepared rows of the tasks in ``train``."""
    by_name = {task.name: task for task in tasks}
    kept = share(len(train))
    turns = [Turns(by_name[f.name], f, coder, settings, kept) for f in train]
    empty = [t.name for t in turns if not len(t.rows)]
    if empty:
        raise ConfigError(
            "tasks without a row that fits an episode",
            got=empty,
            expected="rows shorter than the budget",
            fix="raise learner.budget or model.window, or leave the tasks out",
        )
    pool = list(dict.fromkeys(label for t in turns for label in t.labels))
    if settings.symbols == "random" and len(pool) < max((len(t.labels) for t in turns), default=0):
        raise ConfigError(
            "too few label words to draw random ones from",
            got=len(pool),
            fix="learner.symbols=own, or tasks with more labels",
        )
    return Maker(turns, coder, between, settings, pool)
