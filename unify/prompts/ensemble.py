"""Ensembles of patterns and of label words, and what a single model learns from them
(PET: Schick and Schütze 2021a, 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from formats.errors import ConfigError

WAYS = ("mean", "weighted", "vote")


def accuracy(scores: Tensor, gold: Tensor) -> float:
    """The share of rows ``[n, labels]`` whose best label is gold ``[n]``."""
    return float((scores.argmax(1) == gold).float().mean())


def combined(scores: Sequence[Tensor], way: str, weights: Sequence[float] = ()) -> Tensor:
    """One table from those of several models, ``[n, labels]`` each.

    ``mean``: of the scores. ``weighted``: of the scores, by ``weights`` (each member's accuracy on
    the training rows before training, as the paper; equal where all are zero). ``vote``: the number
    of members that prefer a label; on ties the mean's order decides.
    """
    if way not in WAYS or not scores:
        raise ConfigError("unknown ensemble", got=way, expected=", ".join(WAYS))
    stack = torch.stack([s.float() for s in scores])
    if way == "mean":
        return stack.mean(0)
    if way == "weighted":
        if len(weights) != len(scores):
            raise ConfigError("as many weights as members", got=weights, expected=str(len(scores)))
        by = torch.tensor([float(w) for w in weights])
        by = by / by.sum() if by.sum() > 0 else torch.full_like(by, 1 / len(by))
        return (stack * by[:, None, None].to(stack)).sum(0)
    votes = one_hot(stack.argmax(2), stack.shape[2]).sum(0).float()
    return votes + 0.5 * stack.mean(0).softmax(1)


def soft_labels(scores: Tensor, temperature: float = 2.0) -> Tensor:
    """softmax(scores / temperature): what a student is taught, ``[n, labels]``."""
    return (scores / temperature).softmax(-1)


def distillation_loss(student: Tensor, taught: Tensor) -> Tensor:
    """Cross entropy of the student's scores ``[n, labels]`` against ``taught`` probabilities,
    a mean over rows."""
    return -(taught * student.log_softmax(-1)).sum(-1).mean()
