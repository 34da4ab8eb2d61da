"""APE and Self-Instruct by a scripted model: exact prompts, halving by hand, every filter."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from scripted_lm import Scripted

from formats.errors import ConfigError, UnknownName
from tasks import catalogue
from tasks.sample.instructions import DEEDS, FORMS, rows
from unify.reasoning.ape import (
    Candidate,
    Row,
    Search,
    ask_prompt,
    candidates,
    cleaned,
    halved,
    induce_prompt,
    reword_prompt,
    scores,
    search,
)
from unify.reasoning.induce import rows_of
from unify.reasoning.self_instruct import (
    Bootstrap,
    Filters,
    Instance,
    Instructed,
    bootstrap,
    instances_prompt,
    listed,
    most_alike,
    read_seeds,
    tasks_prompt,
    write_tasks,
)
from unify.reasoning.self_instruct import (
    rows_of as rows_written,
)

ROWS = [Row(str(n), (str(2 * n), f"{2 * n}.0")) for n in range(1, 9)]


def test_prompts_of_the_search() -> None:
    shown = "Input: 1\nOutput: 2\n\nInput: 2\nOutput: 4"
    assert induce_prompt(ROWS[:2], Search()) == (
        f"{shown}\n\nThe instruction that turns each input into its output:"
    )
    assert induce_prompt(ROWS[:2], Search(mode="insertion", blank="<b>")) == (
        f"Instruction: <b>\n\n{shown}"
    )
    assert ask_prompt("Double.", "3") == "Instruction: Double.\n\nInput: 3\nOutput:"
    assert ask_prompt("", "3") == "Input: 3\nOutput:"
    assert [cleaned(t) for t in (' "Double it."\nor', "  ", "a")] == ["Double it.", "", "a"]


def obey(prompt: str) -> str:
    """Doubles when told to, adds one when told to, else echoes."""
    number = int(prompt.rsplit("Input: ", 1)[1].split("\n")[0])
    if "Double" in prompt or "Twice" in prompt:
        return f" {2 * number}.\nInput:"
    return f" {number + 1}" if "Add" in prompt else f" {number}"


def test_candidates_are_different_and_seeded() -> None:
    how = Search(prompts=2, shown=3, samples=3)
    lm = Scripted(lambda p: [" Double.", " Add one.", " Double.\nInput: 4"])
    assert candidates(lm, ROWS, how, 0) == ["Double.", "Add one."]
    again = Scripted(lambda p: ["a", "b", "c"])
    candidates(again, ROWS, how, 0)
    assert again.prompts == lm.prompts and len(set(lm.prompts)) == 2
    candidates(again, ROWS, how, 1)
    assert again.prompts[2:] != lm.prompts
    assert lm.calls[0][0] == 3 and lm.calls[0][1].temperature == 0.9


def test_scores_by_execution_and_by_probability() -> None:
    asked = ["Double.", "Add one.", "Echo."]
    assert scores(Scripted(obey), asked, ROWS[:4], Search()) == [1.0, 0.25, 0.0]
    lm = Scripted({}, scores=lambda c, o: -0.5 if "Double" in c else -2.0)
    assert scores(lm, asked, ROWS[:2], Search(by="logprob")) == [-0.5, -2.0, -2.0]


def test_halving_asks_more_rows_of_fewer() -> None:
    lm = Scripted(obey)
    asked = ["Echo.", "Add one.", "Double.", "Twice."]
    found = halved(lm, asked, ROWS, Search(rows=2, keep=1))
    assert found == [Candidate("Double.", 1.0, 8)]
    # 4 candidates on 2 rows, 2 on 4, 1 on 8
    assert len(lm.prompts) == 4 * 2 + 2 * 4 + 1 * 8


def test_the_search_rewords_its_survivors() -> None:
    def said(prompt: str) -> str | list[str]:
        if prompt.endswith("output:"):
            return ["Add one.", "Echo."]
        if prompt == reword_prompt("Add one."):
            return ["Twice.", "Add one."]
        return obey(prompt)

    how = Search(prompts=1, samples=2, rows=4, keep=1, rounds=1, variants=2)
    assert search(Scripted(said), ROWS, ROWS, how) == [Candidate("Twice.", 1.0, 8, round=1)]
    with pytest.raises(ConfigError, match="no instruction"):
        search(Scripted(lambda p: [" ", "\n"]), ROWS, ROWS, how)


def told(prompt: str) -> str | list[str]:
    """Guesses every instruction of the sample world, follows each, rewords none."""
    if prompt.endswith("output:"):
        return [said[0] for _, _, said in DEEDS.values()]
    if prompt.endswith("other words:"):
        return ["", ""]
    instruction, given = prompt.removeprefix("Instruction: ").split("\n\nInput: ")
    given = given.removesuffix("\nOutput:")
    (do,) = [do for _, do, said in DEEDS.values() if instruction in said]
    try:
        return f" {do(given)}"
    except ValueError:  # no numbers
        return " ?"


REAL = ("first_word_letter", "second_word_letter", "letters_list", "sum", "diff")


@pytest.mark.skipif("UNIFY_DATA" not in os.environ, reason="published rows: set UNIFY_DATA")
@pytest.mark.parametrize("name", REAL)
def test_the_search_finds_the_instruction_of_published_rows(name: str) -> None:
    task = catalogue.load(f"induce_{name}")
    pool = rows_of(task, "train", 40)
    how = Search(prompts=1, samples=len(DEEDS), rows=8, keep=2)
    best = search(Scripted(told), pool[20:], pool[:20], how)
    test = rows_of(task, "test", 50)
    assert len(test) == 50 and best[0].rows > 8
    assert best[0].instruction == task.prompt.instruction
    assert scores(Scripted(told), [best[0].instruction], test, how) == [1.0]


def test_the_sample_world_s_prompts_are_those_of_the_search() -> None:
    made = {form: next(rows("test", 1, form)) for form in FORMS}
    shown = [Row(*(line.split(": ")[1] for line in part.split("\n")))
             for part in made["guess"]["source"].split("\n\n")[:-1]]  # fmt: skip
    asked = [Row(r.input, (str(r.outputs),)) for r in shown]
    assert made["guess"]["source"] == induce_prompt(asked, Search())
    head, given = made["follow"]["source"].split("\n\n")
    text = given.removeprefix("Input: ").removesuffix("\nOutput:")
    assert made["follow"]["source"] == ask_prompt(head.removeprefix("Instruction: "), text)
    one = made["reword"]["source"].split("\n")[0].removeprefix("Instruction: ")
    assert made["reword"]["source"] == reword_prompt(one) and made["reword"]["target"] != one
    with pytest.raises(UnknownName):
        next(rows("test", 1, "gues"))


# Self-Instruct

SEEDS = [
    Instructed("s0", "a", "Name the capital of the country.", (Instance("France", "Paris"),)),
    Instructed("s1", "b", "Write a poem about rivers.", (Instance("", "O river"),)),
]


def test_every_filter() -> None:
    told = Filters(words=(3, 6))
    others = ["Name the capital of the country."]
    reasons = {
        "Too short": "length",
        "one two three four five six seven": "length",
        "Draw the nice picture.": "keyword",
        "- list the colours": "beginning",
        "Name the capital of the state.": "alike",
        "Sort these numbers upwards.": None,
    }
    assert {i: told.reason(i, others) for i in reasons} == reasons
    assert most_alike("a b c d", ["a b x d", "y"]) == pytest.approx(0.75)
    assert most_alike("a", []) == 0.0


def test_what_a_model_wrote_is_read() -> None:
    assert listed(" Sort it.\nTask 4: Add them up.\nTask 5:") == ["Sort it.", "Add them up."]
    text = " a\nOutput: b\nInput: a\nOutput: c\nInput: same\nOutput: same\nInput: d\nInput: e"
    assert rows_written(text) == [Instance("a", "b")]


def test_bootstrapping() -> None:
    how = Bootstrap(rounds=1, prompts=1, shown=2, instances=2)
    one = "Task: Name the capital of the country.\nInput: France\nOutput: Paris\n\nTask: {}\nInput:"

    def said(prompt: str) -> str:
        if prompt.startswith("A list"):
            return " Count all the words.\nTask 4: Name a capital of the country.\nTask 5: Sort " \
                "the words backwards.\nTask 6: Say it."
        return " one two\nOutput: 2" if "Count" in prompt.split("Task:")[-1] else " x"

    lm = Scripted(said)
    made = bootstrap(lm, SEEDS, how)
    assert made.tasks == [
        Instructed("made_0", "count_all_the_words_0", "Count all the words.",
                   (Instance("one two", "2"),))
    ]  # fmt: skip
    assert made.left_out == Counter({"alike": 1, "length": 1, "no rows": 1})
    asked = {s.instruction for s in SEEDS}
    first, second = tasks_prompt(sorted(asked)), tasks_prompt(sorted(asked, reverse=True))
    assert lm.prompts[0] in (first, second)
    assert lm.prompts[1:] == [one.format("Count all the words."),
                              one.format("Sort the words backwards.")]  # fmt: skip
    assert instances_prompt("X.", []) == "Task: X.\nInput:"
    with pytest.raises(ConfigError):
        bootstrap(lm, [], how)


def test_tasks_are_written_as_they_are_read(tmp_path: Path) -> None:
    write_tasks(SEEDS, tmp_path / "made.jsonl")
    assert read_seeds(tmp_path / "made.jsonl") == SEEDS
    row = json.loads((tmp_path / "made.jsonl").read_text().splitlines()[0])
    assert set(row) == {"id", "name", "instruction", "instances", "is_classification"}
