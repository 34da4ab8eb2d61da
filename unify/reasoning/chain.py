"""Chain of thought: worked examples before the question, or two stages and a trigger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from formats.errors import ConfigError
from formats.examples import Answer

from ..scoring import Writing, Written
from .demos import Demo, steps
from .layout import Layout
from .lm import LM
from .questions import Question
from .vote import Vote, among_complex, likelihood, vote


class Met(NamedTuple):
    """Limits that were met: ``unfinished`` texts ran into ``writing.tokens``; ``cut`` tokens of
    the longest prompt had no room in the model's window."""

    unfinished: int = 0
    cut: int = 0


NONE_MET = Met()


def met(written: Sequence[Written]) -> Met:
    """What limits ``written`` met."""
    ran = sum(w.ended == "length" for w in written)
    return Met(ran, max((w.cut for w in written), default=0))


@dataclass(frozen=True)
class Outcome:
    """What a method says of one question. ``texts`` are what the model wrote, in order; ``share``
    is how far its samples agree, where there are several."""

    answer: Answer
    texts: tuple[str, ...]
    share: float | None = None
    said: tuple[Answer, ...] = ()
    met: Met = NONE_MET


@dataclass(frozen=True)
class Sampling:
    """How often to write, and how samples become one answer.

    ``weighted``: a vote counts by its text's probability per token; ``among``: only so many
    samples vote, those with most steps (0: all)."""

    samples: int = 1
    weighted: bool = False
    among: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1 or not 0 <= self.among <= self.samples:
            raise ConfigError("an impossible vote", got=self, expected="at least one vote")

    def outcome(
        self, question: Question, written: Sequence[Written], answers: Sequence[Answer]
    ) -> Outcome:
        texts = tuple(w.text for w in written)
        if self.samples == 1:
            return Outcome(answers[0], texts, met=met(written))
        chosen = list(range(len(texts)))
        if self.among:
            chosen = among_complex([steps(t) for t in texts], self.among)
        weights = [likelihood(w.logprob, w.tokens) if self.weighted else 1.0 for w in written]
        found: Vote = vote(question, [answers[i] for i in chosen], [weights[i] for i in chosen])
        return Outcome(found.answer, texts, found.share, tuple(answers), met(written))


@dataclass(frozen=True)
class Chain:
    """Few-shot chain of thought (Wei et al. 2022); with ``Sampling(samples > 1)`` it is
    self-consistency; with demonstrations that hold no rationale, direct answers."""

    demos: tuple[Demo, ...] = ()
    layout: Layout = field(default_factory=Layout)
    writing: Writing = field(default_factory=Writing)
    sampling: Sampling = field(default_factory=Sampling)

    def __call__(
        self, lm: LM, questions: Sequence[Question], numbers: Sequence[int]
    ) -> list[Outcome]:
        prompts = [self.layout.prompt(self.demos, q.text) for q in questions]
        return self.answer(lm, questions, prompts, numbers)

    def answer(
        self,
        lm: LM,
        questions: Sequence[Question],
        prompts: Sequence[str],
        numbers: Sequence[int],
    ) -> list[Outcome]:
        """Outcomes of prompts that are made already."""
        how = replace(self.writing, stop=(*self.writing.stop, *self.layout.stop))
        written = lm.write(prompts, how, self.sampling.samples, numbers)
        return [
            self.sampling.outcome(q, w, [q.read(one.text, self.layout.marker) for one in w])
            for q, w in zip(questions, written, strict=True)
        ]


@dataclass(frozen=True)
class ZeroShot:
    """Zero-shot-CoT (Kojima et al. 2022): ``trigger`` opens the reasoning; a second prompt, with
    the reasoning in it, asks for the answer alone in ``answer_tokens``. ``answer_trigger`` is the
    question type's own unless given."""

    trigger: str = "Let's think step by step."
    answer_trigger: str | None = None
    answer_tokens: int = 16
    layout: Layout = field(default_factory=Layout)
    writing: Writing = field(default_factory=Writing)
    sampling: Sampling = field(default_factory=Sampling)

    def opening(self, question: Question) -> str:
        """The first stage's prompt."""
        return f"{self.layout.prompt((), question.text)} {self.trigger}"

    def __call__(
        self, lm: LM, questions: Sequence[Question], numbers: Sequence[int]
    ) -> list[Outcome]:
        first = [self.opening(q) for q in questions]
        how = replace(self.writing, stop=(*self.writing.stop, self.layout.stop[-1]))
        written = lm.write(first, how, self.sampling.samples, numbers)
        asked = [
            f"{opening}{w.text}\n{self.answer_trigger or q.trigger}"
            for q, opening, texts in zip(questions, first, written, strict=True)
            for w in texts
        ]
        # The answer itself is the likeliest, whatever sampled the reasoning.
        short = Writing(tokens=self.answer_tokens, stop=("\n",))
        said = iter(lm.write(asked, short))
        out = []
        for q, texts in zip(questions, written, strict=True):
            answers = [q.read(next(said)[0].text, marker="") for _ in texts]
            out.append(self.sampling.outcome(q, texts, answers))
        return out
