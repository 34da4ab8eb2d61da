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


def label_loss(odds: Tensor, gold: Tensor, row_of: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy over the hypotheses of each row that has exactly one true one.

    odds, gold ``[n]``, row_of ``[n]`` (ascending, the items of a row together). Returns the loss of
    each item's row ``[n]``, zero where the row is none of those, and which items are of such rows
    ``[n]``: their sum counts a row once per hypothesis, as the yes loss does.
    """
    if not len(odds):
        return odds, torch.zeros_like(odds, dtype=torch.bool)
    _, row, counts = torch.unique_consecutive(row_of, return_inverse=True, return_counts=True)
    place = torch.arange(len(row), device=row.device) - (torch.cumsum(counts, 0) - counts)[row]
    shape = (len(counts), int(counts.max()))
    table = odds.new_full(shape, torch.finfo(odds.dtype).min)
    table[row, place] = odds
    right = torch.zeros(shape, dtype=odds.dtype, device=odds.device)
    right[row, place] = gold.to(odds.dtype)
    hard = torch.isin(right, right.new_tensor([0.0, 1.0])).all(1)
    single = hard & (right.sum(1) == 1) & (counts > 1)
    loss = -torch.where(right > 0, table.log_softmax(1), 0.0).sum(1)
    return torch.where(single, loss, 0.0)[row], single[row]
