"""The word problems of ``sums`` as each method of reasoning asks them, and what it wants to read.

A model trained on all forms can do what every method asks of it. Without that, a small model's
score tells only that it never met the prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from formats.errors import UnknownName

from . import sums

TRIGGER = "Let's think step by step."
ASKS_NUMBER = "Therefore, the answer (arabic numerals) is"
SHOWN = 2  # worked examples in a prompt that shows some
Pair = tuple[str, str]


def rows(split: str, n: int, form: str, seed: int = 0) -> Iterator[dict[str, Any]]:
    """``n`` rows of ``source``, ``target`` and ``number`` in one of ``FORMS``. Row ``i`` is about
    the problem of row ``i`` of ``sums`` and depends on ``(seed, split, i, form)`` alone.
    Raises UnknownName."""
    if form not in FORMS:
        raise UnknownName("form of a sum", form, FORMS)
    made = list(sums.rows(split, n + SHOWN, seed))
    for index, row in enumerate(made[:n]):
        rng = Random(f"{form} {index} of {split} with seed {seed}")
        source, target = FORMS[form](row, made[index + 1 : index + 1 + SHOWN], rng)
        yield {"source": source, "target": target, "number": row["number"]}


def _question(row: dict[str, Any]) -> str:
    return f"Q: {row['question']}\nA:"


def _worked(row: dict[str, Any]) -> str:
    return f"{row['steps']} The answer is {row['number']}."


def _plain(row: dict[str, Any]) -> str:
    return f"The answer is {row['number']}."


def shown(row: dict[str, Any], others: list[dict[str, Any]], rng: Random) -> Pair:
    """After examples with their steps, the steps."""
    told = [f"{_question(o)} {_worked(o)}" for o in others]
    return "\n\n".join([*told, _question(row)]), _worked(row)


def shown_plain(row: dict[str, Any], others: list[dict[str, Any]], rng: Random) -> Pair:
    """After examples with their answer alone, the answer alone."""
    told = [f"{_question(o)} {_plain(o)}" for o in others]
    return "\n\n".join([*told, _question(row)]), _plain(row)


def triggered(row: dict[str, Any], others: list[dict[str, Any]], rng: Random) -> Pair:
    """Zero-shot, first stage: the steps, and no answer."""
    return f"{_question(row)} {TRIGGER}", row["steps"]


def concluded(row: dict[str, Any], others: list[dict[str, Any]], rng: Random) -> Pair:
    """Zero-shot, second stage: the answer to what the steps say."""
    return f"{_question(row)} {TRIGGER} {row['steps']}\n{ASKS_NUMBER}", f"{row['number']}."


def solved(row: dict[str, Any]) -> list[Pair]:
    """The smaller questions of a problem, the problem's own last, and the answer to each."""
    *told, asked = row["question"].split(". ")
    days = [sentence.partition(" ")[0] for sentence in told[1:]]
    steps = [f"{step.strip().rstrip('.')}." for step in row["steps"].split(". ")]
    parts = [f"How many are there after {day}?" for day in days[:-1]]
    answers = [*steps[:-1], f"{steps[-1]} The answer is {row['number']}."]
    return list(zip([*parts, asked], answers, strict=True))


def parts(row: dict[str, Any], others: list[dict[str, Any]], rng: Random) -> Pair:
    """Least-to-most, first stage: the smaller questions as a numbered list."""
    asked = [part for part, _ in solved(row)[:-1]]
    listed = "\n".join([asked[0], *(f"{n}. {p}" for n, p in enumerate(asked[1:], 2))])
    return f"Q: {row['question']}\nParts:\n1.", listed


def part(row: dict[str, Any], others: list[dict[str, Any]], rng: Random) -> Pair:
    """Least-to-most, second stage: one of the smaller questions, those before it answered."""
    pairs = solved(row)
    at = rng.randrange(len(pairs))
    done = [f"Q: {asked}\nA: {answer}" for asked, answer in pairs[:at]]
    asked, answer = pairs[at]
    return "\n".join([row["question"], *done, f"Q: {asked}\nA:"]), answer


def asked(row: dict[str, Any], others: list[dict[str, Any]], rng: Random) -> Pair:
    """Self-ask: follow-up questions with their answers, then the final answer."""
    days = [sentence.partition(" ")[0] for sentence in row["question"].split(". ")[1:-1]]
    steps = [f"{step.strip().rstrip('.')}." for step in row["steps"].split(". ")]
    turns = [
        f"Follow up: How many are there after {day}?\nIntermediate answer: {step}"
        for day, step in zip(days, steps, strict=True)
    ]
    source = f"Question: {row['question']}\nAre follow up questions needed here:"
    return source, "\n".join(["Yes.", *turns, f"So the final answer is: {row['number']}"])


FORMS: dict[str, Callable[[dict[str, Any], list[dict[str, Any]], Random], Pair]] = {
    f.__name__: f for f in (shown, shown_plain, triggered, concluded, parts, part, asked)
}
