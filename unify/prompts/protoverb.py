"""ProtoVerb: a prototype per class instead of words (Cui et al. 2022, arXiv 2203.09770).

    v = W h_mask (64-d), s = cosine; InfoNCE between instances of a class, and with prototypes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from formats.examples import Example

from .methods import trained_pair
from .patterns import DEFAULTS
from .pet import PatternVerbalizer, predicted
from .shots import Learned, Shots, fit, trainable


def instance_loss(vectors: Tensor, gold: Tensor) -> Tensor:
    """Mean over pairs (i, j) of one class of -log e^s_ij / (e^s_ij + sum of e^s_ik over the k of
    other classes). ``vectors [n, size]`` are normalised here; pairs i = j count, as in the paper.
    """
    unit = normalize(vectors, dim=-1)
    similar = unit @ unit.T
    same = gold[:, None] == gold[None]
    others = similar.masked_fill(same, -torch.inf).logsumexp(1, keepdim=True)
    losses = torch.logaddexp(similar, others.expand_as(similar)) - similar
    return losses[same].mean()


def prototype_loss(vectors: Tensor, gold: Tensor, prototypes: Tensor) -> Tensor:
    """Mean over instances of -log softmax over classes of s(v, c), at the own class."""
    similar = normalize(vectors, dim=-1) @ normalize(prototypes, dim=-1).T
    return nn.functional.cross_entropy(similar, gold)


class Prototypes(nn.Module):
    """W and one prototype per class."""

    def __init__(self, width: int, classes: int, size: int = 64) -> None:
        super().__init__()
        self.head = nn.Linear(width, size, bias=False)
        self.centres = nn.Parameter(torch.randn(classes, size))

    def loss(self, hidden: Tensor, gold: Tensor) -> Tensor:
        """hidden ``[n, width]``: the state in the blank."""
        vectors = self.head(hidden)
        return instance_loss(vectors, gold) + prototype_loss(vectors, gold, self.centres)

    def scores(self, hidden: Tensor) -> Tensor:
        """Cosines with the prototypes: ``[n, classes]``."""
        return normalize(self.head(hidden), dim=-1) @ normalize(self.centres, dim=-1).T


def standardised(scores: Tensor) -> Tensor:
    """Each row with mean 0 and standard deviation 1, so that verbalizers can be averaged."""
    spread = scores.std(1, keepdim=True, unbiased=False).clamp(min=1e-9)
    return (scores - scores.mean(1, keepdim=True)) / spread


def states(scorer: PatternVerbalizer, examples: Sequence[Example]) -> Tensor:
    """The hidden states in the blank, without gradients: ``[n, width]``."""
    scorer.cloze.backbone.eval()
    with torch.inference_mode():
        parts = [scorer.cloze.hidden([scorer.asked(e) for e in examples[k : k + 64]])
                 for k in range(0, len(examples), 64)]  # fmt: skip
    return torch.cat(parts).clone()


def protoverb(shots: Shots, settings: Mapping[str, Any]) -> Learned:
    """The model is trained with the task's own words; then prototypes are learned on its states.
    ``with_words`` averages both verbalizers, standardised; without it the prototypes alone answer.
    """
    pattern = (settings.get("patterns") or DEFAULTS)[0]
    gold = shots.gold(shots.train)
    scorer = trained_pair(shots, {**settings, "patterns": [pattern]}, 0, shots.train, gold)
    hidden = states(scorer, shots.train)
    torch.manual_seed(shots.budget.seed)
    made = Prototypes(hidden.shape[1], len(shots.labels.names), int(settings.get("size", 64)))
    # All of it is a head: the encoder's rate would leave the prototypes where they were drawn.
    fit(nn.ModuleDict({"head": made}), lambda rows: made.loss(hidden[rows], gold[rows]),
        len(hidden), shots.budget, int(settings.get("steps", 200)))  # fmt: skip
    both = bool(settings.get("with_words", True))

    def scores(examples: Sequence[Example]) -> Tensor:
        with torch.inference_mode():
            found = made.scores(states(scorer, examples)).clone()
        if not both:
            return found
        return (standardised(found) + standardised(predicted(scorer, examples))) / 2

    backbone = scorer.cloze.backbone
    return Learned(scores, backbone, trainable(backbone, made), [],
                   "prototypes answer beside the label words", made)  # fmt: skip
