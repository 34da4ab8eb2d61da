"""APE (Zhou et al. 2023): a model guesses the instruction behind examples; the guesses compete.

Candidates are drawn from demonstrations, scored on growing subsets of rows while the worse half
drops out, and the survivors are reworded and scored again.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from formats.errors import ConfigError

from ..scoring import Request, Writing
from .lm import LM

Mode = Literal["forward", "insertion"]
By = Literal["accuracy", "logprob"]


class Row(NamedTuple):
    """An input and the outputs that are right."""

    input: str
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Search:
    """``prompts`` prompts of ``shown`` rows each draw ``samples`` candidates. Scoring begins with
    ``rows`` rows and doubles them each time the worse half drops out, until ``keep`` are left.
    ``rounds`` times the survivors are reworded, ``variants`` times each.

    ``mode``: the model writes the instruction after the examples, or (``insertion``) into the
    ``blank`` before them, as models trained to fill blanks do. ``by``: the share of rows answered
    rightly, or the mean log-probability of their outputs."""

    prompts: int = 4
    shown: int = 5
    samples: int = 4
    rows: int = 8
    keep: int = 4
    rounds: int = 1
    variants: int = 2
    mode: Mode = "forward"
    by: By = "accuracy"
    blank: str = "<extra_id_0>"
    answer_tokens: int = 16
    writing: Writing = field(default_factory=lambda: Writing(tokens=40, temperature=0.9))

    def __post_init__(self) -> None:
        if min(self.prompts, self.shown, self.samples, self.rows, self.keep) < 1:
            raise ConfigError(
                "an instruction search of nothing",
                got=self,
                expected="at least one instruction and one row",
            )
        if self.mode not in ("forward", "insertion") or self.by not in ("accuracy", "logprob"):
            raise ConfigError(
                "an unknown way of searching",
                got=(self.mode, self.by),
                fix="see unify reason --help",
            )


@dataclass(frozen=True)
class Candidate:
    """``score`` over the first ``rows`` rows; ``round`` 0 was induced, others are reworded."""

    instruction: str
    score: float
    rows: int
    round: int = 0


def induce_prompt(rows: Sequence[Row], how: Search) -> str:
    """Examples, and the place where their instruction belongs."""
    shown = "\n\n".join(f"Input: {r.input}\nOutput: {r.outputs[0]}" for r in rows)
    if how.mode == "insertion":
        return f"Instruction: {how.blank}\n\n{shown}"
    return f"{shown}\n\nThe instruction that turns each input into its output:"


def reword_prompt(instruction: str) -> str:
    return f"Instruction: {instruction}\nThe same instruction in other words:"


def ask_prompt(instruction: str, text: str) -> str:
    """A row under an instruction."""
    head = f"Instruction: {instruction}\n\n" if instruction else ""
    return f"{head}Input: {text}\nOutput:"


def cleaned(text: str) -> str:
    """A written instruction: its first line, without quotes or a heading."""
    lines = text.strip().splitlines()
    return lines[0].strip().strip("\"'").strip() if lines else ""


def candidates(lm: LM, rows: Sequence[Row], how: Search, seed: int) -> list[str]:
    """Different instructions that the model guessed, in the order drawn."""
    rng = random.Random(f"ape {seed}")
    shown = min(how.shown, len(rows))
    prompts = [induce_prompt(rng.sample(list(rows), shown), how) for _ in range(how.prompts)]
    writing = replace(how.writing, stop=("\n\n", "\nInput:"), seed=seed)
    found = lm.write(prompts, writing, how.samples)
    return [c for c in dict.fromkeys(cleaned(w.text) for texts in found for w in texts) if c]


def scores(lm: LM, instructions: Sequence[str], rows: Sequence[Row], how: Search) -> list[float]:
    """The mean score of each instruction over ``rows``, all of them asked together."""
    asked = [(i, r) for i in instructions for r in rows]
    prompts = [ask_prompt(i, r.input) for i, r in asked]
    if how.by == "logprob":
        told = lm.score(
            [Request(p, " " + r.outputs[0]) for p, (_, r) in zip(prompts, asked, strict=True)]
        )
        each = [s.logprob / s.tokens for s in told]
    else:
        short = Writing(tokens=how.answer_tokens, stop=("\n",))
        written = lm.write(prompts, short)
        each = [
            float(_same(w[0].text) in map(_same, r.outputs))
            for w, (_, r) in zip(written, asked, strict=True)
        ]
    n = len(rows)
    return [sum(each[k * n : k * n + n]) / n for k in range(len(instructions))]


def _same(text: str) -> str:
    return text.strip().rstrip(".").casefold()


def halved(
    lm: LM, instructions: Sequence[str], rows: Sequence[Row], how: Search, least: int = 0
) -> list[Candidate]:
    """Successive halving: the best ``how.keep``, best first; of equals the earlier. It begins with
    ``least`` rows where these are more than ``how.rows``."""
    left, count = list(instructions), min(max(how.rows, least), len(rows))
    while True:
        told = scores(lm, left, rows[:count], how)
        order = sorted(range(len(left)), key=lambda k: (-told[k], k))
        if len(left) <= how.keep:
            return [Candidate(left[k], told[k], count) for k in order]
        left = [left[k] for k in order[: max(how.keep, (len(left) + 1) // 2)]]
        count = min(2 * count, len(rows))


def search(
    lm: LM, shown: Sequence[Row], scored: Sequence[Row], how: Search, seed: int = 0
) -> list[Candidate]:
    """The best instructions for rows like ``shown`` (which induce) by ``scored`` (which rank).
    Raises ConfigError where the model wrote none."""
    drawn = candidates(lm, shown, how, seed)
    if not drawn:
        raise ConfigError("the model wrote no instruction", fix="more samples, or another model")
    best = halved(lm, drawn, scored, how)
    for number in range(1, how.rounds + 1):
        writing = replace(how.writing, stop=("\n",), seed=seed + number)
        made = lm.write([reword_prompt(c.instruction) for c in best], writing, how.variants)
        old = {c.instruction: c.round for c in best}
        new = [t for t in dict.fromkeys(cleaned(w.text) for m in made for w in m) if t]
        both = [*old, *(t for t in new if t not in old)]
        # On no fewer rows than before: what was told apart there stays told apart.
        again = halved(lm, both, scored, how, best[0].rows)
        best = [replace(c, round=old.get(c.instruction, number)) for c in again]
    return best
