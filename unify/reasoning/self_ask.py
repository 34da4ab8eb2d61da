"""Self-ask (Press et al. 2023): the model asks itself follow-up questions before it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from formats.errors import ConfigError

from ..scoring import Writing, Written
from .chain import Outcome, met
from .lm import LM
from .questions import Question

NEEDED = "Are follow up questions needed here:"
FOLLOW_UP, BETWEEN, FINAL = "Follow up:", "Intermediate answer:", "So the final answer is:"

Lookup = Callable[[Sequence[str]], list[str | None]]
"""Answers to follow-up questions, from a search or another model; None where it has none."""


@dataclass(frozen=True)
class Asked:
    """A worked example: follow-up questions with their answers, then the final answer."""

    question: str
    turns: tuple[tuple[str, str], ...]
    answer: str

    def text(self) -> str:
        lines = [f"Question: {self.question}", f"{NEEDED} {'Yes' if self.turns else 'No'}."]
        for asked, found in self.turns:
            lines += [f"{FOLLOW_UP} {asked}", f"{BETWEEN} {found}"]
        return "\n".join([*lines, f"{FINAL} {self.answer}"])


@dataclass(frozen=True)
class SelfAsk:
    """``turns`` bounds the follow-up questions. Without ``lookup`` the model answers them itself
    as it writes; with it, it stops at each, and goes on behind the answer found."""

    demos: tuple[Asked, ...] = ()
    turns: int = 5
    writing: Writing = field(default_factory=Writing)
    lookup: Lookup | None = None

    def __post_init__(self) -> None:
        if self.turns < 1:
            raise ConfigError("no turn to ask in", got=self.turns, expected="at least one turn")

    def prompt(self, question: str) -> str:
        shown = [d.text() for d in self.demos]
        return "\n\n".join([*shown, f"Question: {question}\n{NEEDED}"])

    def __call__(
        self, lm: LM, questions: Sequence[Question], numbers: Sequence[int]
    ) -> list[Outcome]:
        begun = [self.prompt(q.text) for q in questions]
        said = [""] * len(questions)
        wrote: list[list[Written]] = [[] for _ in questions]
        stop = ("\n\n", "\nQuestion:", *((f"\n{BETWEEN}",) if self.lookup else ()))
        how = replace(self.writing, stop=(*self.writing.stop, *stop))
        open_rows = list(range(len(questions)))
        for _ in range(self.turns + 1 if self.lookup else 1):
            if not open_rows:
                break
            found = lm.write(
                [begun[k] + said[k] for k in open_rows], how, 1, [numbers[k] for k in open_rows]
            )
            waiting: list[tuple[int, str]] = []
            for k, written in zip(open_rows, found, strict=True):
                said[k] += written[0].text
                wrote[k] += written
                asked = said[k].rpartition(FOLLOW_UP)[2].strip()
                if written[0].ended == f"\n{BETWEEN}" and FOLLOW_UP in said[k]:
                    waiting.append((k, asked))
            if waiting and self.lookup is not None:
                answers = self.lookup([asked for _, asked in waiting])
                for (k, _), answer in zip(waiting, answers, strict=True):
                    # Without an answer the model makes its own.
                    said[k] += f"\n{BETWEEN}" + (f" {answer}\n" if answer is not None else "")
            open_rows = [k for k, _ in waiting]
        return [
            Outcome(q.read(s, FINAL), (s.strip(),), met=met(w))
            for q, s, w in zip(questions, said, wrote, strict=True)
        ]
