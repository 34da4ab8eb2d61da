"""The sample world's sums: their prompts are the methods' own, and who knows them answers all."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from scripted_lm import Scripted

from formats.errors import UnknownName
from tasks import catalogue
from tasks.sample import sums
from tasks.sample.sums_prompts import FORMS, rows, solved
from unify.config import compose
from unify.reasoning import Chain, Demo, LeastToMost, Question, SelfAsk, ZeroShot, question
from unify.reasoning.build import build
from unify.reasoning.run import evaluate
from unify.scoring import Writing

TASK = catalogue.load("sums")
PROBLEMS = list(sums.rows("test", 4))
METHODS = ("direct", "cot", "zero_shot_cot", "self_consistency", "complex_cot", "auto_cot",
           "least_to_most", "self_ask")  # fmt: skip


def asked(row: dict[str, Any]) -> Question:
    (example,) = [e for e in TASK.examples("test", 4) if e.source == row["question"]]  # type: ignore
    return question(example, TASK)


def test_every_form_is_the_prompt_of_its_method() -> None:
    row, *others = PROBLEMS[:3]
    pairs = {form: make(row, others, Random(1)) for form, make in FORMS.items()}
    text, zero, parts = row["question"], ZeroShot(), LeastToMost()
    worked = tuple(Demo(o["question"], o["number"], o["steps"]) for o in others)
    bare = tuple(Demo(d.question, d.answer) for d in worked)
    assert pairs["shown"][0] == Chain().layout.prompt(worked, text)
    assert pairs["shown_plain"][0] == Chain().layout.prompt(bare, text)
    assert pairs["triggered"][0] == zero.opening(asked(row))
    second = f"{zero.opening(asked(row))} {row['steps']}\n{asked(row).trigger}"
    assert pairs["concluded"][0] == second
    assert pairs["parts"][0] == parts.decompose_prompt(text)
    assert pairs["asked"][0] == SelfAsk().prompt(text)
    all_parts = solved(row)
    prompts = [parts.solve_prompt(text, all_parts[:k], p) for k, (p, _) in enumerate(all_parts)]
    assert pairs["part"][0] in prompts
    assert parts.parts(all_parts[-1][0], pairs["parts"][1]) == [p for p, _ in all_parts]


def test_rows_of_a_form_are_seeded_and_about_the_same_problems() -> None:
    for form in FORMS:
        made = list(rows("test", 3, form))
        assert made == list(rows("test", 3, form)) == list(rows("test", 5, form))[:3]
        assert [r["number"] for r in made] == [p["number"] for p in PROBLEMS[:3]]
        assert all(p["question"] in r["source"] for r, p in zip(made, PROBLEMS, strict=False))


def knowing() -> dict[str, str]:
    """What stands last in a prompt of any method, and what should follow."""
    said = {}
    for row in [*PROBLEMS, *sums.rows("train", 8)]:
        for form in ("shown", "triggered", "concluded", "parts", "asked"):
            source, target = FORMS[form](row, [], Random(0))
            said[source] = f" {target}"
        pairs = solved(row)
        for k, (part, answer) in enumerate(pairs):
            said[LeastToMost().solve_prompt(row["question"], pairs[:k], part)] = f" {answer}"
    return said


@pytest.mark.parametrize("method", METHODS)
def test_a_model_that_knows_the_prompts_is_right_on_every_row(method: str, tmp_path: Path) -> None:
    known = knowing()
    lm = Scripted(lambda prompt: known[prompt.rpartition("\n\n")[2]])
    config = compose("reason", [f"reasoning={method}", "reasoning.demos=2", "reasoning.pool=8"])
    settings = config["reasoning"]
    built = build(settings, lm, TASK, "test", Writing(tokens=200), seed=0)
    found = evaluate(built, lm, TASK, folder=tmp_path, about=settings, label=method, rows=4,
                     resamples=10)  # fmt: skip
    assert found.value == 1.0 and found.notes["unread_answers"] == 0
    if method == "self_consistency":
        assert found.notes["agreement"] == 1.0 and found.notes["calibration"]["ece"] == 0.0


def test_a_form_that_is_not_there() -> None:
    with pytest.raises(UnknownName, match="shown"):
        next(rows("test", 1, "show"))
