"""Own words per type: a tagging task's questions and hypotheses."""

from __future__ import annotations

import pytest

from formats import Entail, Extract, Span, TokenClassification, TypeSpace, oracle
from formats.errors import DeclarationError
from formats.prompts import default_prompt

TYPES = TypeSpace(("P", "L"), ("person", "place"))
EXAMPLE = TokenClassification("0", "Ann in Rome", TYPES, frozenset([Span(0, 3, "P")]))
OWN = {"instruction": "Find names.", "questions": {"P": "Who is in “{{ text }}”?"}}


def asked(prompt, template, **settings):
    found = Extract(**settings).encode(EXAMPLE, prompt, template=template)
    return [i.question for i in found]


def test_questions_are_one_more_way_and_the_first() -> None:
    plain = default_prompt("tag", overrides={"instruction": "Find names."})
    prompt = default_prompt("tag", overrides=OWN)
    assert prompt.count("extract") == plain.count("extract") + 1
    own, default = asked(prompt, 0), asked(plain, 0)
    assert own == ["Who is in “Ann in Rome”?", default[1]]  # a type without its own keeps its one
    assert asked(prompt, 1) == default and asked(prompt, 2) == asked(plain, 1)
    assert asked(prompt, 0, one_pass=True) == asked(plain, 0, one_pass=True)


@pytest.mark.parametrize("template", [0, 1, 2])
def test_questions_of_one_type_are_answered_as_any(template: int) -> None:
    prompt = default_prompt("tag", overrides=OWN)
    raws = map(oracle, Extract().encode(EXAMPLE, prompt, template=template))
    assert Extract().decode(EXAMPLE, prompt, raws, template=template) == EXAMPLE.gold


def test_a_type_may_have_its_own_hypothesis() -> None:
    over = {"hypotheses": {"L": "{{ candidate }} is where ({{ type }}) it is."}}
    prompt = default_prompt("tag", overrides=over)
    found = list(Entail(max_words=1).encode(EXAMPLE, prompt))
    assert [i.hypothesis for i in found[3:]] == [
        f"{word} is where (place) it is." for word in ("Ann", "in", "Rome")
    ]
    assert "where" not in found[0].hypothesis
    assert Entail(max_words=1).decode(EXAMPLE, prompt, map(oracle, found)) == EXAMPLE.gold


@pytest.mark.parametrize(
    ("kind", "over"), [("classify", OWN), ("generate", OWN), ("tag", {"questions": ["Who?"]})]
)
def test_questions_that_name_no_type_are_refused(kind: str, over: dict[str, object]) -> None:
    with pytest.raises(DeclarationError) as caught:
        default_prompt(kind, overrides=over)
    assert caught.value.where["field"] == "prompts.questions"
