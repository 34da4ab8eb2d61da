"""The eight task types: what a row means, before any prompt and any token.

Every class is frozen and checks itself; a broken row raises :class:`~formats.errors.RowError`
naming the field. ``gold=None`` means unlabelled. Offsets are half-open and count characters
(Python ``str`` indices) of the text they point into.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from .errors import RowError
from .regression import Regression
from .spaces import LabelSpace, Span, TypeSpace, inside, need_text, optional_text

__all__ = [
    "KINDS",
    "TYPES",
    "TYPE_NAMES",
    "Answer",
    "Example",
    "LabelSpace",
    "MultiLabelClassification",
    "MultipleChoice",
    "QuestionAnswering",
    "Regression",
    "RelationClassification",
    "Span",
    "TextClassification",
    "TextGeneration",
    "TokenClassification",
    "TypeSpace",
    "matches",
    "texts_of",
]


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
        need_text(self.text, "text")
        optional_text(self.text_b, "text_b")
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
        need_text(self.text, "text")
        optional_text(self.text_b, "text_b")
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
        need_text(self.question, "question")
        optional_text(self.context, "context")
        if len(self.options) < 2:
            raise RowError(
                "an option list of fewer than two",
                got=list(self.options),
                expected="at least two options",
                field="options",
                fix="a question with one option asks nothing: drop the row",
            )
        for option in self.options:
            need_text(option, "options")
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
        need_text(self.question, "question")
        need_text(self.passage, "passage")
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
                inside(span, self.passage, "answers")
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
        need_text(self.text, "text")
        for span in self.gold or ():
            inside(span, self.text, "spans")
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
        need_text(self.text, "text")
        inside(self.head, self.text, "head")
        inside(self.tail, self.text, "tail")
        if self.gold is not None:
            self.labels.index(self.gold)


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
        need_text(self.source, "source")
        if self.gold is not None and not self.gold:
            raise RowError(
                "no reference",
                got="()",
                field="targets",
                expected="at least one reference; None for an unlabelled row",
            )
        for reference in self.gold or ():
            need_text(reference, "targets")


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
        raise RowError(
            "an unlabelled example has nothing to match",
            fix="ask for matches of labelled rows only",
            row=example.id,
        )
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
