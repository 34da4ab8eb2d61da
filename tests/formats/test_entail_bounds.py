"""Candidates bounded per type, and spans measured in words."""

from __future__ import annotations

import pytest
from format_strategies import examples, texts
from hypothesis import given
from hypothesis import strategies as st

from formats import (
    Entail,
    EntailInstance,
    QuestionAnswering,
    Span,
    TokenClassification,
    TypeSpace,
    default_prompt,
    matches,
    oracle,
)
from formats.candidates import candidates, words
from formats.errors import ConfigError, RowError
from formats.lengths import length_in_words

TEXT = "Ann Lee met Bob in New York"
TYPES = TypeSpace(("PER", "LOC"), ("person", "place"))


@pytest.mark.parametrize(
    ("start", "end", "length"),
    [(0, 3, 1), (0, 7, 2), (0, 27, 7), (19, 27, 2), (0, 4, None), (1, 3, None), (0, 2, None),
     (3, 4, None), (4, 4, None), (7, 4, None), (27, 30, None)],
)  # fmt: skip
def test_length_in_words(start: int, end: int, length: int | None) -> None:
    assert length_in_words(TEXT, start, end) == length


@examples(200)
@given(texts, st.data())
def test_a_span_of_n_words_is_a_candidate_from_n_on(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    length = length_in_words(text, start, end)
    if length is None:
        assert (start, end) not in set(candidates(text, len(words(text))))
    else:
        assert (start, end) in set(candidates(text, length))
        assert length == 1 or (start, end) not in set(candidates(text, length - 1))


def tagged(*spans: tuple[int, int, str]) -> TokenClassification:
    return TokenClassification("t", TEXT, TYPES, frozenset(Span(*s) for s in spans))


def asked(format: Entail, example: TokenClassification | QuestionAnswering) -> list[EntailInstance]:
    found = list(format.encode(example, default_prompt(example.kind)))
    assert all(isinstance(i, EntailInstance) for i in found)
    return found  # type: ignore[return-value]


def test_each_type_has_its_own_candidates() -> None:
    format = Entail(max_words=8, bounds=(("person", 1), ("tag", 3)))
    example = tagged((12, 15, "PER"), (19, 27, "LOC"))
    found = asked(format, example)
    # Seven words: 7 runs of one word; 7 + 6 + 5 of up to three.
    assert len([i for i in found if "person" in i.hypothesis]) == 7
    assert len([i for i in found if "place" in i.hypothesis]) == 18
    assert [i.hypothesis for i in found[:2]] == [
        "Find the spans. person Ann", "Find the spans. person Lee",
    ]  # fmt: skip
    answer = format.decode(example, default_prompt("tag"), map(oracle, found))
    assert matches(example, answer)


def test_what_a_bound_cuts_off_is_counted() -> None:
    format = Entail(max_words=8, bounds=(("person", 1), ("tag", 3)))
    prompt = default_prompt("tag")
    assert format.holds(tagged((0, 3, "PER"), (0, 7, "LOC")), prompt) is None
    assert format.holds(tagged((0, 7, "PER")), prompt) == (
        "a gold span is not a run of at most 1 whole words"
    )
    assert format.holds(tagged((0, 20, "LOC")), prompt) == (
        "a gold span begins or ends within a word, and candidates are whole words"
    )


def test_questions_are_bounded_too() -> None:
    example = QuestionAnswering("q", "Where?", TEXT, (frozenset([Span(19, 27)]),))
    assert len(asked(Entail(bounds=(("answer", 2),)), example)) == 13
    assert len(asked(Entail(max_words=1, bounds=(("answer", 2),)), example)) == 7
    assert len(asked(Entail(bounds=(("tag", 2),)), example)) == 28


def test_the_words_of_a_type_are_read_without_case() -> None:
    format = Entail(bounds={"Person": 2, "tag": 3})  # type: ignore[arg-type]
    assert format == Entail(bounds=(("Person", 2), ("tag", 3)))
    assert [format.most_words("tag", w) for w in ("person", "PERSON", "place")] == [2, 2, 3]
    assert format.most_words("answer") == 8


def test_bounds_that_make_no_sense() -> None:
    with pytest.raises(ConfigError, match="below one"):
        Entail(bounds=(("tag", 0),))
    with pytest.raises(ConfigError, match="no mapping"):
        Entail(bounds="mine")  # type: ignore[arg-type]


def test_a_long_question_for_many_candidates_is_refused_at_once() -> None:
    def row(question: str) -> QuestionAnswering:
        return QuestionAnswering("9", question, "a b c d " * 1_000, None)

    prompt = default_prompt("answer")
    with pytest.raises(RowError, match="repeat a long question") as caught:
        next(iter(Entail(max_words=8).encode(row("why " * 2_000), prompt)))
    assert caught.value.where["row"] == "9" and "format=extract" in str(caught.value)
    assert "31,972 candidates" in str(caught.value)
    # Thinned for training, the same row is asked.
    gold = frozenset([Span(0, 1)])
    seen = QuestionAnswering("9", "why " * 2_000, "a b c d " * 1_000, (gold,))
    assert len(list(Entail(max_words=8).encode(seen, prompt, sample=True))) == 4
