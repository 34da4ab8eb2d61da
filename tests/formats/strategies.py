"""Hypothesis strategies: rows of all eight task types, with the nastiest texts that are valid.

``HYPOTHESIS_SCALE=20 pytest tests/formats`` draws twenty times as many examples, at random.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from formats import (
    LabelSpace,
    MultiLabelClassification,
    MultipleChoice,
    QuestionAnswering,
    Regression,
    RelationClassification,
    Span,
    TextClassification,
    TextGeneration,
    TokenClassification,
    TypeSpace,
)

SCALE = int(os.environ.get("HYPOTHESIS_SCALE", "1"))


def examples(count: int) -> Callable[[Any], Any]:
    """Settings of a property test: ``count`` examples, the same ones in every run."""
    return settings(
        max_examples=count * SCALE,
        deadline=None,
        database=None,
        derandomize=SCALE == 1,
        suppress_health_check=list(HealthCheck),
    )


# Signs that a format could mistake for its own, and scripts that break naive offsets.
NASTY = (
    "; ", ";", ": ", ":", "@", "@2", "\\", "\\\\", ", ", ".", "none", "None", "\\none",
    "unanswerable", "\\unanswerable", "yes", "A", "B", "a", "b", "aa", "1", "-0.5", "3,5",
    " ", "  ", "\n", "\r\n", "\t", "\x00", "\x1f", "\x85", "\u2028",
    "{{ text }}", "{% for o in options %}", "{{", "}}", "{#", "#}", "%}", "{{ ''.__class__ }}",
    "\u200b", "\u200d", "\ufeff", "\u202e", "\u0301", "é", "e\u0301", "ß", "İ", "ſ", "ﬁ",
    "你好", "東京", "か\u3099", "한국", "שלום", "مرحبا", "हिन्दी", "ไทย", "𝔘", "😀", "👩‍🚀", "🇩🇪",
)  # fmt: skip

pieces = st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
# Few letters make surfaces that repeat and overlap.
repeats = st.text("ab a", min_size=1, max_size=12)
texts = (st.lists(pieces, min_size=1, max_size=8).map("".join) | repeats).filter(str.strip)
words = (st.lists(pieces, min_size=1, max_size=2).map("".join)).filter(str.strip)
anything = st.lists(pieces, max_size=8).map("".join)
ids = st.integers(0, 999).map(str)


def distinct(least: int, most: int) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(words, min_size=least, max_size=most, unique=True).map(tuple)


@st.composite
def spaces(draw: st.DrawFn, cls: type[LabelSpace] = LabelSpace) -> LabelSpace:
    least = 1 if cls is TypeSpace else 2
    names = draw(distinct(least, 4))
    if draw(st.booleans()):
        return cls(names)
    return cls(names, draw(distinct(len(names), len(names))))


@st.composite
def spans(draw: st.DrawFn, text: str, type: str = "") -> Span:
    """A span of ``text`` with at least one visible character."""
    visible = [i for i, c in enumerate(text) if c.strip()]
    at = draw(st.sampled_from(visible))
    start = draw(st.integers(max(0, at - 3), at))
    end = draw(st.integers(at + 1, min(len(text), at + 6)))
    return Span(start, end, type)


@st.composite
def classify(draw: st.DrawFn) -> TextClassification:
    labels = draw(spaces())
    gold = draw(st.sampled_from(labels.names))
    return TextClassification(draw(ids), draw(texts), labels, draw(st.none() | texts), gold)


@st.composite
def multilabel(draw: st.DrawFn) -> MultiLabelClassification:
    labels = draw(spaces())
    gold = draw(st.frozensets(st.sampled_from(labels.names)))
    return MultiLabelClassification(draw(ids), draw(texts), labels, draw(st.none() | texts), gold)


@st.composite
def choose(draw: st.DrawFn) -> MultipleChoice:
    options = draw(distinct(2, 5))
    gold = draw(st.integers(0, len(options) - 1))
    return MultipleChoice(draw(ids), draw(texts), options, draw(st.none() | texts), gold)


@st.composite
def answer(draw: st.DrawFn) -> QuestionAnswering:
    passage = draw(texts)
    several, unanswerable = draw(st.booleans()), draw(st.booleans())
    alternative = st.frozensets(
        spans(passage), min_size=0 if unanswerable else 1, max_size=4 if several else 1
    )
    gold = tuple(draw(st.lists(alternative, min_size=1, max_size=2)))
    return QuestionAnswering(draw(ids), draw(texts), passage, gold, several, unanswerable)


@st.composite
def tag(draw: st.DrawFn) -> TokenClassification:
    text = draw(texts)
    types = draw(spaces(TypeSpace))
    assert isinstance(types, TypeSpace)
    typed = st.sampled_from(types.names).flatmap(lambda name: spans(text, name))
    return TokenClassification(draw(ids), text, types, draw(st.frozensets(typed, max_size=5)))


@st.composite
def relate(draw: st.DrawFn) -> RelationClassification:
    text, labels = draw(texts), draw(spaces())
    head, tail = draw(spans(text)), draw(spans(text))
    gold = draw(st.sampled_from(labels.names))
    return RelationClassification(draw(ids), text, head, tail, labels, gold)


@st.composite
def rate(draw: st.DrawFn) -> Regression:
    low = draw(st.sampled_from([0.0, 1.0, -1.0, -273.15, 1e6, 0.1]) | st.floats(-1e4, 1e4))
    width = draw(st.sampled_from([1.0, 4.0, 5.0, 0.3, 1e5]) | st.floats(0.01, 1e4))
    steps = draw(st.sampled_from([1.0, 4.0, 10.0, 25.0, 3.0]) | st.floats(1.01, 60))
    high = low + width
    gold = min(low + draw(st.floats(0, 1)) * width, high)
    gold = draw(st.sampled_from([low, high, gold]))
    quantum = min(width / steps, high - low)
    return Regression(draw(ids), draw(texts), low, high, quantum, draw(st.none() | texts), gold)


@st.composite
def generate(draw: st.DrawFn) -> TextGeneration:
    gold = tuple(draw(st.lists(texts, min_size=1, max_size=3)))
    return TextGeneration(draw(ids), draw(texts), gold, draw(st.none() | texts))


EXAMPLES: dict[str, st.SearchStrategy[Any]] = {
    "classify": classify(),
    "multilabel": multilabel(),
    "choose": choose(),
    "answer": answer(),
    "tag": tag(),
    "relate": relate(),
    "rate": rate(),
    "generate": generate(),
}
