"""Lists and typed spans as one line: literal lines, and the way back for any text."""

from __future__ import annotations

import pytest
from format_strategies import anything, examples, spaces, spans, texts
from hypothesis import given
from hypothesis import strategies as st

from formats import Span, TypeSpace
from formats.linear import join, read_spans, split, write_spans

LINES = [
    ([], "none"),
    (["a"], "a"),
    (["a", "b"], "a; b"),
    (["b", "a"], "b; a"),
    (["a; b"], "a\\; b"),
    (["a: b@2"], "a\\: b\\@2"),
    (["none"], "\\none"),
    (["none", "x"], "\\none; x"),
    (["none."], "none."),
    (["\\"], "\\\\"),
    (["\\none"], "\\\\none"),
    (["a\\", "b"], "a\\\\; b"),
    ([" a", "b "], " a; b "),
    (["a\nb", "\x00"], "a\nb; \x00"),
    (["正面", "负面"], "正面; 负面"),
]


@pytest.mark.parametrize(("items", "line"), LINES)
def test_lines(items: list[str], line: str) -> None:
    assert join(items) == line
    assert split(line) == items


@pytest.mark.parametrize(
    ("line", "items"),
    [
        ("", []), ("a;b", ["a", "b"]), ("a;  b", ["a", " b"]), ("a;", ["a", ""]),
        (";", ["", ""]), ("a\\", ["a\\"]), ("\\a", ["a"]), ("\\\n", ["\n"]),
    ],
)  # fmt: skip
def test_what_nobody_wrote_is_read_all_the_same(line: str, items: list[str]) -> None:
    assert split(line) == items


@examples(300)
@given(st.lists(texts, max_size=5))
def test_join_and_split_are_inverse(items: list[str]) -> None:
    assert split(join(items)) == items


TEXT = "Ann met Ann: Ann@home"
WORD = {"PER": "person", "LOC": "place", "ODD": "a: b; @2"}
NAME = {word: name for name, word in WORD.items()}


@pytest.mark.parametrize(
    ("marked", "line"),
    [
        ([], "none"),
        ([(0, 3, "PER")], "person: Ann"),
        ([(8, 11, "PER")], "person: Ann@2"),
        ([(13, 16, "PER")], "person: Ann@3"),
        ([(0, 3, "PER"), (8, 11, "PER")], "person: Ann; person: Ann@2"),
        ([(8, 11, "PER"), (13, 16, "PER")], "person: Ann@2; person: Ann@2"),
        ([(4, 7, "LOC"), (8, 11, "PER")], "place: met; person: Ann"),
        ([(0, 3, "LOC"), (0, 3, "PER")], "place: Ann; person: Ann"),
        ([(0, 7, "PER"), (4, 7, "LOC")], "person: Ann met; place: met"),
        ([(8, 16, "PER")], "person: Ann\\: Ann"),
        ([(13, 21, "LOC")], "place: Ann\\@home"),
        ([(3, 8, "PER")], "person:  met "),
        ([(4, 7, "ODD")], "a\\: b\\; \\@2: met"),
    ],
)
def test_span_lines(marked: list[tuple[int, int, str]], line: str) -> None:
    spans = frozenset(Span(*m) for m in marked)
    assert write_spans(TEXT, spans, WORD) == line
    assert read_spans(TEXT, line, NAME) == spans


def test_occurrences_may_overlap() -> None:
    spans = frozenset([Span(1, 3, "PER"), Span(2, 4, "PER")])
    line = write_spans("aaaa", spans, WORD)
    assert line == "person: aa@2; person: aa@2"
    assert read_spans("aaaa", line, NAME) == spans


@pytest.mark.parametrize(
    ("line", "marked"),
    [
        ("", []),
        ("person", []),
        ("person:", []),
        ("person: Bob", []),
        ("animal: Ann", []),
        ("person: Ann@9", []),
        ("person: Ann@0", []),
        ("person: Ann: Ann", []),
        ("person: Ann; nonsense; place: met", [(0, 3, "PER"), (4, 7, "LOC")]),
        ("place: met; person: Ann", [(4, 7, "LOC"), (8, 11, "PER")]),
        ("person:Ann;place:met", [(0, 3, "PER"), (4, 7, "LOC")]),
        ("person: Ann@x", [(0, 3, "PER")]),
        ("person: Ann@" + "9" * 5000, []),
    ],
)
def test_predicted_span_lines(line: str, marked: list[tuple[int, int, str]]) -> None:
    assert read_spans(TEXT, line, NAME) == frozenset(Span(*m) for m in marked)


@examples(300)
@given(st.data())
def test_spans_come_back(data: st.DataObject) -> None:
    text, types = data.draw(texts), data.draw(spaces(TypeSpace))
    typed = st.sampled_from(types.names).flatmap(lambda name: spans(text, name))
    marked = data.draw(st.frozensets(typed, max_size=6))
    word = dict(zip(types.names, types.words, strict=True))
    name = dict(zip(types.words, types.names, strict=True))
    assert read_spans(text, write_spans(text, marked, word), name) == marked


@examples(200)
@given(texts, anything, spaces(TypeSpace), st.data())
def test_reading_is_total(text: str, line: str, types: TypeSpace, data: st.DataObject) -> None:
    word = data.draw(st.sampled_from(types.words))
    name = dict(zip(types.words, types.names, strict=True))
    for written in (line, f"{word}: {line}", f"{word}: {text}@{line}"):
        assert all(isinstance(item, str) for item in split(written))
        for span in read_spans(text, written, name):
            assert span.end <= len(text) and span.type in types.names
