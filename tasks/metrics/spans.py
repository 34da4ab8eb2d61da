"""Typed spans: micro F1 as seqeval counts it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from formats.examples import Answer, Example, Span

from ._base import Summed, ratio


@dataclass(frozen=True)
class SpanF1(Summed):
    """Micro F1 of exact typed spans (Tjong Kim Sang and De Meulder 2003).

    Equal to seqeval with ``mode="strict", scheme=IOB2`` where spans end at token bounds and do
    not overlap; tags cannot write other spans. Statistics: hits, answers, golds.
    """

    def rows(self, examples: Sequence[Example], answers: Sequence[Answer]) -> np.ndarray:
        out = np.zeros((len(examples), 3))
        for row, (example, answer) in enumerate(zip(examples, answers, strict=True)):
            gold: frozenset[Span] = example.gold or frozenset()  # type: ignore[assignment]
            given = answer if isinstance(answer, frozenset) else frozenset()
            out[row] = len(gold & given), len(given), len(gold)
        return out

    def of(self, sums: np.ndarray) -> np.ndarray:
        return ratio(2 * sums[..., 0], sums[..., 1] + sums[..., 2])
