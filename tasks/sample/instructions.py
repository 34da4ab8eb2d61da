"""Small things to do with words and numbers: guessed from examples, done when told, and said in
other words. What a search for instructions asks of a model.

    Input: bramor
    Output: b
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from formats.errors import UnknownName

from .names import BEGINNINGS, ENDINGS, FIRSTS, LASTS

SHOWN = 5  # examples from which an instruction is guessed
Deed = tuple[Callable[[Random], str], Callable[[str], str], tuple[str, ...]]


def _word(rng: Random) -> str:
    made = rng.choice(BEGINNINGS) + rng.choice(ENDINGS)
    return rng.choice((made, rng.choice(FIRSTS) + rng.choice(LASTS["goods"])))


def _numbers(rng: Random) -> str:
    return f"{rng.randint(0, 99)} {rng.randint(0, 99)}"


def _both(text: str) -> list[int]:
    return [int(n) for n in text.split()]


DEEDS: dict[str, Deed] = {
    "first": (_word, lambda x: x[0], (
        "Write the first letter of the word.", "What letter does it begin with?")),
    "second": (_word, lambda x: x[1], (
        "Write the second letter of the word.", "What letter comes after the first?")),
    "last": (_word, lambda x: x[-1], (
        "Write the last letter of the word.", "What letter does it end with?")),
    "letters": (_word, " ".join, (
        "Write the word letter by letter.", "Spell it with spaces.")),
    "plural": (_word, lambda x: f"{x}s", (
        "Write the plural of the word.", "Say that there are several.")),
    "repeat": (_word, lambda x: x, (
        "Write the word again.", "Repeat it.")),
    "sum": (_numbers, lambda x: str(sum(_both(x))), (
        "Add the two numbers.", "How much are they together?")),
    "diff": (_numbers, lambda x: str(_both(x)[0] - _both(x)[1]), (
        "Subtract the second number from the first.", "What is left without the second number?")),
    "larger": (_numbers, lambda x: str(max(_both(x))), (
        "Write the larger number.", "Which number is more?")),
}  # fmt: skip


def rows(split: str, n: int, form: str, seed: int = 0) -> Iterator[dict[str, Any]]:
    """``n`` rows of ``source`` and ``target``; ``form`` is ``guess`` (examples to an instruction),
    ``follow`` (an instruction and an input to its output) or ``reword``. Row ``i`` depends on
    ``(seed, split, i, form)`` alone. Raises UnknownName."""
    if form not in FORMS:
        raise UnknownName("form of an instruction", form, FORMS)
    for index in range(n):
        rng = Random(f"{form} {index} of {split} with seed {seed}")
        source, target = FORMS[form](rng, DEEDS[rng.choice(tuple(DEEDS))])
        yield {"source": source, "target": target}


def guess(rng: Random, deed: Deed) -> tuple[str, str]:
    draw, do, said = deed
    shown = [f"Input: {x}\nOutput: {do(x)}" for x in (draw(rng) for _ in range(SHOWN))]
    asked = "The instruction that turns each input into its output:"
    return "\n\n".join([*shown, asked]), rng.choice(said)


def follow(rng: Random, deed: Deed) -> tuple[str, str]:
    draw, do, said = deed
    given = draw(rng)
    return f"Instruction: {rng.choice(said)}\n\nInput: {given}\nOutput:", do(given)


def reword(rng: Random, deed: Deed) -> tuple[str, str]:
    one, other = rng.sample(deed[2], 2)
    return f"Instruction: {one}\nThe same instruction in other words:", other


FORMS: dict[str, Callable[[Random, Deed], tuple[str, str]]] = {
    "guess": guess, "follow": follow, "reword": reword,
}  # fmt: skip
