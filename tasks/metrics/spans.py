"""Typed spans: micro F1 as seqeval counts it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from formats.examples import Span, TokenClassification

from ._base import Summed, ratio
from ._record import Record

_WORD = re.compile(r"\S+")


def _sets(record: Record) -> tuple[frozenset[Span], frozenset[Span]]:
    """Gold and answered spans; an answer that is no set of spans is empty."""
    gold, given = record.example.gold, record.answer
    assert isinstance(gold, frozenset)
    spans = [s for s in given if isinstance(s, Span)] if isinstance(given, frozenset) else []
    return frozenset(s for s in gold if isinstance(s, Span)), frozenset(spans)


def tags(example: TokenClassification, spans: Iterable[Span]) -> list[str]:
    """IOB2 tags of the example's tokens.

    Tags cannot write a span that does not start and end at token bounds, nor one that overlaps
    another: of overlapping ones the first is written, and the longest of those that start there.
    """
    tokens = example.tokens or tuple(m.span() for m in _WORD.finditer(example.text))
    starts = {start: i for i, (start, _) in enumerate(tokens)}
    ends = {end: i for i, (_, end) in enumerate(tokens)}
    out = ["O"] * len(tokens)
    for span in sorted(spans, key=lambda s: (s.start, -s.end, s.type)):
        first, last = starts.get(span.start), ends.get(span.end)
        if first is None or last is None or any(t != "O" for t in out[first : last + 1]):
            continue
        out[first : last + 1] = [f"B-{span.type}"] + [f"I-{span.type}"] * (last - first)
    return out


@dataclass(frozen=True)
class SpanF1(Summed):
    """Micro F1 of exact typed spans (Tjong Kim Sang and De Meulder 2003).

    Equal to seqeval with ``mode="strict", scheme=IOB2`` on :func:`tags`, and to conlleval, where
    tags can write the spans. Those that they cannot write count here, as wrong answers unless
    gold has them too. Statistics: hits, answers, golds.
    """

    def rows(self, records: Sequence[Record]) -> np.ndarray:
        out = np.zeros((len(records), 3))
        for row, record in enumerate(records):
            gold, given = _sets(record)
            out[row] = len(gold & given), len(given), len(gold)
        return out

    def of(self, sums: np.ndarray) -> np.ndarray:
        return ratio(2 * sums[..., 0], sums[..., 1] + sums[..., 2])


@dataclass(frozen=True)
class TagAccuracy(Summed):
    """The share of tokens with the gold tag (parts of speech). Statistics: hits, tokens."""

    def rows(self, records: Sequence[Record]) -> np.ndarray:
        out = np.zeros((len(records), 2))
        for row, record in enumerate(records):
            assert isinstance(record.example, TokenClassification)
            gold, given = (tags(record.example, spans) for spans in _sets(record))
            hits = sum(a == b for a, b in zip(gold, given, strict=True))
            # No valid answer is wrong everywhere; the empty set says O of each token.
            out[row] = hits if isinstance(record.answer, frozenset) else 0, len(gold)
        return out

    def of(self, sums: np.ndarray) -> np.ndarray:
        return ratio(sums[..., 0], sums[..., 1])
