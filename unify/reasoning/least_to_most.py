"""Least-to-most (Zhou et al. 2023): decompose, then solve in order with earlier answers in the
prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from formats.errors import ConfigError

from ..scoring import Writing
from .chain import Outcome, met
from .lm import LM
from .questions import Question

_ITEM = re.compile(r"^\s*\d+[.)]\s*(\S.*)$")


@dataclass(frozen=True)
class Decomposed:
    """A worked example: a question and, in order, smaller questions with their answers; the last
    of them answers the question itself."""

    question: str
    parts: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise ConfigError(
                "a decomposition without parts", got=self.question, expected="at least one part"
            )


@dataclass(frozen=True)
class LeastToMost:
    """``most`` bounds the parts of a question; those beyond are left out and ``marker`` says where
    an answer begins."""

    demos: tuple[Decomposed, ...] = ()
    most: int = 6
    marker: str = "answer is"
    writing: Writing = field(default_factory=Writing)

    def decompose_prompt(self, question: str) -> str:
        """Asks for the parts, one numbered line each."""
        shown = [
            f"Q: {d.question}\nParts:\n"
            + "\n".join(f"{n}. {part}" for n, (part, _) in enumerate(d.parts, 1))
            for d in self.demos
        ]
        return "\n\n".join([*shown, f"Q: {question}\nParts:\n1."])

    def solve_prompt(self, question: str, done: Sequence[tuple[str, str]], part: str) -> str:
        """The question, the parts solved so far with their answers, and the next part."""
        shown = [_solved(d.question, d.parts) for d in self.demos]
        return "\n\n".join([*shown, f"{_solved(question, done)}\nQ: {part}\nA:"])

    def parts(self, question: str, written: str) -> list[str]:
        """The parts that a model wrote; the question itself stands last."""
        found = []
        for line in f"1. {written.strip()}".splitlines():
            match = _ITEM.match(line)
            if match is None:
                break  # whatever follows the list
            found.append(match.group(1).strip())
        found = [f for f in dict.fromkeys(found) if f != question][: self.most]
        return [*found, question]

    def __call__(
        self, lm: LM, questions: Sequence[Question], numbers: Sequence[int]
    ) -> list[Outcome]:
        how = replace(self.writing, stop=(*self.writing.stop, "\n\n", "\nQ:"))
        lists = lm.write([self.decompose_prompt(q.text) for q in questions], how, 1, numbers)
        parts = [
            self.parts(last_sentence(q.text), w[0].text)
            for q, w in zip(questions, lists, strict=True)
        ]
        done: list[list[tuple[str, str]]] = [[] for _ in questions]
        wrote = [list(w) for w in lists]
        line = replace(self.writing, stop=(*self.writing.stop, "\n"))
        for turn in range(max(map(len, parts), default=0)):
            rows = [k for k, p in enumerate(parts) if turn < len(p)]
            prompts = [
                self.solve_prompt(questions[k].text, done[k], parts[k][turn]) for k in rows
            ]
            found = lm.write(prompts, line, 1, [numbers[k] for k in rows])
            for k, written in zip(rows, found, strict=True):
                done[k].append((parts[k][turn], written[0].text.strip()))
                wrote[k] += written
        return [
            Outcome(
                q.read(d[-1][1], self.marker),
                (w[0].text, *(f"Q: {part}\nA: {answer}" for part, answer in d)),
                met=met(w),
            )
            for q, w, d in zip(questions, wrote, done, strict=True)
        ]


def _solved(question: str, parts: Sequence[tuple[str, str]]) -> str:
    return "\n".join([question, *(f"Q: {part}\nA: {answer}" for part, answer in parts)])


def last_sentence(text: str) -> str:
    """What a word problem asks: its last sentence."""
    return re.split(r"(?<=[.!?])\s+", text.strip())[-1]
