"""A task: one dataset with its meaning. Rows are read lazily and memory-mapped."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from formats import FORMATS
from formats.errors import ConfigError, DataError, RowError, UnifyError, UnknownName
from formats.examples import KINDS, Example, LabelSpace, TypeSpace
from formats.prompts import Prompt

from .build import BUILDERS
from .derive import Derive, assign
from .fields import Getter, getter, getters
from .readers._unread import complain
from .shards import Shards, first_of
from .sources import Files, Source, digest

if TYPE_CHECKING:
    from datasets import Dataset

    from .guide import Guide
    from .metrics import Metric

_BATCH = 1000  # rows converted from Arrow to Python at a time
_LISTED = 5
# What the wrong kind of plain value provokes in code that takes it apart.
_SHAPES = (TypeError, ValueError, AttributeError, LookupError, OverflowError)


@dataclass
class Skipped:
    """Rows that were left out: how many, why, and the first few of them.

    ``mended`` counts, by what was mended, rows' parts that are used otherwise than published.
    """

    count: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    first: list[RowError] = field(default_factory=list)
    mended: Counter[str] = field(default_factory=Counter)

    def add(self, error: RowError) -> None:
        self.count += 1
        self.reasons[error.what] += 1
        if len(self.first) < _LISTED:
            self.first.append(error)

    def __str__(self) -> str:
        why = "; ".join(f"{times} × {reason}" for reason, times in self.reasons.most_common())
        mended = "".join(f"; mended {n} × {what}" for what, n in self.mended.most_common() if n)
        return f"{self.count} rows skipped" + (f": {why}" if why else "") + mended


@dataclass(frozen=True, eq=False)
class Task:
    """One dataset with its meaning.

    Attributes:
        kind: name of the task type, see ``formats.KINDS``.
        cluster: tasks of one cluster would leak into each other.
        lineage: the source datasets that the rows come from.
        scale: ``(low, high, quantum)`` of a Regression task.
        metric: name of the metric in ``tasks.metrics``.
        also: further metrics that an evaluation reports beside it.
        positive: the label that metrics of one label are about.
        fields: unified field -> column, pattern or list of columns.
        unlabelled: splits without gold answers.
        derive: how splits that are not published are made, if any are.
        adapter: a function row -> Example, or -> dict of unified fields.
        several, unanswerable: what answers of a QuestionAnswering task may be.
        answer_as: what a MultipleChoice answer is: index, number (from 1), letter or text.
        separator: what parts the items of a list that is written as one text.
        group: column by which rows belong together in evaluation (contrast sets).
        broken: split -> number of published rows that cannot be read. So many are left out and
            counted, whatever ``on_bad_row`` says; it decides about any more.
        guide_file: file beside the splits that explains the task, see :meth:`guide`.
        verified: whether all rows were once loaded and round-tripped.
        declaration: the resolved declaration, plain data.
    """

    name: str
    kind: str
    cluster: str
    lineage: frozenset[str]
    source: Source
    prompt: Prompt
    metric: str
    licence: str = ""
    language: str = "en"
    labels: LabelSpace | None = None
    types: TypeSpace | None = None
    scale: tuple[float, float, float] | None = None
    fields: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    unlabelled: frozenset[str] = frozenset()
    derive: Derive | None = None
    adapter: Callable[[Mapping[str, Any]], Any] | None = None
    several: bool = False
    unanswerable: bool = False
    answer_as: str | None = None
    separator: str | None = None
    group: str | None = None
    also: tuple[str, ...] = ()
    positive: str | None = None
    broken: Mapping[str, int] = field(default_factory=dict)
    guide_file: str | None = None
    notes: tuple[str, ...] = ()
    hub_id: str | None = None
    verified: bool = True
    declaration: Mapping[str, Any] = field(default_factory=dict)

    @property
    def type(self) -> type:
        """The class of this task's examples."""
        return KINDS[self.kind]

    def splits(self) -> tuple[str, ...]:
        """Names of the splits, in the order of the declaration."""
        if self.derive is None:
            return self.source.splits()
        published = [s for s in self.source.splits() if s != self.derive.base]
        return (*self.derive.parts, *published)

    def supports(self, format: str) -> bool:
        """Whether ``format`` (generate, extract, entail) can ask this task."""
        if format not in FORMATS:
            raise UnknownName("format", format, FORMATS)
        return FORMATS[format]().supports(self.type)

    @cached_property
    def _loaded(self) -> dict[str, Dataset]:
        return {}

    def _published(self, split: str) -> str:
        if split not in self.splits():
            raise UnknownName("split", split, self.splits(), task=self.name)
        if self.derive is not None and split in self.derive.parts:
            return self.derive.base
        return split

    def rows(self, split: str) -> Dataset:
        """The rows as published, memory-mapped. Raises DataError, UnknownName."""
        base = self._published(split)
        if split not in self._loaded:
            try:
                data = self.source.load(base)
                if len(data) == 0:
                    raise DataError(
                        "no rows", file=self.source.place(base), expected="at least one row"
                    )
                if self.derive is not None and split in self.derive.parts:
                    data = data.select(self._part(data, split))
            except UnifyError as error:
                raise error.at(task=self.name, split=split) from None
            self._loaded[split] = data
        return self._loaded[split]

    def _numbered(
        self, split: str, start: int, count: int | None
    ) -> tuple[list[str], Iterator[tuple[int, dict[str, Any]]]]:
        """Columns, and ``count`` rows from ``start`` on with their numbers: those of shards as they
        are read, where nobody asks for them by number."""
        base = self._published(split)
        if start or base != split or not isinstance(self.source, Shards):
            data = self.rows(split)
            return data.column_names, _plain(data, start, count)
        return first_of(self.source.stream(split, count), task=self.name, split=split)

    def _part(self, data: Dataset, split: str) -> Any:
        assert self.derive is not None
        keys: Sequence[object] = range(len(data))
        if self.derive.group is not None:
            if self.derive.group not in data.column_names:
                raise UnknownName(
                    "column", self.derive.group, data.column_names, field="derive.group"
                )
            keys = data[self.derive.group][:]
        return assign(keys, self.derive.parts, self.derive.seed)[split]

    def count(self, split: str) -> int:
        """Number of rows of a split, bad ones included."""
        return len(self.rows(split))

    def groups(self, split: str) -> list[str] | None:
        """Per row the value of the ``group`` column, or None when the task has none."""
        if self.group is None:
            return None
        get = getter(self.group, self.rows(split).column_names)
        return [str(get(row)) for row in self.rows(split)]

    def example(
        self,
        row: Mapping[str, Any],
        id: str,
        get: Mapping[str, Getter],
        mended: Counter[str] | None = None,
    ) -> Example:
        """One row as a typed example, counting in ``mended`` what it mends; raises RowError."""
        complain(row)
        if self.adapter is None:
            values: Any = {name: g(row) for name, g in get.items()}
        else:
            values = self.adapter(row)
            if isinstance(values, self.type):
                made: Any = values
                return cast(Example, dataclasses.replace(made, id=id))
        try:
            return BUILDERS[self.kind](self, id, values, Counter() if mended is None else mended)
        except _SHAPES as error:  # a number where a list belongs, a list where a mapping does …
            raise RowError(
                f"a row whose fields have another shape: {type(error).__name__}: {error}",
                got=values,
                expected=f"what the fields of a {self.type.__name__} hold, see tasks/README.md",
                fix="map the fields to other columns, or train and evaluate with on_bad_row=skip",
            ) from error

    def examples(
        self,
        split: str,
        limit: int | None = None,
        on_bad_row: str = "raise",
        skipped: Skipped | None = None,
        start: int = 0,
    ) -> Iterator[Example]:
        """Typed examples with ids ``task/split/row``, from row ``start`` on.

        Args:
            limit: examples to yield at most.
            on_bad_row: ``raise``, or ``skip`` rows that raise RowError. The rows that the task
                announces as ``broken`` are skipped either way.
            skipped: counts what was left out, and what was mended.

        Raises RowError (with its place), DataError, UnknownName.
        """
        if on_bad_row not in ("raise", "skip"):
            raise ConfigError(
                "unknown on_bad_row", got=on_bad_row, expected="raise or skip", task=self.name
            )
        if limit is not None and limit < 1:
            return
        announced = self.broken.get(split, 0)
        strict = on_bad_row == "raise" and not announced
        columns, rows = self._numbered(split, start, limit if strict else None)
        get: Mapping[str, Getter] = {}
        if self.adapter is None:
            try:
                get = getters(
                    self.kind,
                    self.fields,
                    columns,
                    labelled=split not in self.unlabelled,
                )
            except UnifyError as error:
                raise error.at(task=self.name, split=split) from None
        left = sys.maxsize if limit is None else limit
        prefix = f"{self.name}/{split}/"
        mended = None if skipped is None else skipped.mended
        for number, row in rows:
            if left <= 0:
                return
            try:
                example = self.example(row, f"{prefix}{number}", get, mended)
            except RowError as error:
                file = self.source.place(self._published(split))
                error.at(task=self.name, split=split, file=str(file), row=number)
                if on_bad_row == "raise" and announced == 0:
                    raise
                announced -= 1
                if skipped is not None:
                    skipped.add(error)
                continue
            left -= 1
            yield example

    def guide(self) -> Guide | None:
        """What people were told about the task, if its source says so. Raises DataError."""
        if self.guide_file is None:
            return None
        from .guide import read_guide

        # Declarations are checked to have files, and subsets ask their parent's.
        return read_guide(cast(Files, self.source).at(self.guide_file))

    def demonstrations(self) -> tuple[Example, ...]:
        """The guide's good examples as labelled examples, with ids ``task/guide/number``."""
        guide = self.guide()
        found = []
        for number, shown in enumerate(guide.positive if guide else ()):
            values = {"text": shown.input, "label": shown.output}
            if self.kind == "generate":
                values = {"source": shown.input, "targets": shown.output, "rationale": shown.why}
            id = f"{self.name}/guide/{number}"
            found.append(BUILDERS[self.kind](self, id, values, Counter()))
        return tuple(found)

    def scorer(self) -> Metric:
        """This task's metric."""
        from .metrics import metric

        return metric(self.metric, self.positive)

    def fingerprint(self) -> str:
        """A hash of the declaration and of what its rows come from. Raises DataError."""
        try:
            return digest([self.name, self.declaration, self.source.stamp()])
        except UnifyError as error:
            raise error.at(task=self.name) from None


def _plain(data: Dataset, start: int, count: int | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """``(row number, row)``; a batch at a time, which is several times faster than row by row."""
    stop = len(data) if count is None else min(len(data), start + count)
    for at in range(start, stop, _BATCH):
        batch = data[at : min(at + _BATCH, stop)]
        names = list(batch)
        for offset, cells in enumerate(zip(*batch.values(), strict=True)):
            yield at + offset, dict(zip(names, cells, strict=True))
