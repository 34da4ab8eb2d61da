"""Published layouts, letter by letter, and their round trip."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from format_strategies import EXAMPLES, examples
from hypothesis import given

from formats import (
    KINDS,
    Extract,
    Generate,
    LabelSpace,
    MultipleChoice,
    QuestionAnswering,
    Regression,
    Scores,
    Span,
    Text,
    TextClassification,
    TextGeneration,
    TokenClassification,
    TypeSpace,
    default_prompt,
    matches,
    oracle,
)
from formats.base import Format
from formats.errors import ConfigError, UnknownName, UnsupportedCell
from formats.layouts import as_in

SENTIMENT = LabelSpace(("pos", "neg"), ("Positive", "Negative"))
REVIEW = TextClassification("r", "A fine Film.", SENTIMENT, gold="neg")
WHO = QuestionAnswering("w", "Who sails?", "Ann sails. Bob waits.", (frozenset([Span(0, 3)]),))
CHOICE = MultipleChoice("c", "What floats?", ("A boat", "Iron"), "The Sea.", gold=0)
UNIFIED, PROQA, KESKAR = Generate(layout="unifiedqa"), Generate(layout="proqa"), Extract(
    layout="keskar"
)  # fmt: skip


def one(format: Format, example: Any, **over: Any) -> Any:
    prompt = replace(default_prompt(example.kind, "en", over), about={"task": "t", "domain": "d"})
    (instance,) = format.encode(example, prompt)
    return instance


def test_unifiedqa_joins_parts_by_a_literal_sign_in_lower_case() -> None:
    asked = one(UNIFIED, WHO)
    assert asked.source == "who sails? \\n ann sails. bob waits." and "\n" not in asked.source
    assert asked.target == "ann"
    asked = one(UNIFIED, CHOICE)
    assert asked.source == "what floats? \\n (a) a boat (b) iron \\n the sea."
    assert (asked.target, asked.options) == ("a boat", ("a boat", "iron"))
    asked = one(UNIFIED, REVIEW, instruction="How is it?")
    assert asked.source == "how is it? \\n (a) positive (b) negative \\n a fine film."
    assert asked.target == "negative"


def test_answers_come_back_as_the_passage_writes_them() -> None:
    prompt = default_prompt("answer")
    assert UNIFIED.decode(WHO, prompt, [Text("ann")]) == frozenset({"Ann"})
    assert UNIFIED.decode(WHO, prompt, [Text("nobody")]) == frozenset({"nobody"})
    assert UNIFIED.decode(REVIEW, default_prompt("classify"), [Text("negative")]) == "neg"
    assert UNIFIED.decode(REVIEW, default_prompt("classify"), [Scores((1.0, 0.0))]) == "pos"
    assert as_in("The Bank and the bank", "the bank") == "the bank"
    assert as_in("The Bank", "the bank") == "The Bank"


def test_what_lower_case_hides_is_not_held() -> None:
    prompt = default_prompt("generate")
    held = TextGeneration("g", "Name it.", ("a boat",))
    assert UNIFIED.holds(held, prompt) is None
    assert "lower case" in str(UNIFIED.holds(replace(held, gold=("A boat",)), prompt))
    same = MultipleChoice("c", "Which?", ("US", "us"), gold=1)
    assert "lower case" in str(UNIFIED.holds(same, default_prompt("choose")))


def test_proqa_names_its_keys() -> None:
    assert one(PROQA, WHO).source == (
        "[Format] extractive [Task] t [Domain] d [Question] Who sails? "
        "[Passage] Ann sails. Bob waits."
    )
    assert one(PROQA, CHOICE).source == (
        "[Format] multiple choice [Task] t [Domain] d [Question] What floats? "
        "[Options] (A) A boat (B) Iron [Passage] The Sea."
    )


def test_keskar_asks_for_a_span_of_the_question() -> None:
    asked = one(KESKAR, REVIEW, instruction="How is it?")
    assert asked.question == "How is it?"
    assert asked.passage == "Positive, or Negative? A fine Film."
    assert [s.of(asked.passage) for s in asked.gold] == ["Negative"]
    rated = Regression("s", "One.", 0.0, 1.0, 0.5, "Two.", gold=0.5)
    asked = one(KESKAR, rated, instruction="How alike?")
    assert asked.passage == "0, 0.5, or 1? One. Two."
    assert [s.of(asked.passage) for s in asked.gold] == ["0.5"]


CELLS = [
    pytest.param(kind, format, id=f"{format.layout}-{kind}")
    for format in (UNIFIED, PROQA, KESKAR)
    for kind, cls in KINDS.items()
    if format.supports(cls)
]


@pytest.mark.parametrize(("kind", "format"), CELLS)
def test_the_perfect_answer_is_the_gold(kind: str, format: Any) -> None:
    @examples(25)
    @given(EXAMPLES[kind])
    def check(example: Any) -> None:
        prompt = default_prompt(kind)
        raws = [oracle(i) for i in format.encode(example, prompt)]
        if format.holds(example, prompt) is None:
            assert matches(example, format.decode(example, prompt, raws))
        else:  # lower case hides it, or its spans overlap
            assert format is UNIFIED or (format is KESKAR and kind == "answer")

    check()


def test_what_a_layout_does_not_ask_is_refused() -> None:
    assert "unifiedqa asks" in str(UNIFIED.refusal(Regression))
    tagged = TokenClassification("t", "Ann", TypeSpace(("who",)))
    with pytest.raises(UnsupportedCell, match="keskar asks"):
        list(KESKAR.encode(tagged, default_prompt("tag")))
    with pytest.raises(UnknownName, match="layout"):
        Generate(layout="unifidqa")
    with pytest.raises(ConfigError, match="another format"):
        Extract(layout="proqa")
    with pytest.raises(ConfigError, match="two layouts"):
        Generate(layout="proqa", compat="metaicl")
