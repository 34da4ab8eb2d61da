"""LM-BFF: prompt-based fine-tuning with demonstrations and label words that are found
(Gao et al. 2021, arXiv 2012.15723)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from formats.examples import Example

from ..demonstrations.vectors import bag_of_words
from .cloze import Asked, Asking, Cloze, Sides
from .ensemble import accuracy
from .found_words import allowed, search
from .methods import of_pair, pattern_verbalizers, trained_pair
from .patterns import DEFAULTS, Pattern
from .pet import PatternVerbalizer, pet_loss, predicted
from .shots import Learned, Shots, fit, text_of, trainable
from .shown import behind, filled, one_per_class
from .words import Words, label_scores, manual

__all__ = ["Demonstrated", "found_words", "lm_bff"]


class Demonstrated(PatternVerbalizer):
    """A pattern-verbalizer pair whose queries are followed by one training row per class."""

    def __init__(
        self, cloze: Cloze, asked: Asked, words: Words, rows: Sequence[Example],
        gold: Sequence[int], share: float, seed: int,
    ) -> None:  # fmt: skip
        super().__init__(cloze, asked, words)
        self.rows, self.gold, self.share = list(rows), list(gold), share
        self.draw = np.random.default_rng(seed)
        self.number = {e.id: k for k, e in enumerate(rows)}
        self.shown = [
            filled(asked, e, words.words[y][0]) for e, y in zip(rows, gold, strict=True)
        ]
        self.texts = [text_of(e) for e in rows]

    def similar(self, examples: Sequence[Example]) -> np.ndarray:
        """Cosines of the examples with the training rows: ``[examples, rows]``."""
        pool, asked = bag_of_words(self.texts, [text_of(e) for e in examples])
        found = asked @ pool.T
        return np.asarray(found.todense() if hasattr(found, "todense") else found)

    def sides(self, examples: Sequence[Example]) -> list[Sides]:
        """The queries, each behind its own draw."""
        near = self.similar(examples)
        made = []
        for k, example in enumerate(examples):
            chosen = one_per_class(self.gold, len(self.words.words), near[k], self.share,
                                   self.draw, self.number.get(example.id))  # fmt: skip
            made.append(behind(self.asked(example), [self.shown[c] for c in chosen]))
        return made

    def scores(self, examples: Sequence[Example]) -> Tensor:
        return label_scores(self.cloze.scores(self.sides(examples), self.ids), self.table)


def found_words(shots: Shots, settings: Mapping[str, Any], pattern: Pattern) -> Words:
    """One word of the vocabulary per label, by the untrained model."""
    cloze = Cloze(shots.start, "log_prob")
    asked = Asking(pattern, shots.instruction)
    tokenizer = shots.start.coder.tokenizer
    gold = shots.gold(shots.train)

    def table(rows: Sequence[Example]) -> Tensor:
        with torch.inference_mode():
            parts = [cloze.logits([asked(e) for e in rows[k : k + 16]])[:, 0].log_softmax(-1).cpu()
                     for k in range(0, len(rows), 16)]  # fmt: skip
        return torch.cat(parts).clone()

    train, dev = table(shots.train), table(shots.dev)
    dev_gold = shots.gold(shots.dev)
    chosen = search(
        train + allowed(tokenizer, train.shape[1]), gold, len(shots.labels.names),
        top=int(settings.get("top", 20)), keep=int(settings.get("keep", 50)),
        dev=lambda c: accuracy(dev[:, list(c)], dev_gold),
    )  # fmt: skip
    return Words(tuple((tokenizer.decode([t]).strip(),) for t in chosen))


def lm_bff(shots: Shots, settings: Mapping[str, Any]) -> Learned:
    """``words: found`` searches label words; ``demonstrations`` puts training rows behind each
    query, drawn anew in training and ``draws`` times in prediction, whose scores are averaged."""
    pattern = Pattern((settings.get("patterns") or DEFAULTS)[0])
    one = {**settings, "patterns": [pattern.source]}
    found = settings.get("words") == "found"
    words = found_words(shots, settings, pattern) if found else manual(shots.labels)
    notes = [f"label words: {', '.join(w[0] for w in words.words)}"]
    gold = shots.gold(shots.train)
    if not settings.get("demonstrations", True):
        scorer = trained_pair(shots, one, 0, shots.train, gold, words)
        return of_pair(scorer, notes)
    backbone = shots.model()
    base = pattern_verbalizers(shots, one, backbone, words)[0]
    shown = Demonstrated(base.cloze, base.asked, words, shots.train, gold.tolist(),
                         float(settings.get("nearest", 0.5)), shots.budget.seed)  # fmt: skip
    fit(backbone, lambda rows: pet_loss(
        shown.scores([shots.train[k] for k in rows]), gold[rows]
    ), len(shots.train), shots.budget)  # fmt: skip
    draws = int(settings.get("draws", 16))

    def scores(examples: Sequence[Example]) -> Tensor:
        return torch.stack([predicted(shown, examples) for _ in range(draws)]).mean(0)

    return Learned(scores, backbone, trainable(backbone), notes,
                   "training rows are drawn anew behind each query")  # fmt: skip
