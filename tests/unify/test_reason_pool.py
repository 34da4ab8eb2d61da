"""Where worked examples come from: a task's rows, another task's, or the configuration."""

from __future__ import annotations

from typing import Any

import pytest

from formats.errors import ConfigError
from formats.examples import LabelSpace, MultipleChoice, TextClassification
from tasks import catalogue
from unify.config import compose
from unify.reasoning.demos import Demo
from unify.reasoning.pool import asked, demonstrations, of_kind
from unify.reasoning.questions import Question


def settings(*more: str) -> dict[str, Any]:
    found: dict[str, Any] = compose("reason", ["reasoning=cot", "reasoning.pool=3", *more])[
        "reasoning"
    ]
    return found


def test_rows_that_show_their_steps_come_first() -> None:
    task = catalogue.load("sums")
    found = demonstrations(task, settings(), "test", direct=False)
    assert (found.origin, len(found.demos), found.most(8)) == ("sums", 3, 8)
    assert all(d.rationale for d in found.demos)
    bare = demonstrations(task, settings(), "test", direct=True)
    assert [d.answer for d in bare.demos] == [d.answer for d in found.demos]
    assert not any(d.rationale for d in bare.demos)


def test_the_configuration_s_examples_stand_in_and_may_be_asked_for() -> None:
    task = catalogue.load("sums")
    for more in (["reasoning.demos_from=worked"], ["reasoning.demos_split=dev"]):
        found = demonstrations(task, settings(*more), "test", direct=False)
        assert (found.origin, found.most(8)) == ("worked", len(found.demos))
        assert found.demos[0].answer == "8" and "3 * 6 = 18" in found.demos[0].rationale
    with pytest.raises(ConfigError, match="no worked example for replies"):
        none = settings("reasoning.worked.text=[]")
        demonstrations(catalogue.load("replies"), none, "test", direct=False)


def test_questions_without_answers_are_of_the_asked_split_where_there_is_no_other() -> None:
    task = catalogue.load("sums")
    apart = asked(task, settings("reasoning.demos_split=dev"), "test")
    assert [q.example.id for q in apart] == [f"sums/test/{i}" for i in range(3)]
    other = settings("reasoning.demos_from=sums", "reasoning.demos_split=dev")
    with pytest.raises(ConfigError, match="no rows to demonstrate"):
        asked(catalogue.load("replies"), other, "test")


def test_every_example_of_the_configuration_fits_its_kind() -> None:
    given = settings()["worked"]
    options = ("a", "b", "c", "d", "e")
    choice = Question(MultipleChoice("a/b/0", "?", options, gold=0), "?", "option", options)
    space = LabelSpace(("0", "1"), ("no", "yes"))
    claim = Question(TextClassification("a/b/0", "?", space), "?", "label", space.words)
    assert [d.answer for d in of_kind(given, claim)] == ["yes", "no", "no"]
    other = Question(claim.example, "?", "label", ("good", "bad"))
    assert of_kind(given, other) == ()
    for demo in of_kind(given, choice):
        read = choice.read(f" {demo.rationale} The answer is {demo.answer}.")
        assert choice.written(read) == demo.answer and f"{demo.answer} " in demo.question
    free = Question(choice.example, "?", "text")
    for demo in of_kind(given, free):
        assert free.read(f" {demo.rationale} The answer is {demo.answer}.") == demo.answer
    numbers = [Demo(**{k: str(v) for k, v in d.items()}) for d in given["number"]]
    assert all(d.rationale.rstrip(".").split()[-1] for d in numbers)
    assert all(f"= {d.answer} " in d.rationale or f"= {d.answer}." in d.rationale for d in numbers)
