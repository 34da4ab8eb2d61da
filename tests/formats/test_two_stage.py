"""Tagging as entail in two stages: is it a span at all, and of which type?"""

from __future__ import annotations

import pytest

from formats import (
    Entail,
    EntailInstance,
    Entailment,
    Span,
    TokenClassification,
    TypeSpace,
    default_prompt,
    oracle,
)
from formats.errors import DeclarationError

TEXT = "Ann in Rome"
TYPES = TypeSpace(("PER", "LOC"), ("person", "place"))
GOLD = frozenset([Span(0, 3, "PER"), Span(7, 11, "LOC")])
EXAMPLE = TokenClassification("0", TEXT, TYPES, GOLD)
FORMAT = Entail(max_words=1, two_stage=True)


def asked(
    format: Entail = FORMAT, over: dict[str, object] | None = None, sample: bool = False
) -> list[tuple[str, float | None]]:
    prompt = default_prompt("tag", overrides={"instruction": "Find names.", **(over or {})})
    found = list(format.encode(EXAMPLE, prompt, sample=sample))
    return [(i.hypothesis, i.gold) for i in found if isinstance(i, EntailInstance)]


def answer(*odds: float, format: Entail = FORMAT) -> object:
    return format.decode(EXAMPLE, default_prompt("tag"), map(Entailment, odds))


def test_a_span_is_asked_for_before_its_types() -> None:
    detected = [("Find names. Ann", 1.0), ("Find names. in", 0.0), ("Find names. Rome", 1.0)]
    typed = [
        ("Find names. person Ann", 1.0), ("Find names. person in", 0.0),
        ("Find names. person Rome", 0.0), ("Find names. place Ann", 0.0),
        ("Find names. place in", 0.0), ("Find names. place Rome", 1.0),
    ]  # fmt: skip
    assert asked() == [*detected, *typed]
    assert asked(Entail(max_words=1)) == typed  # off unless it is asked for


def test_training_asks_for_the_types_of_spans_alone() -> None:
    assert asked(sample=True) == [
        ("Find names. Ann", 1.0), ("Find names. in", 0.0), ("Find names. Rome", 1.0),
        ("Find names. person Ann", 1.0), ("Find names. person Rome", 0.0),
        ("Find names. place Ann", 0.0), ("Find names. place Rome", 1.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("odds", "found"),
    [
        # Per word: is it a span; a person; a place.
        ((1, -1, 1, 2, -1, 1, 1, -1, 2), GOLD),
        ((1, -1, -1, -5, 9, 9, -6, 9, 9), {Span(0, 3, "PER")}),  # unlikely, but the likeliest
        ((0, 0, 0, 9, 9, 9, 9, 9, 9), set()),  # even odds are no span
        ((1, -1, -1, 2, 0, 0, 2, 0, 0), {Span(0, 3, "PER")}),  # the first one on ties
    ],
)
def test_a_span_that_passes_has_its_likeliest_type(
    odds: tuple[float, ...], found: set[Span]
) -> None:
    assert answer(*odds) == found


def test_candidates_are_those_of_any_type() -> None:
    format = Entail(two_stage=True, bounds=(("person", 1), ("place", 2)))
    hypotheses = [h for h, _ in asked(format)]
    # Of three words: 3 + 2 runs; three of one word for persons; 3 + 2 for places.
    assert len(hypotheses) == 5 + 3 + 5
    assert hypotheses[:2] == ["Find names. Ann", "Find names. Ann in"]
    # "Ann in" passes, and can only be a place.
    odds = [-1.0, 1.0, -1.0, -1.0, -1.0, 5.0, 5.0, 5.0, -3.0, -2.0, -3.0, -3.0, -3.0]
    assert answer(*odds, format=format) == {Span(0, 6, "LOC")}


def test_a_span_of_two_types_is_counted() -> None:
    both = TokenClassification("0", TEXT, TYPES, frozenset([Span(0, 3, t) for t in TYPES.names]))
    prompt = default_prompt("tag")
    assert "two stages give a span one" in str(FORMAT.holds(both, prompt))
    assert Entail(max_words=1).holds(both, prompt) is None
    raws = [oracle(i) for i in FORMAT.encode(both, prompt)]
    assert FORMAT.decode(both, prompt, raws) == {Span(0, 3, "PER")}


def test_a_task_has_its_own_words_for_a_span() -> None:
    over = {"detection": "{{ candidate }} is a name."}
    assert [h for h, _ in asked(over=over)][:3] == [
        "Ann is a name.", "in is a name.", "Rome is a name.",
    ]  # fmt: skip
    assert asked(Entail(max_words=1), over) == asked(Entail(max_words=1))
    with pytest.raises(DeclarationError, match="no spans of types") as caught:
        default_prompt("classify", overrides=over)
    assert caught.value.where["field"] == "prompts.detection"
