"""The eight task types: what a row means, before any prompt and any token.

Every class is frozen and checks itself; a broken row raises :class:`~formats.errors.RowError`
naming the field. ``gold=None`` means unlabelled. Offsets are half-open and count characters
(Python ``str`` indices) of the text they point into.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, TypeAlias

from .errors import RowError

MOST_POINTS = 10_000  # on the scale of a regression
_FINEST = 1e-10  # a quantum below this part of the scale's ends drowns in rounding


@dataclass(frozen=True, order=True)
class Span:
    """``text[start:end]``, optionally of an entity type; ``type`` is the type's name."""

    start: int
    end: int
    type: str = ""

    def of(self, text: str) -> str:
        return text[self.start : self.end]

    def __post_init__(self) -> None:
        if self.start < 0 or self.end <= self.start:
            raise RowError(
                "an empty or reversed span",
                got=(self.start, self.end),
                expected="0 <= start < end, in characters",
                field="span",
            )


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
                _need_text(item, "labels")
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


def _need_text(value: object, name: str) -> None:
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
            fix="repair the row, or load with on_bad_row=skip",
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


def _optional_text(value: object, name: str) -> None:
    if value is not None:
        _need_text(value, name)


def _inside(span: Span, text: str, name: str) -> None:
    if span.end > len(text):
        raise RowError(
            "a span outside its text",
            got=(span.start, span.end),
            expected=f"offsets within 0..{len(text)}",
            field=name,
            fix="count characters, not bytes or tokens",
        )


@dataclass(frozen=True)
class TextClassification:
    """One text, or a pair, has one label. Answer: the label's name."""

    kind: ClassVar[str] = "classify"
    id: str
    text: str
    labels: LabelSpace
    text_b: str | None = None
    gold: str | None = None

    def __post_init__(self) -> None:
        _need_text(self.text, "text")
        _optional_text(self.text_b, "text_b")
        if self.gold is not None:
            self.labels.index(self.gold)


@dataclass(frozen=True)
class MultiLabelClassification:
    """One text, or a pair, has any number of labels. Answer: the set of their names."""

    kind: ClassVar[str] = "multilabel"
    id: str
    text: str
    labels: LabelSpace
    text_b: str | None = None
    gold: frozenset[str] | None = None

    def __post_init__(self) -> None:
        _need_text(self.text, "text")
        _optional_text(self.text_b, "text_b")
        for name in self.gold or ():
            self.labels.index(name)


@dataclass(frozen=True)
class MultipleChoice:
    """A question (with an optional context) and its own options. Answer: the option's index."""

    kind: ClassVar[str] = "choose"
    id: str
    question: str
    options: tuple[str, ...]
    context: str | None = None
    gold: int | None = None

    def __post_init__(self) -> None:
        _need_text(self.question, "question")
        _optional_text(self.context, "context")
        if len(self.options) < 2:
            raise RowError(
                "an option list of fewer than two",
                got=list(self.options),
                expected="at least two options",
                field="options",
                fix="a question with one option asks nothing: drop the row",
            )
        for option in self.options:
            _need_text(option, "options")
        if len(set(self.options)) != len(self.options):
            raise RowError(
                "options that occur twice",
                got=list(self.options),
                expected="each once",
                field="options",
                fix="drop the row: two equal options are no choice",
            )
        if self.gold is not None and (
            isinstance(self.gold, bool)
            or not isinstance(self.gold, int)
            or not 0 <= self.gold < len(self.options)
        ):
            raise RowError(
                "the answer is not the index of an option",
                got=self.gold,
                expected=f"an integer in 0..{len(self.options) - 1}",
                field="answer",
            )


@dataclass(frozen=True)
class QuestionAnswering:
    """An extractive question. Answer: the set of answer texts, empty for 'unanswerable'.

    ``gold`` holds alternatives (annotators); each is a set of spans of ``passage``. ``several``
    says that an answer may have more than one span, ``unanswerable`` that it may have none.
    """

    kind: ClassVar[str] = "answer"
    id: str
    question: str
    passage: str
    gold: tuple[frozenset[Span], ...] | None = None
    several: bool = False
    unanswerable: bool = False

    def __post_init__(self) -> None:
        _need_text(self.question, "question")
        _need_text(self.passage, "passage")
        if self.gold is not None and not self.gold:
            raise RowError(
                "no alternative answer",
                got=self.gold,
                field="answers",
                expected="at least one alternative; the empty set means unanswerable",
            )
        for alternative in self.gold or ():
            if not alternative and not self.unanswerable:
                raise RowError(
                    "a question without an answer, in a task whose questions all have one",
                    got=[],
                    expected="at least one span",
                    field="answers",
                    fix="declare unanswerable: true in the task",
                )
            if len(alternative) > 1 and not self.several:
                raise RowError(
                    "an answer of several spans, in a task whose answers are one span",
                    got=sorted(alternative),
                    field="answers",
                    fix="declare several: true in the task",
                )
            for span in alternative:
                _inside(span, self.passage, "answers")
                if not span.of(self.passage).strip():
                    raise RowError(
                        "an answer of white space",
                        got=span,
                        field="answers",
                        expected="a span with at least one visible character",
                    )

    def gold_texts(self) -> tuple[frozenset[str], ...]:
        """The alternatives as sets of texts."""
        return tuple(frozenset(s.of(self.passage) for s in alt) for alt in self.gold or ())


@dataclass(frozen=True)
class TokenClassification:
    """Typed spans of a text (NER, slots, chunks, POS). Answer: the set of typed spans.

    ``tokens`` are the dataset's own token boundaries ``(start, end)``, used by tag metrics;
    where absent, tokens are what lies between white space.
    """

    kind: ClassVar[str] = "tag"
    id: str
    text: str
    types: TypeSpace
    gold: frozenset[Span] | None = None
    tokens: tuple[tuple[int, int], ...] | None = None

    def __post_init__(self) -> None:
        _need_text(self.text, "text")
        for span in self.gold or ():
            _inside(span, self.text, "spans")
            self.types.index(span.type)
            if not span.of(self.text).strip():
                raise RowError(
                    "an entity of white space",
                    got=span,
                    field="spans",
                    expected="a span with at least one visible character",
                )


@dataclass(frozen=True)
class RelationClassification:
    """The relation between two marked spans of a text. Answer: the relation's name."""

    kind: ClassVar[str] = "relate"
    id: str
    text: str
    head: Span
    tail: Span
    labels: LabelSpace
    gold: str | None = None

    def __post_init__(self) -> None:
        _need_text(self.text, "text")
        _inside(self.head, self.text, "head")
        _inside(self.tail, self.text, "tail")
        if self.gold is not None:
            self.labels.index(self.gold)


@dataclass(frozen=True)
class Regression:
    """A number in ``[low, high]`` for one text or a pair. Answer: a float.

    ``quantum`` is the grid on which texts write the number (STS-B: 0.2); two answers closer than
    half of it are the same.
    """

    kind: ClassVar[str] = "rate"
    id: str
    text: str
    low: float
    high: float
    quantum: float = 1.0
    text_b: str | None = None
    gold: float | None = None

    def __post_init__(self) -> None:
        _need_text(self.text, "text")
        _optional_text(self.text_b, "text_b")
        width = self.high - self.low
        if not (math.isfinite(width) and self.low < self.high):
            raise RowError(
                "an empty or endless scale",
                got=(self.low, self.high),
                field="scale",
                expected="low < high, both finite",
            )
        if not 0 < self.quantum <= width:
            raise RowError(
                "a quantum outside the scale",
                got=self.quantum,
                field="quantum",
                expected=f"above 0 and at most {width:g}, the width of the scale",
            )
        if width / self.quantum > MOST_POINTS or self.quantum < _FINEST * max(
            abs(self.low), abs(self.high)
        ):
            raise RowError(
                "a quantum too fine for its scale",
                got=self.quantum,
                field="quantum",
                expected=f"at most {MOST_POINTS} points on the scale, clear of rounding errors",
                fix="choose a coarser quantum: the grid on which the number is written",
            )
        if self.gold is None:
            return
        if isinstance(self.gold, bool) or not isinstance(self.gold, (int, float)):
            raise RowError(
                "the value is not a number",
                got=self.gold,
                expected="a float or an integer",
                field="value",
            )
        if not self.low <= self.gold <= self.high:
            raise RowError(
                "a value outside the scale",
                got=self.gold,
                expected=f"within {self.low:g}..{self.high:g}",
                field="value",
            )

    @cached_property
    def grid(self) -> tuple[str, ...]:
        """The scale's points as texts, from low to high; a last half step ends at high."""
        steps = round((self.high - self.low) / self.quantum)
        points = (min(self.low + i * self.quantum, self.high) for i in range(steps + 1))
        return tuple(self.write(p) for p in points)

    def nearest(self, value: float) -> str:
        """The grid's text for ``value``."""
        return self.grid[max(0, min(len(self.grid) - 1, round((value - self.low) / self.quantum)))]

    def write(self, value: float) -> str:
        """``value`` in plain digits, as many as the quantum needs (no exponent)."""
        digits = max(6, 5 - math.floor(math.log10(self.quantum)))
        text = f"{value:.{digits}f}".rstrip("0").rstrip(".")
        return "0" if text == "-0" else text

    def clip(self, value: float) -> float:
        """``value`` moved into ``[low, high]``."""
        return min(max(value, self.low), self.high)


@dataclass(frozen=True)
class TextGeneration:
    """Free text from a text. Answer: a string; ``gold`` holds the references."""

    kind: ClassVar[str] = "generate"
    id: str
    source: str
    gold: tuple[str, ...] | None = None
    rationale: str | None = None
    meta: dict[str, str] = field(default_factory=dict, compare=False, hash=False)

    def __post_init__(self) -> None:
        _need_text(self.source, "source")
        if self.gold is not None and not self.gold:
            raise RowError(
                "no reference",
                got="()",
                field="targets",
                expected="at least one reference; None for an unlabelled row",
            )
        for reference in self.gold or ():
            _need_text(reference, "targets")


Example: TypeAlias = (
    TextClassification
    | MultiLabelClassification
    | MultipleChoice
    | QuestionAnswering
    | TokenClassification
    | RelationClassification
    | Regression
    | TextGeneration
)
Answer: TypeAlias = str | frozenset[str] | int | frozenset[Span] | float | None

TYPES: tuple[type, ...] = (
    TextClassification,
    MultiLabelClassification,
    MultipleChoice,
    QuestionAnswering,
    TokenClassification,
    RelationClassification,
    Regression,
    TextGeneration,
)
KINDS: dict[str, type] = {t.kind: t for t in TYPES}  # type: ignore[attr-defined]
TYPE_NAMES: dict[str, type] = {t.__name__: t for t in TYPES}


def matches(example: Example, answer: Answer) -> bool:
    """Whether ``answer`` equals the example's gold, in the task's own answer space.

    Exact, except for Regression (half a quantum); a QuestionAnswering answer has to equal one of
    the alternatives as a set of texts. ``None`` (no valid answer) matches nothing.
    """
    if example.gold is None:
        raise RowError("an unlabelled example has nothing to match", row=example.id)
    if answer is None:
        return False
    if isinstance(example, QuestionAnswering):
        return answer in example.gold_texts()
    if isinstance(example, Regression):
        assert isinstance(answer, (int, float))
        return abs(answer - example.gold) <= example.quantum * (0.5 + 1e-4)
    if isinstance(example, TextGeneration):
        return answer in example.gold
    return bool(answer == example.gold)


def texts_of(example: Example) -> Iterable[str]:
    """The example's input texts, for overlap checks and for training a tokenizer."""
    for name in ("source", "question", "text", "text_b", "context", "passage"):
        value = getattr(example, name, None)
        if value:
            yield value
    if isinstance(example, MultipleChoice):
        yield from example.options
