"""Generate: a source text in, a target text out. Closed sets are scored, open ones written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from .base import Ask, Cell, Format, best, letters, option_words
from .errors import ConfigError
from .examples import (
    Answer,
    Example,
    MultiLabelClassification,
    MultipleChoice,
    QuestionAnswering,
    Regression,
    RelationClassification,
    TextClassification,
    TextGeneration,
    TokenClassification,
    matches,
)
from .instances import GenerateInstance, Instance, Raw, Scores, Text, oracle
from .layouts import Layout, as_in, layout_of
from .linear import join, read_spans, split, write_spans
from .prompts import Prompt

UNANSWERABLE = "unanswerable"


def _pick(raw: Raw, options: tuple[str, ...]) -> int | None:
    """The option meant by a raw prediction: the best-scored, or the one that was written."""
    if isinstance(raw, Scores):
        return best(raw.values)
    assert isinstance(raw, Text)
    for test in (str, str.strip, _loose):  # the exact option before a similar one
        written = test(raw.text)
        for i, option in enumerate(options):
            if test(option) == written:
                return i
    return None


def _loose(text: str) -> str:
    return text.strip().casefold()


def _targets(ask: Ask) -> tuple[str, ...]:
    words = option_words(ask.example)
    return letters(len(words)) if ask.variant.target == "letter" else words


def _closed(ask: Ask, gold: int | None) -> Iterator[GenerateInstance]:
    targets = _targets(ask)
    yield GenerateInstance(ask.text("source"), None if gold is None else targets[gold], targets)


def _encode_label(ask: Ask) -> Iterator[GenerateInstance]:
    gold = ask.example.gold
    yield from _closed(ask, None if gold is None else ask.example.labels.index(gold))


def _decode_label(ask: Ask, raws: list[Raw]) -> Answer:
    chosen = _pick(raws[0], _targets(ask))
    return None if chosen is None else ask.example.labels.names[chosen]


def _encode_choice(ask: Ask) -> Iterator[GenerateInstance]:
    yield from _closed(ask, ask.example.gold)


def _decode_choice(ask: Ask, raws: list[Raw]) -> Answer:
    return _pick(raws[0], _targets(ask))


def _open(ask: Ask, target: str | None) -> Iterator[GenerateInstance]:
    yield GenerateInstance(ask.text("source"), target)


def _encode_labels(ask: Ask) -> Iterator[GenerateInstance]:
    e = ask.example
    target = None
    if e.gold is not None:
        target = join([e.labels.word(n) for n in e.labels.names if n in e.gold])
    yield from _open(ask, target)


def _decode_labels(ask: Ask, raws: list[Raw]) -> Answer:
    labels = ask.example.labels
    name = dict(zip(labels.words, labels.names, strict=True))
    assert isinstance(raws[0], Text)
    items = (i if i in name else i.strip() for i in split(raws[0].text))
    return frozenset(name[i] for i in items if i in name)


def _encode_answer(ask: Ask) -> Iterator[GenerateInstance]:
    e = ask.example
    target = None
    if e.gold is not None:
        spans = sorted(e.gold[0])
        texts = list(dict.fromkeys(s.of(e.passage) for s in spans))
        target = _write_answers(texts, e.several) if texts else UNANSWERABLE
    yield from _open(ask, target)


def _write_answers(texts: list[str], several: bool) -> str:
    """One answer stands as it is (a leading backslash keeps it apart from 'unanswerable')."""
    text = join(texts) if several else texts[0]
    if not several and text.startswith("\\"):
        text = "\\" + text
    return "\\" + text if text == UNANSWERABLE else text


def _decode_answer(ask: Ask, raws: list[Raw]) -> Answer:
    """The texts written; None where none was and the question has an answer."""
    e = ask.example
    assert isinstance(raws[0], Text)
    text = raws[0].text
    if text == UNANSWERABLE and e.unanswerable:
        return frozenset()
    if text in (UNANSWERABLE, "\\" + UNANSWERABLE):
        return frozenset([UNANSWERABLE])
    texts = split(text) if e.several else [text[1:] if text.startswith("\\") else text]
    answer = frozenset(t for t in texts if t.strip())
    return answer if answer or e.unanswerable else None


def _encode_spans(ask: Ask) -> Iterator[GenerateInstance]:
    e = ask.example
    target = None
    if e.gold is not None:
        target = write_spans(e.text, e.gold, dict(zip(e.types.names, e.types.words, strict=True)))
    yield from _open(ask, target)


def _decode_spans(ask: Ask, raws: list[Raw]) -> Answer:
    e = ask.example
    assert isinstance(raws[0], Text)
    return read_spans(e.text, raws[0].text, dict(zip(e.types.words, e.types.names, strict=True)))


def _encode_number(ask: Ask) -> Iterator[GenerateInstance]:
    e = ask.example
    yield from _open(ask, None if e.gold is None else e.nearest(e.gold))


_NUMBER = re.compile(r"[-+]?(?:\d+(?:[.,]\d+)?|\.\d+)")


def _decode_number(ask: Ask, raws: list[Raw]) -> Answer:
    """The first number written, clipped to the scale; None where none was written."""
    assert isinstance(raws[0], Text)
    found = _NUMBER.search(raws[0].text)
    if found is None:
        return None
    return ask.example.clip(float(found.group().replace(",", ".")))


def _encode_text(ask: Ask) -> Iterator[GenerateInstance]:
    gold = ask.example.gold
    yield from _open(ask, None if gold is None else gold[0])


def _decode_text(ask: Ask, raws: list[Raw]) -> Answer:
    assert isinstance(raws[0], Text)
    return raws[0].text


@dataclass(frozen=True)
class Generate(Format):
    """Text to text. Every task type has a cell.

    ``compat``: ``metaicl`` lays episodes out as the published MetaICL does, see
    :mod:`formats.metaicl`. ``layout``: ``unifiedqa`` or ``proqa``, in place of the tasks' own
    templates (:mod:`formats.layouts`); an answer that lower case hides is not held.
    """

    compat: str | None = None
    layout: str | None = None

    name: ClassVar[str] = "generate"
    cells: ClassVar = {
        TextClassification: Cell(_encode_label, _decode_label),
        MultiLabelClassification: Cell(_encode_labels, _decode_labels),
        MultipleChoice: Cell(_encode_choice, _decode_choice),
        QuestionAnswering: Cell(_encode_answer, _decode_answer),
        TokenClassification: Cell(_encode_spans, _decode_spans),
        RelationClassification: Cell(_encode_label, _decode_label),
        Regression: Cell(_encode_number, _decode_number),
        TextGeneration: Cell(_encode_text, _decode_text),
    }

    def __post_init__(self) -> None:
        if self.compat not in (None, "metaicl"):
            raise ConfigError("unknown compat", got=self.compat, expected="null or metaicl")
        if self.compat and self.layout:
            raise ConfigError("two layouts", got=(self.compat, self.layout),
                              fix="format.compat=null")  # fmt: skip
        _ = self.published

    @property
    def published(self) -> Layout | None:
        return layout_of(self.layout, self.name)

    def encode(
        self, example: Example, prompt: Prompt, *, template: int = 0, sample: bool = False
    ) -> Iterator[Instance]:
        layout = self.published
        for instance in super().encode(example, prompt, template=template, sample=sample):
            yield layout.written(instance) if layout else instance

    def decode(
        self, example: Example, prompt: Prompt, raws: Iterable[Raw], *, template: int = 0
    ) -> Answer:
        answer = super().decode(example, prompt, raws, template=template)
        layout = self.published
        if not (layout and layout.lower and isinstance(example, QuestionAnswering)):
            return answer
        assert isinstance(answer, frozenset | None)
        return None if answer is None else frozenset(as_in(example.passage, str(t)) for t in answer)

    def holds(self, example: Example, prompt: Prompt, *, template: int = 0) -> str | None:
        reason = super().holds(example, prompt, template=template)
        layout = self.published
        if reason or not (layout and layout.lower) or example.gold is None:
            return reason
        asked = self.encode(example, prompt, template=template)
        answer = self.decode(example, prompt, [oracle(i) for i in asked], template=template)
        return None if matches(example, answer) else "the answer is another one in lower case"
