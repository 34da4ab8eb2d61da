"""Losses that several heads share."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, pad


def multilabel_loss(scores: Tensor, gold: Tensor, mask: Tensor | None = None) -> Tensor:
    """log(1 + sum over wrong e^s) + log(1 + sum over right e^-s), per row of the last dimension.

    Zero is the threshold between right and wrong (ZLPR: Su et al. 2022, arXiv 2208.02955; used by
    GlobalPointer). scores, gold, mask: ``[..., classes]``; returns ``[...]``. Masked classes count
    on neither side.
    """
    gold = gold.bool()
    infinite = torch.finfo(scores.dtype).min
    wrong = scores.masked_fill(gold, infinite)
    right = (-scores).masked_fill(~gold, infinite)
    if mask is not None:
        wrong = wrong.masked_fill(~mask.bool(), infinite)
        right = right.masked_fill(~mask.bool(), infinite)
    return torch.logsumexp(pad(wrong, (0, 1)), -1) + torch.logsumexp(pad(right, (0, 1)), -1)


def yes_loss(odds: Tensor, gold: Tensor) -> Tensor:
    """Binary cross-entropy of log-odds ``[n]`` against probabilities ``[n]``, per item."""
    return binary_cross_entropy_with_logits(odds, gold, reduction="none")
