"""Entail: does the premise entail the hypothesis? One hypothesis per label, option or span."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from .base import Ask, Cell, Format, best, choose, option_words, unheld
from .candidates import candidates, is_candidate
from .errors import ConfigError
from .examples import (
    Answer,
    MultiLabelClassification,
    MultipleChoice,
    QuestionAnswering,
    Regression,
    RelationClassification,
    Span,
    TextClassification,
    TextGeneration,
    TokenClassification,
)
from .instances import EntailInstance, Entailment, Raw, ScoredSpan

NO_CANDIDATES = "its answers cannot be enumerated as hypotheses; use generate"


def _log_odds(raws: list[Raw]) -> list[float]:
    values = []
    for raw in raws:
        assert isinstance(raw, Entailment)
        values.append(raw.yes)
    return values


def _hypothesis(ask: Ask, name: str, word: str) -> str:
    own = ask.prompt.hypotheses.get(name)
    if own is None:
        return ask.text("hypothesis", label=word)
    return own.text({**ask.fields, "label": word})


def _per_option(ask: Ask, names: Sequence[str], gold: set[int] | None) -> Iterator[EntailInstance]:
    premise = ask.text("premise")
    words = option_words(ask.example)
    kept = set(range(len(words)))
    if ask.sample and gold is not None:
        rng = random.Random(f"options/{ask.example.id}")
        wrong = sorted(kept - gold)
        kept = gold | set(rng.sample(wrong, min(len(wrong), ask.settings.negatives)))
    for i, (name, word) in enumerate(zip(names, words, strict=True)):
        if i not in kept:
            continue
        yes = None if gold is None else float(i in gold)
        yield EntailInstance(premise, _hypothesis(ask, name, word), yes)


def _encode_label(ask: Ask) -> Iterator[EntailInstance]:
    e = ask.example
    gold = None if e.gold is None else {e.labels.index(e.gold)}
    yield from _per_option(ask, e.labels.names, gold)


def _decode_label(ask: Ask, raws: list[Raw]) -> Answer:
    return ask.example.labels.names[best(_log_odds(raws))]


def _encode_labels(ask: Ask) -> Iterator[EntailInstance]:
    e = ask.example
    gold = None if e.gold is None else {e.labels.index(g) for g in e.gold}
    yield from _per_option(ask, e.labels.names, gold)


def _decode_labels(ask: Ask, raws: list[Raw]) -> Answer:
    names = ask.example.labels.names
    return frozenset(n for n, v in zip(names, _log_odds(raws), strict=True) if v > 0)


def _encode_choice(ask: Ask) -> Iterator[EntailInstance]:
    e = ask.example
    yield from _per_option(ask, e.options, None if e.gold is None else {e.gold})


def _decode_choice(ask: Ask, raws: list[Raw]) -> Answer:
    return best(_log_odds(raws))


def _encode_number(ask: Ask) -> Iterator[EntailInstance]:
    """One hypothesis, 'as high as the scale goes'; its probability is the place on the scale."""
    e = ask.example
    yes = None if e.gold is None else (e.gold - e.low) / (e.high - e.low)
    yield EntailInstance(ask.text("premise"), ask.text("hypothesis"), yes)


def _decode_number(ask: Ask, raws: list[Raw]) -> Answer:
    e = ask.example
    odds = _log_odds(raws)[0]
    yes = 1 / (1 + math.exp(-odds)) if odds >= 0 else math.exp(odds) / (1 + math.exp(odds))
    value = e.low + yes * (e.high - e.low)
    return None if math.isnan(value) else e.clip(value)


Place: TypeAlias = tuple[int, int]


def _thin(ask: Ask, spans: list[Place], gold: set[Place]) -> list[Place]:
    """For training: the gold candidates and ``negatives`` others, half of them touching a gold."""
    if not ask.sample:
        return spans
    rng = random.Random(f"candidates/{ask.example.id}")
    near: list[Place] = []
    far: list[Place] = []
    for s in spans:
        if s not in gold:
            (near if any(s[0] < g[1] and g[0] < s[1] for g in gold) else far).append(s)
    hard = rng.sample(near, min(len(near), ask.settings.negatives // 2))
    easy = rng.sample(far, min(len(far), ask.settings.negatives - len(hard)))
    kept = {*hard, *easy, *gold}
    return [s for s in spans if s in kept]


def _encode_answer(ask: Ask) -> Iterator[EntailInstance]:
    e = ask.example
    gold = None if e.gold is None else {(s.start, s.end) for s in e.gold[0]}
    spans = list(candidates(e.passage, ask.settings.max_words))
    premise = ask.text("premise")
    for start, end in _thin(ask, spans, gold or set()):
        yield EntailInstance(
            premise,
            ask.text("hypothesis", candidate=e.passage[start:end]),
            None if gold is None else float((start, end) in gold),
        )


def _decode_answer(ask: Ask, raws: list[Raw]) -> Answer:
    e = ask.example
    spans = candidates(e.passage, ask.settings.max_words)
    scored = [ScoredSpan(s[0], s[1], v) for s, v in zip(spans, _log_odds(raws), strict=True)]
    kept = choose(scored, several=e.several, empty=e.unanswerable)
    if not kept and not e.unanswerable:
        return None
    return frozenset(e.passage[s.start : s.end] for s in kept)


def _beyond(ask: Ask, text: str, spans: Sequence[Span]) -> str | None:
    bound = ask.settings.max_words
    if all(is_candidate(text, s.start, s.end, bound) for s in spans):
        return None
    return f"a gold span is not a run of at most {bound} whole words"


def _holds_answer(ask: Ask) -> str | None:
    e = ask.example
    if not e.gold:
        return None
    return _beyond(ask, e.passage, sorted(e.gold[0])) or unheld(e.passage, e.gold[0])


def _encode_spans(ask: Ask) -> Iterator[EntailInstance]:
    e = ask.example
    premise = ask.text("premise")
    spans = list(candidates(e.text, ask.settings.max_words))
    for name, word in zip(e.types.names, e.types.words, strict=True):
        gold = None if e.gold is None else {(s.start, s.end) for s in e.gold if s.type == name}
        for start, end in _thin(ask, spans, gold or set()):
            yield EntailInstance(
                premise,
                ask.text("hypothesis", type=word, candidate=e.text[start:end]),
                None if gold is None else float((start, end) in gold),
            )


def _decode_spans(ask: Ask, raws: list[Raw]) -> Answer:
    e = ask.example
    spans = list(candidates(e.text, ask.settings.max_words))
    odds = _log_odds(raws)
    if len(odds) != len(spans) * len(e.types):
        raise ValueError(f"{len(odds)} predictions for {len(spans) * len(e.types)} candidates")
    found: set[Span] = set()
    for i, name in enumerate(e.types.names):
        chosen = odds[i * len(spans) : (i + 1) * len(spans)]
        found.update(Span(s, t, name) for (s, t), v in zip(spans, chosen, strict=True) if v > 0)
    return frozenset(found)


def _holds_spans(ask: Ask) -> str | None:
    return _beyond(ask, ask.example.text, sorted(ask.example.gold or ()))


@dataclass(frozen=True)
class Entail(Format):
    """Yes or no. TextGeneration is refused.

    ``max_words`` bounds candidate spans (words). ``negatives`` is how many wrong options or
    candidates a training group keeps, per question or entity type (EFL, Wang et al. 2021).
    """

    max_words: int = 8
    negatives: int = 3

    name: ClassVar[str] = "entail"
    cells: ClassVar = {
        TextClassification: Cell(_encode_label, _decode_label),
        MultiLabelClassification: Cell(_encode_labels, _decode_labels),
        MultipleChoice: Cell(_encode_choice, _decode_choice),
        QuestionAnswering: Cell(_encode_answer, _decode_answer, _holds_answer),
        TokenClassification: Cell(_encode_spans, _decode_spans, _holds_spans),
        RelationClassification: Cell(_encode_label, _decode_label),
        Regression: Cell(_encode_number, _decode_number),
    }
    refusals: ClassVar = {TextGeneration: NO_CANDIDATES}

    def __post_init__(self) -> None:
        if self.max_words < 1 or self.negatives < 1:
            raise ConfigError(
                "entail bounds below one",
                got=(self.max_words, self.negatives),
                expected="max_words >= 1 and negatives >= 1",
            )
