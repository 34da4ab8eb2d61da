"""The engine: text or token ids in, log-probabilities out, whatever model is inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from formats.errors import ConfigError
from formats.layout import Coder

from . import causal, masked, seq2seq
from ._check import probes, tolerance, worst
from ._memory import Budget, starting
from ._slots import Slots
from .encode import Encoder
from .requests import Coded, Request, Score
from .rules import statement
from .work import Work


class Scorer(Protocol):
    """What a kind of model must offer to the engine."""

    work: Work
    budget: Budget

    def refusal(self) -> str | None: ...
    def score(self, coded: Sequence[Coded]) -> Slots: ...


@dataclass
class Engine:
    """Scores requests with ``model``, whose tokenizer is in ``coder``.

    The fast path is compared with plain one-request-at-a-time computation when the engine is
    made, and again on the longest request whenever one is longer than any before; where they
    differ, ``path`` becomes ``plain`` and ``why`` says it. ``end``: whether the end token belongs
    to every continuation. ``estimator`` is for masked models alone.
    """

    model: Any
    coder: Coder
    end: bool = False
    estimator: masked.Estimator = "blanks"
    budget: Budget | None = None
    path: str = "shared"
    why: str | None = None
    checked: int = 0  # tokens of the longest request that both ways agreed on
    scorer: Scorer = field(init=False, repr=False)
    encoder: Encoder = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.model.eval()
        self.encoder = Encoder(self.coder)
        layout, model = self.coder.layout, self.model
        if layout.kind == "encoder":
            raise ConfigError(
                "an encoder with a head cannot score continuations",
                expected="a causal, seq2seq or masked language model",
            )
        config = model.config.get_text_config()
        budget = self.budget or starting(model.device, config.hidden_size, config.num_hidden_layers)
        self.budget = budget
        if layout.kind == "causal":
            self.scorer = causal.Causal(model, budget)
        elif layout.kind == "seq2seq":
            self.scorer = seq2seq.Seq2Seq(model, budget, layout.pad)
        else:
            assert layout.mask is not None
            self.scorer = masked.Masked(model, budget, layout.pad, layout.mask, self.estimator)
        self.why = self.scorer.refusal()
        if self.why is None:
            self._compare(probes(layout, config), small=True)
        if self.why is not None:
            self.path = "plain"

    @property
    def work(self) -> Work:
        """What the fast path has computed so far."""
        return self.scorer.work

    def score(self, requests: Sequence[Request]) -> list[Score]:
        """One score per request, in their order."""
        return self.score_coded(self.encode(requests))

    def score_coded(self, coded: Sequence[Coded]) -> list[Score]:
        """Scores of requests that are token ids already, framed and cut."""
        if not coded:
            return []
        found = None
        if self.path == "shared":
            found = list(self.scorer.score(coded).each())
            self._audit(coded, found)
        if self.path == "plain" or found is None:
            found = [self._alone(c) for c in coded]
        return [
            Score(value, len(c.ids) - c.begin, c.bytes, first, c.cut)
            for c, (value, first) in zip(coded, found, strict=True)
        ]

    def statement(self, text: str) -> Score:
        """A whole text, in as many windows as it needs; causal models alone."""
        layout = self.coder.layout
        if layout.kind != "causal":
            raise ConfigError(
                "whole statements need a causal model",
                got=layout.kind,
                fix="use a causal language model",
            )
        first = layout.bos if layout.bos is not None else layout.eos
        before = layout.single_before or (() if first is None else (first,))
        (ids,) = self.coder.ids([text])
        parts = self.score_coded(statement(tuple(ids), before, layout.window, len(text.encode())))
        return Score(
            sum(p.logprob for p in parts),
            sum(p.tokens for p in parts),
            parts[0].bytes,
            all(p.greedy for p in parts),
        )

    def plain(self, coded: Coded) -> tuple[Tensor, Tensor]:
        """One request by itself: log-probability per scored token, and whether it came first."""
        kind = self.coder.layout.kind
        if kind == "causal":
            return causal.plain(self.model, coded)
        if kind == "seq2seq":
            return seq2seq.plain(self.model, coded)
        assert self.coder.layout.mask is not None
        return masked.plain(self.model, coded, self.coder.layout.mask, self.estimator)

    def _alone(self, coded: Coded) -> tuple[float, bool]:
        logprob, first = self.plain(coded)
        return float(logprob.double().sum()), bool(first.all())

    def _audit(self, coded: Sequence[Coded], found: Sequence[tuple[float, bool]]) -> None:
        k = max(range(len(coded)), key=lambda k: len(coded[k].ids) + len(coded[k].source))
        longest = len(coded[k].ids) + len(coded[k].source)
        if longest <= self.checked:
            return
        apart = abs(found[k][0] - self._alone(coded[k])[0])
        if apart <= tolerance(self.model) * len(coded[k].scored):
            self.checked = longest
        else:
            self.path = "plain"
            self.why = f"a request of {longest} tokens differed by {apart:.2g} from plain scoring"

    def _compare(self, coded: Sequence[Coded], small: bool) -> None:
        """Scores ``coded`` both ways, with a budget so small that every path is taken."""
        assert self.budget is not None
        usual, halved = self.budget.tokens, self.budget.halved
        work = self.scorer.work
        self.scorer.work = Work()
        try:
            alone = [self.plain(c)[0] for c in coded]
            for tokens in (48, 160) if small else (usual,):
                self.budget.tokens = tokens
                apart = worst(self.scorer.score(coded), alone)
                if not apart <= tolerance(self.model):
                    self.why = f"shared and plain scores differed by {apart:.2g} per token"
                    return
            self.checked = max(len(c.ids) + len(c.source) for c in coded)
        except Exception as error:
            self.why = f"shared scoring failed: {type(error).__name__}: {error}"[:300]
        finally:
            self.budget.tokens, self.budget.halved = usual, halved
            self.scorer.work = work

    def encode(self, requests: Sequence[Request]) -> list[Coded]:
        """Requests framed as the model wants them, contexts cut on their left to the window."""
        from ._frame import frame

        return frame(self.encoder, requests, self.model.config, self.end)
