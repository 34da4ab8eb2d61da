"""Label words with learned weights (the trainable verbalizer of KPT: Hu et al. 2022, 3.4).

    s(y | x) = sum over y's words of softmax(w_y)_v * score(v | x)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from ..backbones import Backbone
from .methods import pattern_verbalizers
from .patterns import DEFAULTS
from .pet import PatternVerbalizer, pet_loss, predicted
from .saved import Kept, kept_of
from .shots import Learned, Shots, fit, trainable
from .words import Words, manual


class WordWeights(nn.Module):
    """One weight per label word, softmaxed within its label; equal at the start."""

    def __init__(self, words: Words) -> None:
        super().__init__()
        owner = [k for k, own in enumerate(words.words) for _ in own]
        self.register_buffer("owner", torch.tensor(owner))
        start = [torch.log(torch.tensor(own)) for own in words.weights]
        self.head = nn.Parameter(torch.cat(start))
        self.labels = len(words.words)

    def table(self) -> Tensor:
        """``[words, labels]``, each column summing to one."""
        owner = self.get_buffer("owner")
        own = owner[:, None] == torch.arange(self.labels, device=owner.device)[None]
        spread = self.head[:, None].expand(-1, self.labels).masked_fill(~own, -torch.inf)
        return spread.softmax(0)


class Weighted(PatternVerbalizer):
    """A pattern-verbalizer pair with :class:`WordWeights`; ``prior [words]`` is taken from the
    words' scores (contextual calibration)."""

    def __init__(
        self, pair: PatternVerbalizer, weights: WordWeights, prior: Tensor | None = None
    ) -> None:
        super().__init__(pair.cloze, pair.asked, pair.words)
        self.weights, self.prior = weights, prior

    def kept(self) -> Kept:
        """What another process needs to score with the same weights and prior."""
        learned = self.weights.table().detach().sum(1).tolist()  # each word has one label
        ends = [*accumulate(len(own) for own in self.words.words)]
        weights = tuple(
            tuple(learned[end - len(own) : end])
            for own, end in zip(self.words.words, ends, strict=True)
        )
        prior = () if self.prior is None else tuple(self.prior.tolist())
        return kept_of(self, weights=weights, prior=prior)

    def scores(self, examples: Sequence[Any]) -> Tensor:
        found = self.cloze.scores([self.asked(e) for e in examples], self.ids)
        if self.prior is not None:
            found = found - self.prior.to(found)
        return found @ self.weights.table().to(found)


def learn_weighted(
    shots: Shots, settings: Mapping[str, Any], words: Words, prior: Tensor | None,
    notes: Sequence[str], backbone: Backbone | None = None,
) -> Learned:  # fmt: skip
    """Trains the model and the words' weights together."""
    backbone = backbone or shots.model()
    pattern = (settings.get("patterns") or DEFAULTS)[0]
    pair = pattern_verbalizers(shots, {**settings, "patterns": [pattern]}, backbone, words)[0]
    weights = WordWeights(words)
    scorer = Weighted(pair, weights, prior)
    gold = shots.gold(shots.train)
    module = nn.ModuleDict({"backbone": backbone, "head": weights})
    fit(module, lambda rows: pet_loss(
        scorer.scores([shots.train[k] for k in rows]), gold[rows]
    ), len(shots.train), shots.budget)  # fmt: skip
    return Learned(lambda e: predicted(scorer, e), backbone, trainable(module), list(notes),
                   scorer.kept(), weights)  # fmt: skip


def weighted_words(shots: Shots, settings: Mapping[str, Any]) -> Learned:
    """``verbalizers``: one mapping label -> words, the task's own words without it."""
    given = (settings.get("verbalizers") or [None])[0]
    return learn_weighted(shots, settings, manual(shots.labels, given), None, ())
