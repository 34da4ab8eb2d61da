"""STaR and critique-and-revise by a scripted model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from scripted_lm import Scripted

from formats.errors import ConfigError
from formats.examples import TextGeneration
from unify.alignment.loops import (
    Principle,
    Revised,
    Round,
    critique_and_revise,
    hinted,
    rationale_of,
    star,
)
from unify.alignment.run_loops import keep_round, rounds_done
from unify.reasoning import Chain, Demo, Question, question
from unify.scoring import Writing


class Task:
    metric, name = "numeric_em", "made"


TASK: Any = Task()


def asked(text: str, gold: str) -> Question:
    return question(TextGeneration(f"made/test/{gold}", text, (gold,)), TASK)


def test_rationales_end_before_their_answer() -> None:
    assert rationale_of(" 1 + 1 = 2. So the answer is 2.", "answer is") == "1 + 1 = 2."
    assert rationale_of("no answer here", "answer is") == "no answer here"
    assert rationale_of("the answer is 2", "answer is") == ""


def test_star_keeps_what_is_right_and_asks_the_rest_with_a_hint() -> None:
    rows = [asked("1 + 1?", "2"), asked("2 + 3?", "#### 5"), asked("9 + 9?", "18")]
    first = Scripted(
        {
            "Q: 1 + 1?\nA:": " One more. The answer is 2.",
            "Q: 2 + 3?\nA:": " Two less. The answer is 1.",
            "Q: 9 + 9?\nA:": " Hm. The answer is 1.",
            "Q: 2 + 3? (The answer is 5.)\nA:": " Three more. The answer is 5.",
            "Q: 9 + 9? (The answer is 18.)\nA:": " Hm. The answer is 2.",
        }
    )
    better = Scripted(lambda p: f" Yes. The answer is {sum(map(int, p[3:8].split(' + ')))}.")
    seen: list[Sequence[Demo]] = []

    def train(demos: Sequence[Demo]) -> Scripted:
        seen.append(demos)
        return better

    lm, rounds = star(first, rows, Chain(), train, 2)
    assert lm is better and [(r.right, r.hinted, r.asked) for r in rounds] == [(1, 1, 3), (3, 0, 3)]
    assert seen[0] == (Demo("1 + 1?", "2", "One more."), Demo("2 + 3?", "5", "Three more."))
    assert first.prompts[3:] == [
        "Q: 2 + 3? (The answer is 5.)\nA:", "Q: 9 + 9? (The answer is 18.)\nA:"
    ]  # fmt: skip
    assert hinted(rows[0], "2").text == "1 + 1? (The answer is 2.)"
    ended: list[Round] = []
    asked_before = len(first.prompts) + len(better.prompts)
    lm, again = star(first, rows, Chain(), train, 3, done=rounds, keep=ended.append)
    assert again[:2] == rounds and ended == again[2:] and len(first.prompts) == 5
    assert len(seen) == 5 and len(first.prompts) + len(better.prompts) == asked_before + 3


def test_rounds_of_star_are_read_back(tmp_path: Path) -> None:
    ground: Any = SimpleNamespace(folder=tmp_path, about="these settings")
    made = [Round(n, 1, n, 3, (Demo("1 + 1?", "2", "One more."),)) for n in range(2)]
    for one in made:
        keep_round(ground, one)
    assert rounds_done(ground, 3) == made and rounds_done(ground, 1) == made[:1]
    ground.about = "other ones"
    assert rounds_done(ground, 3) == []


def test_star_without_hints_may_keep_nothing() -> None:
    lm = Scripted(lambda p: " Hm. The answer is 0.")
    with pytest.raises(ConfigError, match="no rationale"):
        star(lm, [asked("1 + 1?", "2")], Chain(), lambda demos: lm, 1, hints=False)
    assert len(lm.prompts) == 1


def test_critique_and_revise_asks_exactly() -> None:
    rude, long = Principle("Is it rude?", "Be kind."), Principle("Is it long?", "Be brief.")
    lm = Scripted(
        {
            "Q: Hi\nA:": " Go away now.\nQ:",
            "Q: Hi\nA: Go away now.\n\nIs it rude?\nCritique:": " It is.",
            "Q: Hi\nA: Go away now.\n\nIs it rude?\nCritique: It is.\n\nBe kind.\nRevision:":
                " Hello, dear friend.",
            "Q: Hi\nA: Hello, dear friend.\n\nIs it long?\nCritique:": " A little.",
            "Q: Hi\nA: Hello, dear friend.\n\nIs it long?\nCritique: A little.\n\nBe brief.\n"
            "Revision:": " Hello.",
        }
    )  # fmt: skip
    (found,) = critique_and_revise(lm, ["Q: Hi\nA:"], [rude, long], Writing())
    turns = (("It is.", "Hello, dear friend."), ("A little.", "Hello."))
    assert found == Revised("Q: Hi\nA:", "Go away now.", turns) and found.final == "Hello."
