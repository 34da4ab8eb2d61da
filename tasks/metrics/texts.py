"""Free text: ROUGE-L, BLEU, chrF and exact match."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from formats.examples import Answer, Example

from ._base import Mean, Summed
from ._record import Record
from .chinese import Words


def _references(example: Example) -> tuple[str, ...]:
    return example.gold or ()  # type: ignore[return-value]


@functools.cache
def _rouge(chinese: bool) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    if chinese:
        return RougeScorer(["rougeL"], tokenizer=Words())
    return RougeScorer(["rougeL"], use_stemmer=True)


@dataclass(frozen=True)
class RougeL(Mean):
    """ROUGE-L F measure (Lin 2004) of the best reference, by rouge-score.

    English words are stemmed; in Chinese each ideograph is a word.
    """

    chinese: bool = False

    def score(self, example: Example, answer: Answer) -> float:
        if not isinstance(answer, str) or not answer.strip():
            return 0.0
        return max(
            float(_rouge(self.chinese).score(reference, answer)["rougeL"].fmeasure)
            for reference in _references(example)
        )

    def signature(self, records: Sequence[Record]) -> str:
        return "rouge-score|rougeL|fmeasure|" + ("tok:ideographs" if self.chinese else "stem:yes")


@dataclass(frozen=True)
class ExactMatch(Mean):
    """The share of texts that equal a reference, but for white space at the ends."""

    def score(self, example: Example, answer: Answer) -> float:
        return float(
            isinstance(answer, str)
            and answer.strip() in {reference.strip() for reference in _references(example)}
        )


@dataclass(frozen=True)
class _Corpus(Summed):
    """A sacrebleu metric of the whole corpus, from its own statistics per row, which add up."""

    def scorer(self) -> Any:
        raise NotImplementedError

    def rows(self, records: Sequence[Record]) -> np.ndarray:
        texts = [r.answer if isinstance(r.answer, str) else "" for r in records]
        references = [_references(r.example) for r in records]
        # sacrebleu wants one stream per reference number; None stands where a row has fewer.
        most = max(len(r) for r in references)
        streams = [[r[i] if i < len(r) else None for r in references] for i in range(most)]
        return np.array(self.scorer()._extract_corpus_statistics(texts, streams), dtype=float)

    def of(self, sums: np.ndarray) -> np.ndarray:
        scorer = self.scorer()
        flat = np.rint(sums).astype(int).reshape(-1, sums.shape[-1])
        found = [scorer._compute_score_from_stats(one.tolist()).score / 100 for one in flat]
        return np.array(found).reshape(sums.shape[:-1])

    def signature(self, records: Sequence[Record]) -> str:
        """sacrebleu's own, with the number of references."""
        counts = {len(_references(r.example)) for r in records}
        scorer = self.scorer()
        scorer.num_refs = counts.pop() if len(counts) == 1 else -1
        return str(scorer.get_signature())


@dataclass(frozen=True)
class Bleu(_Corpus):
    """Corpus BLEU-4 (Papineni et al. 2002), sacrebleu's tokens and smoothing (Post 2018)."""

    tokenize: str = "13a"

    def scorer(self) -> Any:
        from sacrebleu.metrics.bleu import BLEU

        return BLEU(tokenize=self.tokenize)


@dataclass(frozen=True)
class ChrF(_Corpus):
    """Corpus chrF2 (Popović 2015), as sacrebleu computes it."""

    def scorer(self) -> Any:
        from sacrebleu.metrics.chrf import CHRF

        return CHRF()
