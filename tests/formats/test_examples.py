"""The eight task types: every self-check has a row that it refuses, with a message that mends."""

from __future__ import annotations

import ast
import inspect
import traceback
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from format_strategies import EXAMPLES, examples
from hypothesis import given
from hypothesis import strategies as st

import formats.examples
import formats.regression
import formats.spaces
from formats import (
    KINDS,
    TYPES,
    LabelSpace,
    MultiLabelClassification,
    MultipleChoice,
    QuestionAnswering,
    Regression,
    RelationClassification,
    Span,
    TextClassification,
    TextGeneration,
    TokenClassification,
    TypeSpace,
    matches,
    texts_of,
)
from formats.errors import RowError

AB = LabelSpace(("a", "b"))
PER = TypeSpace(("PER",))
S = Span(0, 1)
ONE = frozenset([S])


def regression(low: Any = 0, high: Any = 5, quantum: Any = 1, gold: Any = None) -> Regression:
    return Regression("r", "t", low, high, quantum, None, gold)


# field, what the message says, and the row that must be refused
REFUSED: list[tuple[str, str, Callable[[], object]]] = [
    ("span", "empty or reversed", lambda: Span(2, 2)),
    ("span", "empty or reversed", lambda: Span(3, 1)),
    ("span", "empty or reversed", lambda: Span(-1, 1)),
    ("labels", "fewer than 2", lambda: LabelSpace(("a",))),
    ("labels", "fewer than 2", lambda: LabelSpace(())),
    ("labels", "fewer than 1", lambda: TypeSpace(())),
    ("labels", "blank label names", lambda: LabelSpace(("a", " "))),
    ("labels", "blank label names", lambda: LabelSpace(("a", 1))),  # type: ignore[arg-type]
    ("labels", "blank label names", lambda: TypeSpace((7,))),  # type: ignore[arg-type]
    ("labels", "blank label words", lambda: LabelSpace(("a", "b"), ("x", "\n"))),
    ("labels", "blank label words", lambda: TypeSpace(("a",), (" ",))),
    ("labels", "label names that occur twice", lambda: LabelSpace(("a", "b", "a"))),
    ("labels", "label words that occur twice", lambda: LabelSpace(("a", "b"), ("x", "x"))),
    ("labels", "differ in number", lambda: LabelSpace(("a", "b"), ("x",))),
    ("labels", "differ in number", lambda: TypeSpace(("a",), ("x", "y"))),
    ("labels", "lone surrogate", lambda: LabelSpace(("a", "\ud800"))),
    ("label", "unknown label 'c'", lambda: AB.index("c")),
    ("label", "unknown label", lambda: AB.word([])),  # type: ignore[arg-type]
    ("label", "unknown label 'c'", lambda: TextClassification("x", "t", AB, gold="c")),
    (
        "label",
        "unknown label 'c'",
        lambda: MultiLabelClassification("x", "t", AB, gold=frozenset(["a", "c"])),
    ),
    ("label", "unknown label", lambda: RelationClassification("x", "t", S, S, AB, "c")),
    (
        "label",
        "unknown label 'LOC'",
        lambda: TokenClassification("x", "t", PER, frozenset([Span(0, 1, "LOC")])),
    ),
    ("text", "text is not a text", lambda: TextClassification("x", None, AB)),  # type: ignore[arg-type]
    ("text", "text is not a text", lambda: TextClassification("x", b"t", AB)),  # type: ignore[arg-type]
    ("text", "text is empty", lambda: TextClassification("x", "", AB)),
    ("text", "text is empty", lambda: MultiLabelClassification("x", " \n", AB)),
    ("text", "text is empty", lambda: TokenClassification("x", "\t", PER)),
    ("text", "text is empty", lambda: RelationClassification("x", "", S, S, AB)),
    ("text", "text is empty", lambda: Regression("x", "", 0, 1)),
    ("text", "lone surrogate", lambda: TextClassification("x", "ok \udc80", AB)),
    ("text_b", "text_b is empty", lambda: TextClassification("x", "t", AB, "")),
    ("text_b", "text_b is empty", lambda: MultiLabelClassification("x", "t", AB, " ")),
    ("text_b", "text_b is empty", lambda: Regression("x", "t", 0, 1, text_b="")),
    ("question", "question is empty", lambda: MultipleChoice("x", "", ("a", "b"))),
    ("question", "question is not", lambda: QuestionAnswering("x", 1, "p")),  # type: ignore[arg-type]
    ("passage", "passage is empty", lambda: QuestionAnswering("x", "q", " ")),
    ("context", "context is empty", lambda: MultipleChoice("x", "q", ("a", "b"), "")),
    ("source", "source is empty", lambda: TextGeneration("x", "")),
    ("options", "fewer than two", lambda: MultipleChoice("x", "q", ("a",))),
    ("options", "options is empty", lambda: MultipleChoice("x", "q", ("a", " "))),
    ("options", "occur twice", lambda: MultipleChoice("x", "q", ("a", "b", "a"))),
    ("answer", "not the index", lambda: MultipleChoice("x", "q", ("a", "b"), gold=2)),
    ("answer", "not the index", lambda: MultipleChoice("x", "q", ("a", "b"), gold=-1)),
    ("answer", "not the index", lambda: MultipleChoice("x", "q", ("a", "b"), gold=True)),
    (
        "answer",
        "not the index",
        lambda: MultipleChoice("x", "q", ("a", "b"), gold="a"),  # type: ignore[arg-type]
    ),
    ("answers", "no alternative answer", lambda: QuestionAnswering("x", "q", "p", ())),
    ("answers", "without an answer", lambda: QuestionAnswering("x", "q", "p", (frozenset(),))),
    (
        "answers",
        "several spans",
        lambda: QuestionAnswering("x", "q", "pq", (frozenset([S, Span(1, 2)]),)),
    ),
    ("answers", "outside", lambda: QuestionAnswering("x", "q", "p", (frozenset([Span(0, 2)]),))),
    ("answers", "white space", lambda: QuestionAnswering("x", "q", " p", (ONE,))),
    (
        "spans",
        "outside",
        lambda: TokenClassification("x", "t", PER, frozenset([Span(1, 2, "PER")])),
    ),
    (
        "spans",
        "white space",
        lambda: TokenClassification("x", " t", PER, frozenset([Span(0, 1, "PER")])),
    ),
    ("head", "outside", lambda: RelationClassification("x", "t", Span(0, 2), S, AB)),
    ("tail", "outside", lambda: RelationClassification("x", "t", S, Span(0, 2), AB)),
    ("scale", "empty or endless", lambda: regression(1, 1)),
    ("scale", "empty or endless", lambda: regression(2, 1)),
    ("scale", "empty or endless", lambda: regression(0, float("inf"))),
    ("scale", "empty or endless", lambda: regression(float("nan"), 1)),
    ("scale", "empty or endless", lambda: regression(-1e308, 1e308)),
    ("quantum", "outside the scale", lambda: regression(quantum=0)),
    ("quantum", "outside the scale", lambda: regression(quantum=6)),
    ("quantum", "outside the scale", lambda: regression(quantum=float("nan"))),
    ("quantum", "too fine", lambda: regression(quantum=1e-6)),
    ("quantum", "too fine", lambda: regression(quantum=5e-324)),
    ("quantum", "too fine", lambda: regression(1e15, 1e15 + 1, 0.25)),
    ("value", "not a number", lambda: regression(gold="3")),
    ("value", "not a number", lambda: regression(gold=True)),
    ("value", "outside the scale", lambda: regression(gold=5.1)),
    ("value", "outside the scale", lambda: regression(gold=float("nan"))),
    ("targets", "no reference", lambda: TextGeneration("x", "s", ())),
    ("targets", "targets is empty", lambda: TextGeneration("x", "s", ("a", " "))),
]


def refusal(build: Callable[[], object]) -> RowError:
    with pytest.raises(RowError) as caught:
        build()
    return caught.value


@pytest.mark.parametrize(
    ("field", "what", "build"), REFUSED, ids=[f"{i}-{r[0]}" for i, r in enumerate(REFUSED)]
)
def test_a_bad_row_is_refused(field: str, what: str, build: Callable[[], object]) -> None:
    error = refusal(build)
    message = str(error)
    assert what in error.what and what in message
    assert error.where["field"] == field and f"field {field}" in message
    assert "\n  got:      " in message
    assert "\n  expected: " in message or "\n  to mend:  " in message
    message.encode("utf-8")


def test_every_self_check_has_such_a_row() -> None:
    checks = {
        (module.__file__, node.lineno)
        for module in (formats.examples, formats.regression, formats.spaces)
        for top in ast.parse(inspect.getsource(module)).body
        if not (isinstance(top, ast.FunctionDef) and top.name == "matches")
        for node in ast.walk(top)
        if isinstance(node, ast.Raise)
    }
    reached = set()
    for _, _, build in REFUSED:
        last = traceback.extract_tb(refusal(build).__traceback__)[-1]
        reached.add((last.filename, last.lineno))
    assert checks == reached


@pytest.mark.parametrize("kind", KINDS)
def test_examples_are_frozen_and_hashable(kind: str) -> None:
    @examples(5)
    @given(EXAMPLES[kind])
    def check(example: Any) -> None:
        assert isinstance(hash(example), int)
        with pytest.raises(FrozenInstanceError):
            example.id = "other"

    check()


def test_kinds_name_all_types() -> None:
    assert set(KINDS.values()) == set(TYPES) and len(KINDS) == 8


def test_label_words_default_to_names() -> None:
    assert AB.words == ("a", "b") and len(AB) == 2
    space = LabelSpace(("0", "1"), ("no", "yes"))
    assert space.index("1") == 1 and space.word("1") == "yes"
    assert PER.words == ("PER",) and len(PER) == 1


@pytest.mark.parametrize(
    ("low", "high", "quantum", "grid"),
    [
        (0, 5, 1, ("0", "1", "2", "3", "4", "5")),
        (1, 2, 0.25, ("1", "1.25", "1.5", "1.75", "2")),
        (0, 1, 0.2, ("0", "0.2", "0.4", "0.6", "0.8", "1")),
        (-1, 1, 0.5, ("-1", "-0.5", "0", "0.5", "1")),
        (0, 1, 1 / 3, ("0", "0.333333", "0.666667", "1")),
        (0, 1, 0.3, ("0", "0.3", "0.6", "0.9")),
        (0, 1, 0.6, ("0", "0.6", "1")),
        (1e6, 1e6 + 1, 0.5, ("1000000", "1000000.5", "1000001")),
        (0, 4e-7, 1e-7, ("0", "0.0000001", "0.0000002", "0.0000003", "0.0000004")),
        (0, 1e21, 5e20, ("0", "500000000000000000000", "1000000000000000000000")),
        (-0.0, 1, 1, ("0", "1")),
    ],
)
def test_grid(low: float, high: float, quantum: float, grid: tuple[str, ...]) -> None:
    assert regression(low, high, quantum).grid == grid


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (5, "5"), (3.11, "3.2"), (3.09, "3"), (4.96, "5"), (-9, "0"), (99, "5")],
)
def test_nearest(value: float, text: str) -> None:
    assert regression(0, 5, 0.2).nearest(value) == text


def test_write_and_clip() -> None:
    scale = regression(-1, 5, 0.2)
    assert [scale.write(v) for v in (2, 2.50, -0.0, 1 / 3)] == ["2", "2.5", "0", "0.333333"]
    assert [scale.clip(v) for v in (-3, 2.2, 7)] == [-1, 2.2, 5]


@examples(200)
@given(EXAMPLES["rate"], st.floats(0, 1))
def test_grid_points_are_distinct_plain_numbers_in_the_scale(row: Regression, at: float) -> None:
    points = [float(p) for p in row.grid]
    assert points == sorted(set(points)) and len(set(row.grid)) == len(points)
    assert not any(set(p) - set("-0123456789.") for p in row.grid)
    slack = row.quantum * 1e-4
    assert row.low - slack <= points[0] and points[-1] <= row.high + slack
    value = row.clip(row.low + at * (row.high - row.low))
    assert abs(float(row.nearest(value)) - value) <= row.quantum / 2 + slack


GOLD_QA = QuestionAnswering("q", "Who?", "Ann, Bob, Ann", (ONE, frozenset([Span(5, 8)])))


@pytest.mark.parametrize(
    ("example", "answer", "right"),
    [
        (TextClassification("x", "t", AB, gold="a"), "a", True),
        (TextClassification("x", "t", AB, gold="a"), "b", False),
        (TextClassification("x", "t", AB, gold="a"), None, False),
        (MultiLabelClassification("x", "t", AB, gold=frozenset()), frozenset(), True),
        (MultiLabelClassification("x", "t", AB, gold=frozenset()), None, False),
        (MultiLabelClassification("x", "t", AB, gold=frozenset("a")), frozenset("ab"), False),
        (MultipleChoice("x", "q", ("a", "b"), gold=0), 0, True),
        (MultipleChoice("x", "q", ("a", "b"), gold=0), 1, False),
        (GOLD_QA, frozenset(["A"]), True),
        (GOLD_QA, frozenset(["Bob"]), True),
        (GOLD_QA, frozenset(["A", "Bob"]), False),
        (GOLD_QA, frozenset(), False),
        (regression(0, 5, 0.2, 3.0), 3.1, True),
        (regression(0, 5, 0.2, 3.0), 2.9, True),
        (regression(0, 5, 0.2, 3.0), 3.11, False),
        (regression(0, 5, 0.2, 3.0), float("nan"), False),
        (TextGeneration("x", "s", ("a", "b")), "b", True),
        (TextGeneration("x", "s", ("a", "b")), "c", False),
    ],
)
def test_matches(example: Any, answer: Any, right: bool) -> None:
    assert matches(example, answer) is right


def test_nothing_matches_an_unlabelled_example() -> None:
    with pytest.raises(RowError, match="unlabelled") as caught:
        matches(TextClassification("row 7", "t", AB), "a")
    assert caught.value.where == {"row": "row 7"}


def test_gold_texts() -> None:
    assert GOLD_QA.gold_texts() == (frozenset("A"), frozenset(["Bob"]))


@pytest.mark.parametrize(
    ("example", "found"),
    [
        (TextClassification("x", "t", AB, "u"), ["t", "u"]),
        (MultipleChoice("x", "q", ("a", "b"), "c"), ["q", "c", "a", "b"]),
        (GOLD_QA, ["Who?", "Ann, Bob, Ann"]),
        (TextGeneration("x", "s", ("target",)), ["s"]),
    ],
)
def test_texts_of(example: Any, found: list[str]) -> None:
    assert list(texts_of(example)) == found
