"""Episodes in the published MetaICL's layout (``format.compat=metaicl``), for training and test.

What is joined depends on a row's place, so that texts are tokenized here, once per row and place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from random import Random
from typing import Any

import numpy as np

from formats import metaicl
from formats.base import Format
from formats.episodes import Laid
from formats.errors import ConfigError
from formats.instances import GenerateInstance
from formats.layout import Coder
from formats.store import Rows, StoredRow
from tasks.task import Task

from .episodes import Drawn, Episodes
from .prepare import TaskFeatures
from .turns import KEPT, Made, share, stored


def check(coder: Coder, settings: Episodes) -> None:
    """Raises ConfigError where the published code has no counterpart."""
    layout = coder.layout
    if layout.kind != "causal" or layout.single_before or layout.single_after:
        raise ConfigError(
            "format.compat=metaicl needs a causal model whose tokenizer adds no signs of its own",
            got=f"{layout.kind}, {layout.single_before} before and {layout.single_after} after",
            expected="a model of GPT-2's shape",
            fix="format.compat=null",
        )
    if settings.dense or settings.symbols != "own" or settings.instruction or settings.queries > 1:
        raise ConfigError(
            "format.compat=metaicl has one query, no dense targets, symbols or instructions",
            fix="learner.queries=1 learner.dense=false learner.symbols=own "
            "learner.instruction=false",
        )


@dataclass(frozen=True)
class Texts:
    """A split's rows as the published code has them; read when asked for, ``kept`` of them kept."""

    task: Task
    split: str
    format: Format
    kept: int = KEPT

    def __call__(self, row: int) -> metaicl.Row:
        return self._row(row)

    @cached_property
    def _row(self) -> Callable[[int], metaicl.Row]:
        return lru_cache(self.kept)(self._read)

    def _read(self, row: int) -> metaicl.Row:
        example = next(self.task.examples(self.split, start=row, limit=1))
        (instance,) = self.format.encode(example, self.task.prompt)
        assert isinstance(instance, GenerateInstance)
        return metaicl.Row(instance.source, instance.target or "", instance.options)


def encoder(coder: Coder) -> Callable[[str], list[int]]:
    """Tokens of one text."""
    return lambda text: coder.ids([text])[0] if text else []


class CompatMaker:
    """Makes what was drawn; stands in for :class:`~unify.data.turns.Maker`."""

    def __init__(
        self,
        tasks: Sequence[Task],
        train: Sequence[TaskFeatures],
        coder: Coder,
        format: Format,
        settings: Episodes,
    ) -> None:
        check(coder, settings)
        by_name = {t.name: t for t in tasks}
        self.coder, self.settings = coder, settings
        self.names, kept = [f.name for f in train], share(len(train))
        self.texts = [Texts(by_name[f.name], "train", format, kept) for f in train]
        self.held = {n: Texts(by_name[n], "validation", format) for n in self.names}
        self.numbers = [f.store.column("row") for f in train]
        self.lengths = [f.store.column("length").astype(np.int64) for f in train]
        self.left_out = dict.fromkeys(self.names, 0)

    def sizes(self) -> tuple[int, ...]:
        return tuple(map(len, self.numbers))

    def query(self, held: TaskFeatures, index: int) -> metaicl.Row:
        """A held-out row, as :meth:`__call__` takes it."""
        return self.held[held.name](int(held.store.column("row")[index]))

    def __call__(self, drawn: Drawn, query: Any = None) -> Made:
        numbers, texts = self.numbers[drawn.task], self.texts[drawn.task]
        rows = [texts(int(numbers[r])) for r in drawn.demonstrations]
        asked = query or texts(int(numbers[drawn.query]))
        most = min(self.settings.budget or metaicl.MOST, self.coder.layout.window)
        context, scored = metaicl.training(
            [*rows, asked], encoder(self.coder), self.settings.direction, most=most
        )
        laid = Laid(context, [([], scored)], kept=len(rows))
        return Made(stored(laid, self.coder.layout, drawn.query)[0], laid)


def demonstrated(
    texts: Texts, numbers: Sequence[int], coder: Coder, settings: Episodes, shuffle: str | None
) -> list[int]:
    """The tokens of the demonstrations ``numbers``; ``shuffle`` seeds a new deal of their
    outputs."""
    rows = [texts(n) for n in numbers]
    if shuffle is not None:
        outputs = [r.output for r in rows]
        Random(shuffle).shuffle(outputs)
        rows = [
            metaicl.Row(r.input, o, r.options if o in r.options else ())
            for r, o in zip(rows, outputs, strict=True)
        ]
    return metaicl.context(rows, encoder(coder), settings.direction)


FREE = "N/A"  # the input that says nothing, whose loss calibration subtracts


class CompatRows:
    """Evaluation rows in the published layout, each option a row of its own; ``input`` stands in
    place of the rows' own."""

    apart = True

    def __init__(
        self,
        store: Rows,
        texts: Texts,
        shown: Sequence[int],
        coder: Coder,
        settings: Episodes,
        input: str | None = None,
    ) -> None:
        self.input = input
        check(coder, settings)
        self.store, self.texts, self.shown = store, texts, shown
        self.coder, self.settings = coder, settings
        self.facts: dict[str, Any] = {**store.facts, "cut_rows": 0, "cut_tokens": 0}
        options = store.column("candidates").astype(np.int64)
        if len(options) and options.min() < 1:
            raise ConfigError(
                "format.compat=metaicl scores listed options only",
                fix="format.compat=null for open answers",
            )
        self._owner = np.repeat(np.arange(len(options)), options)
        self._option = np.arange(len(self._owner)) - np.repeat(
            np.cumsum(options) - options, options
        )

    def __len__(self) -> int:
        return len(self._owner)

    def column(self, name: str) -> np.ndarray:
        return self.store.column(name)[self._owner]

    def __getitem__(self, index: int) -> StoredRow:
        row = self.store[int(self._owner[index])].row
        most = min(self.settings.budget or metaicl.MOST, self.coder.layout.window)
        asked = self.texts(row)
        if self.input is not None:
            asked = replace(asked, input=self.input)
        pairs = metaicl.requests(
            asked, self.shown, encoder(self.coder), self.settings.direction, most=most
        )
        context, scored = pairs[int(self._option[index])]
        laid = Laid(context, [([], scored)])
        made = stored(laid, self.coder.layout, row, closed=True)[0]
        return made._replace(instance=int(self._option[index]))
