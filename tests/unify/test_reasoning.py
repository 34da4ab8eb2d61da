"""Exact prompts and control flow of every reasoning method, by a scripted model."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scripted_lm import Scripted

from formats.errors import ConfigError, UnknownName, UnsupportedCell
from formats.examples import (
    LabelSpace,
    MultiLabelClassification,
    MultipleChoice,
    TextClassification,
    TextGeneration,
)
from unify.reasoning import (
    Asked,
    Chain,
    Decomposed,
    Demo,
    Layout,
    LeastToMost,
    Question,
    Sampling,
    SelfAsk,
    ZeroShot,
)
from unify.reasoning.auto_cot import Limits, clusters, demonstrate, good
from unify.reasoning.demos import answered, nearest_to, select, steps, worked
from unify.reasoning.questions import question
from unify.reasoning.vote import Vote, among_complex, likelihood, vote
from unify.scoring import Writing


class Task:
    """What a question asks of its task."""

    def __init__(self, metric: str, instruction: str | None = None) -> None:
        self.metric, self.name = metric, "made"
        self.prompt = SimpleNamespace(instruction=instruction)


NUMBERS: Any = Task("numeric_em")
WORDS: Any = Task("exact_match")
YESNO = LabelSpace(("0", "1"), ("no", "yes"))


def sum_of(source: str, *gold: str, rationale: str | None = None) -> Question:
    return question(TextGeneration("made/test/0", source, gold or ("7",), rationale), NUMBERS)


CHOICE = question(
    MultipleChoice("made/test/1", "Where is ice?", ("oven", "ice box", "ice"), gold=1), WORDS
)
CLAIM = question(TextClassification("made/test/2", "Is ice cold?", YESNO, gold="1"), WORDS)
FREE = question(TextGeneration("made/test/3", "Who?", ("Ann",)), WORDS)


# Reading


def test_questions_are_laid_out_by_type() -> None:
    assert CHOICE.text == "Where is ice?\nAnswer Choices: (a) oven (b) ice box (c) ice"
    assert CLAIM.text == "Is ice cold?\nOptions: no, yes"
    assert CHOICE.written(1) == "(b)" and CLAIM.written("1") == "yes"
    assert CHOICE.trigger == "Therefore, among (a) through (c), the answer is"
    assert CLAIM.trigger == "Therefore, the answer (no or yes) is"
    told: Any = Task("rouge_l", "Plural?")
    plural = question(TextGeneration("a/b/1", "boat", ("boats",)), told)
    assert (plural.text, plural.kind) == ("Plural?\nboat", "text")
    with pytest.raises(UnsupportedCell, match="MultiLabel"):
        question(MultiLabelClassification("a/b/1", "x", YESNO), WORDS)


@pytest.mark.parametrize(
    ("asked", "text", "answer"),
    [
        (sum_of("?"), "2 + 3 = 5. The answer is $1,234.50 in all, not 9.", "1234.5"),
        (sum_of("?"), "The answer is 3. No: the answer is 4 apples. Then 5", "4"),
        (sum_of("?"), "So 2 + 3 = 5", "5"),
        (sum_of("?"), "steps 4\n#### 10 of 12", "10"),
        (sum_of("?"), "none", None),
        (CHOICE, "(a) is hot. The answer is (b).", 1),
        (CHOICE, "The answer is ice box", 1),
        (CHOICE, "The answer is ICE.", 2),
        (CHOICE, "not (b) but (a)", 0),
        (CHOICE, "The answer is B", 1),
        (CHOICE, "The answer is a mystery", 0),  # a lone letter is read as one
        (CHOICE, "nothing", None),
        (CLAIM, "Ice is cold. So the answer is Yes.", "1"),
        (CLAIM, "yes and then no", "0"),
        (CLAIM, "I know not", None),  # "no" is no part of a word
        (FREE, "Let me see. The answer is Ann Lee. She wrote it.", "Ann Lee"),
        (FREE, "well\nAnn", "Ann"),
        (FREE, "  ", None),
    ],
)
def test_answers_are_read_by_type(asked: Question, text: str, answer: object) -> None:
    assert asked.read(text) == answer


def test_an_empty_marker_reads_what_comes_first() -> None:
    assert sum_of("?").read(" 12 apples, or 13.", marker="") == "12"
    assert CHOICE.read(" (c). Not (a).", marker="") == 2


# Demonstrations


def test_worked_rows() -> None:
    gsm = sum_of("Q?", "He has 2+3=<<2+3=5>>5.\nThen 5*2=<<5*2=10>>10.\n#### 10")
    assert worked(gsm) == Demo("Q?", "10", "He has 2+3=5.\nThen 5*2=10.")
    assert worked(sum_of("Q?", "7", rationale="3 + 4 = 7")) == Demo("Q?", "7", "3 + 4 = 7")
    assert worked(sum_of("Q?", "7")) is None
    assert answered(gsm) == Demo("Q?", "10")
    assert answered(CHOICE) == Demo(CHOICE.text, "(b)")
    assert answered(CLAIM) == Demo(CLAIM.text, "yes")


def test_steps_and_selection() -> None:
    assert [steps(t) for t in ("a\n\nb\nc", "One. Two! Three", "", "one")] == [3, 3, 0, 1]
    told = (("a", "x"), ("b", "x\ny\nz"), ("c", "x\ny"), ("d", "x\ny"))
    pool = [Demo(q, "1", r) for q, r in told]
    assert [d.question for d in select(pool, 3, "complex", 0)] == ["b", "c", "d"]
    assert select(pool, 2, "first", 0) == tuple(pool[:2])
    assert select(pool, 2, "random", 1) == select(pool, 2, "random", 1)
    assert len({select(pool, 2, "random", s) for s in range(9)}) > 1
    with pytest.raises(ConfigError, match="fewer worked"):
        select(pool, 5, "first", 0)
    with pytest.raises(UnknownName):
        select(pool, 1, "best", 0)
    two = [Demo("red boats sail", "1"), Demo("blue dogs bark", "2")]
    assert nearest_to(["dogs bark"], two, 2, None) == [(two[0], two[1])]


# Chains

DEMO = Demo("One and {one}?", "2", "1 + 1 = 2.")


def test_few_shot_chain_of_thought_asks_exactly() -> None:
    prompt = "Q: One and {one}?\nA: 1 + 1 = 2. The answer is 2.\n\nQ: Three and four?\nA:"
    lm = Scripted({prompt: " 3 + 4 = 7. The answer is 7.\n\nQ: More?"})
    (found,) = Chain((DEMO,))(lm, [sum_of("Three and four?")], [0])
    assert found.answer == "7" and found.texts == (" 3 + 4 = 7. The answer is 7.",)
    assert found.share is None
    assert lm.calls == [(1, Writing(stop=("\n\n", "\nQ:")))]


def test_direct_demonstrations_hold_no_steps_and_layouts_are_data() -> None:
    layout = Layout("Problem: {question} =", between="\n", instruction="Add.")
    lm = Scripted({"Add.\nProblem: a = The answer is 2.\nProblem: b =": " The answer is 9."})
    assert Chain((Demo("a", "2"),), layout)(lm, [sum_of("b")], [0])[0].answer == "9"
    assert layout.stop == ("\n", "\nProblem:")
    with pytest.raises(ConfigError, match=r"\{rationale\}"):
        Layout(reasoned="{answer}")


def test_zero_shot_reasons_and_then_answers() -> None:
    first = "Q: Where is ice?\nAnswer Choices: (a) oven (b) ice box (c) ice\nA: Think."
    second = f"{first} Ovens are hot.\nTherefore, among (a) through (c), the answer is"
    lm = Scripted({first: " Ovens are hot.\nQ: and", second: " (b).\nmore"})
    (found,) = ZeroShot("Think.")(lm, [CHOICE], [0])
    assert found.answer == 1 and lm.prompts == [first, second]
    assert lm.calls[1] == (1, Writing(tokens=16, stop=("\n",)))


def test_zero_shot_takes_any_triggers_and_samples() -> None:
    lm = Scripted(
        {
            "Q: s\nA: Hm.": [" a", " b", " c"],
            "Q: s\nA: Hm. a\nSo:": "4", "Q: s\nA: Hm. b\nSo:": "5", "Q: s\nA: Hm. c\nSo:": "4",
        }
    )  # fmt: skip
    asked = ZeroShot("Hm.", "So:", writing=Writing(temperature=1.0), sampling=Sampling(3))
    (found,) = asked(lm, [sum_of("s")], [0])
    assert (found.answer, found.said) == ("4", ("4", "5", "4"))
    assert found.share == pytest.approx(2 / 3)


# Votes


def test_votes_by_hand() -> None:
    q = sum_of("?")
    assert vote(q, ["4", "5", None, "5"], [1, 1, 1, 1]) == Vote("5", 0.5)
    assert vote(q, ["4", "5"], [1, 1]) == Vote("4", 0.5)  # the first of equals
    heavy = vote(q, ["4", "5", "5"], [0.9, 0.2, 0.2])
    assert heavy.answer == "4" and heavy.share == pytest.approx(0.9 / 1.3)
    assert vote(q, [None, None], [1, 1]) == Vote(None, 0.0)
    assert vote(FREE, ["Ann ", "ann", "Bo"], [1, 1, 1]).share == pytest.approx(2 / 3)
    assert likelihood(-2.0, 4) == pytest.approx(math.exp(-0.5))
    assert among_complex([1, 3, 2, 3], 2) == [1, 3] and among_complex([2, 2], 1) == [0]


@pytest.mark.parametrize(
    ("sampling", "answer", "share"),
    [
        (Sampling(3), "5", 2 / 3),
        (Sampling(3, weighted=True), "4", None),
        (Sampling(3, among=1), "4", 1.0),
        (Sampling(3, among=1, weighted=True), "4", 1.0),
    ],
)
def test_self_consistency(sampling: Sampling, answer: str, share: float | None) -> None:
    long, a, b = " One. Two. Three. The answer is 4.", " The answer is 5.", " So the answer is 5."
    lm = Scripted(lambda p: [a, long, b], {long: -0.1, a: -9.0, b: -9.0})
    chain = Chain((), writing=Writing(temperature=0.7), sampling=sampling)
    (found,) = chain(lm, [sum_of("?")], [0])
    weights = [math.exp(-9 / 4), math.exp(-0.1 / 7), math.exp(-9 / 5)]
    expected = weights[1] / sum(weights) if share is None else share
    assert found.answer == answer and found.share == pytest.approx(expected)
    assert lm.calls[0][0] == 3 and lm.prompts == ["Q: ?\nA:"]


def test_texts_that_run_into_their_limit_are_counted() -> None:
    lm = Scripted(lambda p: [" One two three.", " One.", " Four. Five. Six. Seven."])
    chain = Chain(writing=Writing(tokens=2, temperature=1.0), sampling=Sampling(3))
    (found,) = chain(lm, [FREE], [0])
    assert found.texts == (" One two", " One.", " Four. Five.")
    assert (found.met.unfinished, found.met.cut) == (2, 0)
    (asked,) = SelfAsk(writing=Writing(tokens=1))(Scripted(lambda p: " Yes. No."), [FREE], [0])
    (parts,) = LeastToMost(writing=Writing(tokens=1))(
        Scripted(lambda p: " A." if p.endswith("1.") else " B. C."), [FREE], [0]
    )
    assert (asked.met.unfinished, parts.met.unfinished) == (1, 2)  # each answer, not the list


def test_impossible_votes_are_refused() -> None:
    with pytest.raises(ConfigError):
        Sampling(2, among=3)


# Auto-CoT


def test_clusters_by_hand() -> None:
    points = np.array([[0.0, 0], [5, 5], [0.4, 0], [5, 5.4], [0.1, 0]], np.float32)
    assert clusters(points, 2, 0) == [[4, 0, 2], [1, 3]]
    with pytest.raises(ConfigError, match="more clusters"):
        clusters(points, 6, 0)


def test_auto_cot_takes_the_first_that_is_good() -> None:
    asked = [sum_of("a"), sum_of("w " * 61), sum_of("c"), sum_of("d"), sum_of("e")]
    said = {"a": " 1\n2\n3\n4\n5\n6", "c": " 2 + 2 = 4.", "d": " 9.", "e": " Hm."}
    first = {f"Q: {q}\nA: Go.": text for q, text in said.items()}
    ask = "\nTherefore, the answer (arabic numerals) is"
    second = {p + t + ask: " none" if p[3] == "e" else " 4" for p, t in first.items()}
    lm = Scripted({**first, **second})
    found = demonstrate(lm, asked, [[0, 2], [1, 3], [4]], ZeroShot("Go."), Limits(60, 5))
    # 0 reasons too long, so 2; 1 is too long a question, so 3; 4 reaches no number.
    assert found.demos == (Demo("c", "4", "Go. 2 + 2 = 4."), Demo("d", "4", "Go. 9."))
    assert (found.tried, found.without) == (4, 1)
    assert lm.prompts[:3] == [f"Q: {q}\nA: Go." for q in "ade"]
    assert not good(" ", "4", Limits()) and not good("so", None, Limits())
    assert good("a\nb\nc\nd\ne", "4", Limits()) and not good("a\nb\nc\nd\ne\nf", "4", Limits())


# Least-to-most


def test_least_to_most_solves_in_order_with_earlier_answers() -> None:
    demo = Decomposed("D? Total?", (("Half?", "1."), ("Total?", "The answer is 2.")))
    solve = "D? Total?\nQ: Half?\nA: 1.\nQ: Total?\nA: The answer is 2.\n\nA has 3. How many?"
    lm = Scripted(
        {
            "Q: D? Total?\nParts:\n1. Half?\n2. Total?\n\nQ: A has 3. How many?\nParts:\n1.":
                " What first?\n2. What then?\nand so on",
            f"{solve}\nQ: What first?\nA:": " Three.\nQ: no",
            f"{solve}\nQ: What first?\nA: Three.\nQ: What then?\nA:": " Four.",
            f"{solve}\nQ: What first?\nA: Three.\nQ: What then?\nA: Four.\nQ: How many?\nA:":
                " 3 + 4 = 7. The answer is 7.",
        }
    )  # fmt: skip
    (found,) = LeastToMost((demo,))(lm, [sum_of("A has 3. How many?")], [0])
    assert found.answer == "7" and len(lm.prompts) == 4
    assert found.texts[-1] == "Q: How many?\nA: 3 + 4 = 7. The answer is 7."


def test_parts_are_bounded_and_end_with_the_question() -> None:
    asked = LeastToMost(most=2)
    assert asked.parts("Q?", " a\n2. b\n3. c") == ["a", "b", "Q?"]
    assert asked.parts("Q?", " Q?\n") == ["Q?"]
    assert asked.parts("Q?", "") == ["Q?"]
    with pytest.raises(ConfigError):
        Decomposed("Q?", ())


# Self-ask

SHOWN = Asked("D?", (("First?", "One."),), "2")
HEAD = (
    "Question: D?\nAre follow up questions needed here: Yes.\nFollow up: First?\n"
    "Intermediate answer: One.\nSo the final answer is: 2\n\n"
    "Question: Who?\nAre follow up questions needed here:"
)


def test_self_ask_alone_writes_all_at_once() -> None:
    text = " Yes.\nFollow up: a?\nIntermediate answer: b.\nSo the final answer is: Ann\n\nQuestion:"
    lm = Scripted({HEAD: text})
    (found,) = SelfAsk((SHOWN,))(lm, [FREE], [0])
    assert found.answer == "Ann" and lm.prompts == [HEAD]


def test_self_ask_stops_for_answers_from_elsewhere() -> None:
    one = " Yes.\nFollow up: Where?"
    two = f"{one}\nIntermediate answer: Oslo.\n"
    three = f"{two}Follow up: When?\nIntermediate answer:"
    lm = Scripted(
        {
            HEAD: f"{one}\nIntermediate answer: made up",
            HEAD + two: "Follow up: When?\nIntermediate answer: made up too",
            HEAD + three: " 1900.\nSo the final answer is: Ann",
        }
    )
    asked: list[str] = []

    def lookup(questions: Any) -> list[str | None]:
        asked.extend(questions)
        return ["Oslo." if q == "Where?" else None for q in questions]

    (found,) = SelfAsk((SHOWN,), lookup=lookup)(lm, [FREE], [0])
    assert found.answer == "Ann" and asked == ["Where?", "When?"]
    assert lm.prompts == [HEAD, HEAD + two, HEAD + three]


def test_self_ask_ends_when_it_has_asked_enough() -> None:
    lm = Scripted(lambda p: "\nFollow up: again?\nIntermediate answer:")
    (found,) = SelfAsk(turns=2, lookup=lambda q: ["1"] * len(q))(lm, [FREE], [0])
    assert len(lm.prompts) == 3 and "again?" in found.texts[0]
