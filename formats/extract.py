"""Extract: a question about a passage, answered by spans of it. Closed answer sets are listed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from .base import Ask, Cell, Format, best, choose, option_words, unheld
from .candidates import whole_words
from .errors import TemplateError
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
from .instances import ExtractInstance, Raw, ScoredSpan, Scores, Spans
from .layouts import Layout, layout_of
from .spaces import Place
from .templates import Rendered

NO_SPANS = "its answer is free text, which need not stand in any passage; use generate"


def _listed(ask: Ask, texts: Sequence[str]) -> tuple[Rendered, list[Place]]:
    """The passage that lists the options, and where each one stands in it."""
    passage = ask.render("passage")
    places = passage.where("options")
    if len(places) != len(texts):
        raise TemplateError(
            "an extract passage that does not list every option",
            got=f"{len(places)} of {len(texts)} listed by {ask.variant.parts['passage'].source!r}",
            expected="{% for o in options %}{{ o }} … {% endfor %}",
        )
    return passage, places


def _elsewhere(
    passage: str, texts: Sequence[str], listed: Sequence[Place]
) -> list[tuple[int, int, int]]:
    """Where else than in the list its texts stand as whole words: (number in the list, start,
    end)."""
    found: list[tuple[int, int, int]] = []
    if not listed:
        return found
    low, high = min(listed)[0], max(listed)[1]
    for begin, stop in ((0, low), (high, len(passage))):
        part = passage[begin:stop]
        for c, text in enumerate(texts):
            if text not in part:
                continue
            end = begin
            while (start := passage.find(text, end, stop)) >= 0:
                end = start + len(text)
                if whole_words(passage, start, end):
                    found.append((c, start, end))
    return found


def _closed(ask: Ask, gold: Iterable[int] | None) -> Iterator[ExtractInstance]:
    texts = option_words(ask.example)
    passage, listed = _listed(ask, texts)
    text = passage.text
    more = _elsewhere(text, texts, listed) if ask.settings.occurrences else []
    chosen: tuple[Span, ...] | None = None
    if gold is not None:
        right = sorted(gold)
        places = [listed[i] for i in right]
        if ask.sample and more:
            others = [(start, end) for c, start, end in more if c in right]
            places = sorted(places + others) if others else places
        chosen = tuple([Span(start, end) for start, end in places])
    question = ask.text("question")
    yield ExtractInstance(question, text, chosen, tuple(listed), tuple(more))


def _best(raws: list[Raw]) -> int:
    assert isinstance(raws[0], Scores)
    return best(raws[0].values)


def _encode_label(ask: Ask) -> Iterator[ExtractInstance]:
    gold = ask.example.gold
    yield from _closed(ask, None if gold is None else [ask.example.labels.index(gold)])


def _decode_label(ask: Ask, raws: list[Raw]) -> Answer:
    return ask.example.labels.names[_best(raws)]


def _encode_labels(ask: Ask) -> Iterator[ExtractInstance]:
    gold = ask.example.gold
    labels = ask.example.labels
    yield from _closed(ask, None if gold is None else sorted(labels.index(g) for g in gold))


def _decode_labels(ask: Ask, raws: list[Raw]) -> Answer:
    assert isinstance(raws[0], Scores)
    names = ask.example.labels.names
    return frozenset(n for n, v in zip(names, raws[0].values, strict=True) if v > 0)


def _encode_choice(ask: Ask) -> Iterator[ExtractInstance]:
    gold = ask.example.gold
    yield from _closed(ask, None if gold is None else [gold])


def _decode_choice(ask: Ask, raws: list[Raw]) -> Answer:
    return _best(raws)


def _encode_number(ask: Ask) -> Iterator[ExtractInstance]:
    e = ask.example
    yield from _closed(ask, None if e.gold is None else [e.grid.index(e.nearest(e.gold))])


def _decode_number(ask: Ask, raws: list[Raw]) -> Answer:
    e = ask.example
    return e.clip(float(e.grid[_best(raws)]))


def _shift(ask: Ask, rendered: Rendered, field: str) -> int:
    places = rendered.where(field)
    if not places:
        raise TemplateError(
            f"an extract passage that does not hold the {field} as it is",
            got=ask.variant.parts["passage"].source,
            expected="{{ " + field + " }} without filters",
        )
    return places[0][0]


def _shifted(spans: Iterable[Span], by: int) -> tuple[Span, ...]:
    return tuple(Span(s.start + by, s.end + by, s.type) for s in sorted(spans))


def _back(raw: Raw, text: str, by: int) -> list[ScoredSpan]:
    """Predicted spans in the field's own offsets; what lies outside it or blank is no answer."""
    assert isinstance(raw, Spans)
    return [
        ScoredSpan(s.start - by, s.end - by, s.score, s.type)
        for s in raw.spans
        if by <= s.start < s.end <= by + len(text) and text[s.start - by : s.end - by].strip()
    ]


def _encode_answer(ask: Ask) -> Iterator[ExtractInstance]:
    e = ask.example
    passage = ask.render("passage")
    by = _shift(ask, passage, "passage")
    gold = None if e.gold is None else _shifted(e.gold[0], by)
    yield ExtractInstance(ask.text("question"), passage.text, gold)


def _decode_answer(ask: Ask, raws: list[Raw]) -> Answer:
    e = ask.example
    by = _shift(ask, ask.render("passage"), "passage")
    spans = _back(raws[0], e.passage, by)
    kept = choose(spans, several=e.several, empty=e.unanswerable)
    if not kept and not e.unanswerable:
        return None
    return frozenset(e.passage[s.start : s.end] for s in kept)


def _holds_answer(ask: Ask) -> str | None:
    e = ask.example
    return unheld(e.passage, e.gold[0]) if e.gold else None


def _encode_spans(ask: Ask) -> Iterator[ExtractInstance]:
    """One question per entity type (BERT-MRC, Li et al. 2020), or one that names all types."""
    e = ask.example
    passage = ask.render("passage")
    by = _shift(ask, passage, "text")
    if ask.settings.one_pass:
        question = ask.text("question", type=", ".join(e.types.words))
        gold = None if e.gold is None else _shifted(e.gold, by)
        yield ExtractInstance(question, passage.text, gold, types=e.types.names)
        return
    for name, word in zip(e.types.names, e.types.words, strict=True):
        own = (Span(s.start, s.end) for s in e.gold or () if s.type == name)
        gold = None if e.gold is None else _shifted(own, by)
        asked = ask.variant.questions.get(name)
        question = (
            ask.text("question", type=word)
            if asked is None
            else asked.text({**ask.fields, "type": word})
        )
        yield ExtractInstance(question, passage.text, gold)


def _decode_spans(ask: Ask, raws: list[Raw]) -> Answer:
    e = ask.example
    by = _shift(ask, ask.render("passage"), "text")
    found: set[Span] = set()
    if ask.settings.one_pass:
        for s in _back(raws[0], e.text, by):
            if s.score > 0 and 0 <= s.type < len(e.types):
                found.add(Span(s.start, s.end, e.types.names[s.type]))
        return frozenset(found)
    for name, raw in zip(e.types.names, raws, strict=True):
        # Spans of one type may nest in the data, so nothing but the margin decides.
        found.update(Span(s.start, s.end, name) for s in _back(raw, e.text, by) if s.score > 0)
    return frozenset(found)


@dataclass(frozen=True)
class Extract(Format):
    """Spans of a passage. TextGeneration is refused.

    ``one_pass`` asks for all entity types of a tagging row at once, for heads that score several
    types (GlobalPointer); otherwise each type is a question of its own. ``occurrences`` lets a
    listed answer stand wherever the passage holds it, not only in the list: training marks every
    place (the distant supervision of Joshi et al. 2017, TriviaQA), and an option's score is that of
    its best place. ``layout``: ``keskar``, in place of the tasks' own templates
    (:mod:`formats.layouts`).
    """

    one_pass: bool = False
    occurrences: bool = True
    layout: str | None = None

    name: ClassVar[str] = "extract"
    cells: ClassVar = {
        TextClassification: Cell(_encode_label, _decode_label),
        MultiLabelClassification: Cell(_encode_labels, _decode_labels),
        MultipleChoice: Cell(_encode_choice, _decode_choice),
        QuestionAnswering: Cell(_encode_answer, _decode_answer, _holds_answer),
        TokenClassification: Cell(_encode_spans, _decode_spans),
        RelationClassification: Cell(_encode_label, _decode_label),
        Regression: Cell(_encode_number, _decode_number),
    }
    refusals: ClassVar = {TextGeneration: NO_SPANS}

    def __post_init__(self) -> None:
        _ = self.published

    @property
    def published(self) -> Layout | None:
        return layout_of(self.layout, self.name)
