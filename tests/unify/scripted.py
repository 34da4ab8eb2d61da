"""A language model with known answers: it proves which prompts were asked, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from unify.scoring import Request, Score, Writing, Written
from unify.scoring._steps import until

Script = Mapping[str, str | Sequence[str]] | Callable[[str], str | Sequence[str]]


@dataclass
class Scripted:
    """``script`` says what is written after a prompt: one text, or one per sample. ``logprobs``
    of texts (default -1), ``scores`` of (context, continuation)."""

    script: Script
    logprobs: Mapping[str, float] = field(default_factory=dict)
    scores: Callable[[str, str], float] = lambda context, continuation: -1.0
    prompts: list[str] = field(default_factory=list)
    calls: list[tuple[int, Writing]] = field(default_factory=list)

    def write(
        self, prompts: Sequence[str], how: Writing, samples: int = 1,
        numbers: Sequence[int] | None = None,
    ) -> list[list[Written]]:
        self.calls.append((samples, how))
        self.prompts += prompts
        return [[self._one(t, how) for t in self._said(p, samples)] for p in prompts]

    def _said(self, prompt: str, samples: int) -> list[str]:
        said = self.script(prompt) if callable(self.script) else self.script[prompt]
        texts = [said] * samples if isinstance(said, str) else list(said)
        assert len(texts) == samples, f"{len(texts)} texts for {samples} samples"
        return texts

    def _one(self, text: str, how: Writing) -> Written:
        cut, stopped = until(text, how.stop)
        words = cut.split(" ")  # its tokens, but for the space that opens a text
        if len(words) > how.tokens + 1:
            cut, stopped = " ".join(words[: how.tokens + 1]), "length"
        return Written(
            cut, stopped or "end", len(cut.split()), logprob=self.logprobs.get(text, -1.0)
        )

    def score(self, requests: Sequence[Request]) -> list[Score]:
        return [
            Score(self.scores(str(r.context), str(r.continuation)), 1, 1, True) for r in requests
        ]

    def identity(self) -> str:
        return "scripted"
