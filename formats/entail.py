"""Entail: does the premise entail the hypothesis? One hypothesis per label, option or span."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice
from typing import ClassVar, TypeAlias

from .base import Ask, Cell, Format, best, choose, option_words, unheld
from .candidates import candidates
from .errors import ConfigError, RowError
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
from .frames import around
from .instances import EntailInstance, Entailment, Raw, ScoredSpan
from .lengths import length_in_words
from .spaces import Place
from .templates import fields_of

NO_CANDIDATES = "its answers cannot be enumerated as hypotheses; use generate"


def _log_odds(raws: list[Raw]) -> list[float]:
    values = []
    for raw in raws:
        assert isinstance(raw, Entailment)
        values.append(raw.yes)
    return values


def _hypothesis(ask: Ask, name: str, **fields: str) -> str:
    """The hypothesis of label or type ``name``: its own one, or that of the template."""
    own = ask.prompt.hypotheses.get(name)
    return ask.text("hypothesis", **fields) if own is None else own.text({**ask.fields, **fields})


def _about(ask: Ask, name: str = "", **fields: str) -> Callable[[str], str]:
    """A function from a candidate to its hypothesis, see :func:`_hypothesis`."""
    template = ask.prompt.hypotheses.get(name, ask.variant.parts["hypothesis"])
    return around(template, "candidate", {**ask.fields, **fields_of(fields)})


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
        yield EntailInstance(premise, _hypothesis(ask, name, label=word), yes)


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


Gold: TypeAlias = AbstractSet[Place] | None


@lru_cache(maxsize=16)
def _candidates(text: str, most: int) -> tuple[Place, ...]:
    return tuple(candidates(text, most))  # the same ones for each type and for decoding


def _places(ask: Ask, *words: str) -> tuple[Place, ...]:
    """The candidates of a question, or those of the entity types that ``words`` word."""
    e = ask.example
    text = e.passage if isinstance(e, QuestionAnswering) else e.text
    bounds = [ask.settings.most_words(e.kind, word) for word in words or ("",)]
    return _candidates(text, max(bounds))


def _thin(ask: Ask, spans: Sequence[Place], gold: set[Place]) -> Sequence[Place]:
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


MOST_CHARACTERS = 100_000_000  # of one row's hypotheses: half a minute of a tokenizer


def _asked(
    premise: str, about: Callable[[str], str], text: str, places: Sequence[Place], gold: Gold
) -> Iterator[EntailInstance]:
    first = [about(text[start:end]) for start, end in places[:1]]
    repeated = len(places) * len("".join(first))
    if repeated > MOST_CHARACTERS:
        raise RowError(
            "hypotheses that repeat a long question for each of many candidates",
            got=f"{len(places):,} candidates, {repeated:,} characters",
            expected=f"at most {MOST_CHARACTERS:,} characters in a row's hypotheses",
            fix="a shorter question or passage, a smaller format.max_words, or format=extract",
        )
    for place in places:
        yes = None if gold is None else float(place in gold)
        yield EntailInstance(premise, about(text[place[0] : place[1]]), yes)


def _encode_answer(ask: Ask) -> Iterator[EntailInstance]:
    e = ask.example
    gold = None if e.gold is None else {(s.start, s.end) for s in e.gold[0]}
    kept = _thin(ask, _places(ask), gold or set())
    yield from _asked(ask.text("premise"), _about(ask), e.passage, kept, gold)


def _decode_answer(ask: Ask, raws: list[Raw]) -> Answer:
    e = ask.example
    odds = _log_odds(raws)
    # What is not positive can answer only where nothing is, as the best of all.
    worth = 0.0 if any(v > 0 for v in odds) else max(odds)
    scored = [
        ScoredSpan(s[0], s[1], v) for s, v in zip(_places(ask), odds, strict=True) if v >= worth
    ]
    kept = choose(scored, several=e.several, empty=e.unanswerable)
    if not kept and not e.unanswerable:
        return None
    return frozenset(e.passage[s.start : s.end] for s in kept)


def _beyond(text: str, span: Span, bound: int) -> str | None:
    length = length_in_words(text, span.start, span.end)
    if length is None:
        return "a gold span begins or ends within a word, and candidates are whole words"
    if length > bound:
        return f"a gold span is not a run of at most {bound} whole words"
    return None


def _holds_answer(ask: Ask) -> str | None:
    e = ask.example
    if not e.gold:
        return None
    bound = ask.settings.most_words(e.kind)
    reasons = (_beyond(e.passage, s, bound) for s in sorted(e.gold[0]))
    return next(filter(None, reasons), None) or unheld(e.passage, e.gold[0])


def _encode_spans(ask: Ask) -> Iterator[EntailInstance]:
    e = ask.example
    premise = ask.text("premise")
    entities = None if e.gold is None else {(s.start, s.end) for s in e.gold}
    two = ask.settings.two_stage
    if two:
        assert ask.prompt.detection is not None
        detected = around(ask.prompt.detection, "candidate", ask.fields)
        kept = _thin(ask, _places(ask, *e.types.words), entities or set())
        yield from _asked(premise, detected, e.text, kept, entities)
    for name, word in zip(e.types.names, e.types.words, strict=True):
        gold = None if e.gold is None else {(s.start, s.end) for s in e.gold if s.type == name}
        places: Sequence[Place] = _places(ask, word)
        if two and ask.sample and entities is not None:
            places = [p for p in places if p in entities]  # only they come to the second stage
        kept = _thin(ask, places, gold or set())
        yield from _asked(premise, _about(ask, name, type=word), e.text, kept, gold)


def _decode_spans(ask: Ask, raws: list[Raw]) -> Answer:
    types = ask.example.types
    odds = iter(_log_odds(raws))
    passed: set[Place] = set()
    if ask.settings.two_stage:
        asked = _places(ask, *types.words)
        passed = {place for place, v in zip(asked, islice(odds, len(asked)), strict=True) if v > 0}
    spans = (
        Span(*place, name)
        for name, word in zip(types.names, types.words, strict=True)
        for place in _places(ask, word)
    )
    found = list(zip(spans, odds, strict=True))
    if not ask.settings.two_stage:
        return frozenset(span for span, v in found if v > 0)
    likeliest: dict[Place, tuple[Span, float]] = {}
    for span, v in found:
        place = (span.start, span.end)
        if place in passed and (place not in likeliest or v > likeliest[place][1]):
            likeliest[place] = span, v
    return frozenset(span for span, _ in likeliest.values())


def _holds_spans(ask: Ask) -> str | None:
    e = ask.example
    settings = ask.settings
    gold = sorted(e.gold or ())
    if settings.two_stage and len({(s.start, s.end) for s in gold}) < len(gold):
        return "a gold span has several types, and two stages give a span one"
    reasons = (_beyond(e.text, s, settings.most_words(e.kind, e.types.word(s.type))) for s in gold)
    return next(filter(None, reasons), None)


@dataclass(frozen=True)
class Entail(Format):
    """Yes or no. TextGeneration is refused.

    ``max_words`` bounds candidate spans (words). ``negatives`` is how many wrong options or
    candidates a training group keeps, per question or entity type (EFL, Wang et al. 2021).
    ``bounds`` are narrower ones by the words of an entity type, or by the kind of task (``answer``,
    ``tag``) for the rest: what ``tasks.span_statistics`` learned from seen rows.
    ``relative`` scores an option against the others of its row where exactly one is right: no
    answer changes, but what ranks rows (AUC) and tells how sure an answer is.
    ``two_stage`` asks of each candidate of a tagging row whether it is a span of any type
    (``Prompt.detection``), and of which type it is only matters where it is one: a span has odds
    above even there, and the likeliest of its types, however unlikely. All is asked at once (a
    row is encoded and decoded once); a training group asks for the types of gold spans alone.
    """

    max_words: int = 8
    negatives: int = 3
    bounds: tuple[tuple[str, int], ...] = ()
    relative: bool = False
    two_stage: bool = False

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
        pairs = self.bounds.items() if isinstance(self.bounds, Mapping) else self.bounds
        try:
            bounds = tuple(sorted((str(name), int(most)) for name, most in pairs))
        except (TypeError, ValueError):
            raise ConfigError(
                "entail bounds that are no mapping",
                got=self.bounds,
                expected="words of a type, or answer or tag: number of words",
            ) from None
        object.__setattr__(self, "bounds", bounds)
        if min(self.max_words, self.negatives, *(most for _, most in self.bounds)) < 1:
            raise ConfigError(
                "entail bounds below one",
                got=(self.max_words, self.negatives, *self.bounds),
                expected="max_words >= 1, negatives >= 1 and bounds >= 1",
            )

    @cached_property
    def _most(self) -> dict[str, int]:
        return {name.casefold(): min(most, self.max_words) for name, most in self.bounds}

    def most_words(self, kind: str, word: str = "") -> int:
        """How many words a candidate may have: that of type ``word``, else that of ``kind``."""
        found = self._most.get(word.casefold()) if word else None
        return found or self._most.get(kind, self.max_words)
