"""Instances: an example as one format asks it. Texts and character spans, no tokenizer.

One example becomes a group of instances. The members of a group share their long text (source,
passage or premise) and differ in a light one (question, hypothesis); `decode` of the format
reduces the group's raw predictions to one answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from .examples import Span
from .spaces import Place


@dataclass(frozen=True)
class GenerateInstance:
    """Source text in, target text out; ``options`` closes the set of possible targets."""

    format: ClassVar[str] = "generate"
    source: str
    target: str | None
    options: tuple[str, ...] = ()

    @property
    def shared(self) -> str:
        return self.source


@dataclass(frozen=True)
class ExtractInstance:
    """A question about a passage. Spans count characters of ``passage``.

    ``gold=None`` means unlabelled, the empty tuple "no span answers". ``candidates`` closes the
    set of spans that may be chosen, as (start, end); ``elsewhere`` are further places of the same
    texts, as (number of the candidate, start, end). ``types`` names the types that are asked for in
    one pass; spans then carry their type.
    """

    format: ClassVar[str] = "extract"
    question: str
    passage: str
    gold: tuple[Span, ...] | None
    candidates: tuple[Place, ...] = ()
    elsewhere: tuple[tuple[int, int, int], ...] = ()
    types: tuple[str, ...] = ()

    @property
    def shared(self) -> str:
        return self.passage


@dataclass(frozen=True)
class EntailInstance:
    """Does the premise entail the hypothesis? ``gold`` is the probability of yes, in [0, 1]."""

    format: ClassVar[str] = "entail"
    premise: str
    hypothesis: str
    gold: float | None

    @property
    def shared(self) -> str:
        return self.premise


Instance: TypeAlias = GenerateInstance | ExtractInstance | EntailInstance


@dataclass(frozen=True)
class Text:
    """Raw prediction: generated text."""

    text: str


@dataclass(frozen=True)
class Scores:
    """Raw prediction: one score per option (generate) or candidate (extract).

    Extract scores are margins over "no answer": positive means chosen when several may be.
    """

    values: tuple[float, ...]


@dataclass(frozen=True)
class ScoredSpan:
    """A span of the passage with its margin over "no answer"; ``type`` counts the instance's."""

    start: int
    end: int
    score: float
    type: int = 0


@dataclass(frozen=True)
class Spans:
    """Raw prediction: spans of the passage, best first."""

    spans: tuple[ScoredSpan, ...]


@dataclass(frozen=True)
class Entailment:
    """Raw prediction: the log-odds of yes."""

    yes: float


Raw: TypeAlias = Text | Scores | Spans | Entailment

SURE = 10.0  # the margin and log-odds with which the oracle speaks


def oracle(instance: Instance) -> Raw:
    """The perfect raw prediction for a labelled instance."""
    if isinstance(instance, GenerateInstance):
        if instance.target is None:
            raise ValueError("an unlabelled instance has no perfect prediction")
        if instance.options:
            return Scores(tuple(float(o == instance.target) for o in instance.options))
        return Text(instance.target)
    if instance.gold is None:
        raise ValueError("an unlabelled instance has no perfect prediction")
    if isinstance(instance, EntailInstance):
        if instance.gold in (0.0, 1.0):
            return Entailment(SURE if instance.gold else -SURE)
        return Entailment(math.log(instance.gold / (1 - instance.gold)))
    if instance.candidates:
        chosen = {(s.start, s.end) for s in instance.gold}
        return Scores(tuple(SURE if c in chosen else -SURE for c in instance.candidates))
    types = instance.types
    return Spans(
        tuple(
            ScoredSpan(s.start, s.end, SURE, types.index(s.type) if types else 0)
            for s in instance.gold
        )
    )
