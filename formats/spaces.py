"""Spans, label spaces, and the checks that every example makes of its texts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, TypeAlias

from .errors import RowError

Place: TypeAlias = tuple[int, int]  # start and end of a span without a type


def need_text(value: object, name: str) -> None:
    """Raises RowError unless ``value`` is a text with a visible character that can be written."""
    if not isinstance(value, str):
        raise RowError(
            f"{name} is not a text",
            got=repr(value),
            expected="a string",
            field=name,
            fix="map the field to a text column",
        )
    if not value.strip():
        raise RowError(
            f"{name} is empty",
            got=value,
            expected="a text with at least one visible character",
            field=name,
            fix="repair the row, or train and evaluate with on_bad_row=skip",
        )
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise RowError(
            f"{name} holds a lone surrogate, which no encoding can write",
            got=ascii(value[max(0, error.start - 20) : error.end + 20]),
            field=name,
            fix="read the file with its true encoding",
        ) from None


def optional_text(value: object, name: str) -> None:
    if value is not None:
        need_text(value, name)


def inside(span: Span, text: str, name: str) -> None:
    """Raises RowError unless ``span`` lies within ``text``."""
    if span.end > len(text):
        raise RowError(
            "a span outside its text",
            got=(span.start, span.end),
            expected=f"offsets within 0..{len(text)}",
            field=name,
            fix="count characters, not bytes or tokens",
        )


@dataclass(frozen=True, order=True, init=False)
class Span:
    """``text[start:end]``, optionally of an entity type; ``type`` is the type's name."""

    start: int
    end: int
    type: str = ""

    def __init__(self, start: int, end: int, type: str = "") -> None:
        # By hand: millions are made, and a frozen dataclass's own takes twice as long.
        if start < 0 or end <= start:
            raise RowError(
                "an empty or reversed span",
                got=(start, end),
                expected="0 <= start < end, in characters",
                field="span",
            )
        values = self.__dict__
        values["start"] = start
        values["end"] = end
        values["type"] = type

    def of(self, text: str) -> str:
        return text[self.start : self.end]


@dataclass(frozen=True)
class LabelSpace:
    """An ordered set of labels: ``names`` identify, ``words`` are what a model reads.

    One space is shared by all rows of a task (held by reference), or made per row.
    """

    _fewest: ClassVar[int] = 2
    names: tuple[str, ...]
    words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.words:
            object.__setattr__(self, "words", self.names)
        if len(self.names) < self._fewest:
            raise RowError(
                f"a label space of fewer than {self._fewest} labels",
                got=self.names,
                expected=f"at least {self._fewest}",
                field="labels",
                fix="list every label that a row may have",
            )
        for what, items in (("names", self.names), ("words", self.words)):
            bad = [i for i in items if not isinstance(i, str) or not i.strip()]
            if bad:
                raise RowError(
                    f"blank label {what}",
                    got=bad,
                    field="labels",
                    expected="texts with at least one visible character",
                )
            for item in items:
                need_text(item, "labels")
            if len(set(items)) != len(items):
                twice = sorted({i for i in items if items.count(i) > 1})
                raise RowError(
                    f"label {what} that occur twice",
                    got=twice,
                    field="labels",
                    expected="each once",
                    fix="merge the labels, or word them apart",
                )
        if len(self.words) != len(self.names):
            raise RowError(
                "labels and label words differ in number",
                got=f"{len(self.names)} names, {len(self.words)} words",
                expected="one word, or phrase, per label",
                field="labels",
            )

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    def index(self, name: str) -> int:
        """Position of label ``name``; raises RowError when it is not a label."""
        try:
            return self._index[name]
        except (KeyError, TypeError):
            raise RowError(
                f"unknown label {name!r}",
                got=name,
                expected=f"one of {', '.join(self.names[:20])}",
                field="label",
                fix="add it to the task's labels, or map it there",
            ) from None

    def word(self, name: str) -> str:
        return self.words[self.index(name)]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class TypeSpace(LabelSpace):
    """Entity types of a tagging task; a single type is allowed."""

    _fewest: ClassVar[int] = 1
