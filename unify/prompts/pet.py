"""PET: fine-tuning on label words in a blank (Schick and Schütze 2021a, arXiv 2001.07676, 3.1).

    s(y | x) = mean score of y's words in the blank of P(x)
    L = alpha * cross entropy of s + (1 - alpha) * masked-language-model loss on unlabelled texts

The paper's loss is (1 - a) CE + a MLM with a = 1e-4: here alpha = 1 - 1e-4.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from formats.errors import ConfigError
from formats.examples import Example

from .cloze import Asked, Cloze
from .words import Words, label_scores

ROWS = 64  # rows that are scored together outside of training


def pet_loss(scores: Tensor, gold: Tensor, mlm: Tensor | None = None, alpha: float = 1.0) -> Tensor:
    """``scores [n, labels]``, ``gold [n]``, ``mlm`` a scalar. Returns a scalar."""
    if not 0 <= alpha <= 1:
        raise ConfigError("alpha outside [0, 1]", got=alpha, expected="a number from 0 to 1")
    loss = cross_entropy(scores, gold)
    return loss if mlm is None else alpha * loss + (1 - alpha) * mlm


class PatternVerbalizer:
    """A pattern-verbalizer pair: how to ask, and which words answer."""

    def __init__(self, cloze: Cloze, asked: Asked, words: Words) -> None:
        self.cloze, self.asked, self.words = cloze, asked, words
        self.ids, self.table = words.ids(cloze.coder), words.table()

    def scores(self, examples: Sequence[Example]) -> Tensor:
        """``[examples, labels]``."""
        found = self.cloze.scores([self.asked(e) for e in examples], self.ids)
        return label_scores(found, self.table)


def predicted(scorer: PatternVerbalizer, examples: Sequence[Example]) -> Tensor:
    """:meth:`PatternVerbalizer.scores` without gradients, a part of the rows at a time."""
    backbone = scorer.cloze.backbone
    training = backbone.training
    backbone.eval()
    with torch.inference_mode():
        parts = [scorer.scores(examples[k : k + ROWS]) for k in range(0, len(examples), ROWS)]
    backbone.train(training)
    return torch.cat(parts).clone()
