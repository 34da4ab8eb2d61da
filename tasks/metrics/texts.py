"""Free text: ROUGE-L, BLEU, chrF and exact match."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from formats.examples import Answer, Example

from ._base import Mean, Metric


def _references(example: Example) -> tuple[str, ...]:
    return example.gold or ()  # type: ignore[return-value]


@functools.cache
def _rouge() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)


@dataclass(frozen=True)
class RougeL(Mean):
    """ROUGE-L F measure (Lin 2004), stemmed, of the best reference."""

    def score(self, example: Example, answer: Answer) -> float:
        if not isinstance(answer, str) or not answer.strip():
            return 0.0
        return max(
            float(_rouge().score(reference, answer)["rougeL"].fmeasure)
            for reference in _references(example)
        )


@dataclass(frozen=True)
class ExactMatch(Mean):
    """The share of texts that equal a reference, but for white space at the ends."""

    def score(self, example: Example, answer: Answer) -> float:
        return float(
            isinstance(answer, str)
            and answer.strip() in {reference.strip() for reference in _references(example)}
        )


@dataclass(frozen=True)
class _Corpus(Metric):
    """A sacrebleu metric over its own per-sentence statistics, whose sums give the corpus score."""

    def scorer(self) -> Any:
        raise NotImplementedError

    def rows(self, examples: Sequence[Example], answers: Sequence[Answer]) -> np.ndarray:
        texts = [a if isinstance(a, str) else "" for a in answers]
        references = [_references(e) for e in examples]
        # sacrebleu wants one stream per reference number; None stands where a row has fewer.
        most = max(len(r) for r in references)
        streams = [[r[i] if i < len(r) else None for r in references] for i in range(most)]
        return np.array(self.scorer()._extract_corpus_statistics(texts, streams), dtype=float)

    def reduce(self, stats: np.ndarray) -> float:
        return float(self.scorer()._aggregate_and_compute(stats.tolist()).score) / 100


@functools.cache
def _bleu() -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU()


@functools.cache
def _chrf() -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


@dataclass(frozen=True)
class Bleu(_Corpus):
    """Corpus BLEU-4 (Papineni et al. 2002), sacrebleu's tokens and smoothing (Post 2018)."""

    def scorer(self) -> Any:
        return _bleu()


@dataclass(frozen=True)
class ChrF(_Corpus):
    """Corpus chrF2 (Popović 2015), as sacrebleu computes it."""

    def scorer(self) -> Any:
        return _chrf()
