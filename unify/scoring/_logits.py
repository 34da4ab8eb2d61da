"""Logits only where a token is scored, and the log-probabilities that they give."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

# Logits that are turned into log-probabilities at once, on the host and on an accelerator.
CELLS, WIDE = 1 << 22, 1 << 27


class Picked(NamedTuple):
    """Per scored token: its log-probability, and whether it was the most probable one."""

    logprob: Tensor  # [targets], float32
    first: Tensor  # [targets], bool


@contextmanager
def only_at(model: Any, places: Tensor) -> Iterator[None]:
    """Within, the model's output layer sees hidden states ``[1, places, width]`` instead of
    ``[batch, length, width]``; ``places`` count through batch and length."""
    head = model.get_output_embeddings()
    if head is None:
        yield
        return

    def pick(_: Any, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (hidden, *rest) = args
        return hidden.reshape(-1, hidden.shape[-1]).index_select(0, places)[None], *rest

    handle = head.register_forward_pre_hook(pick)
    try:
        yield
    finally:
        handle.remove()


def logits_at(model: Any, places: Tensor, **inputs: Any) -> Tensor:
    """The model's logits ``[places, words]``; ``places`` count through batch and length.

    A model whose output layer is not a module of its own computes all of them, and we pick."""
    with only_at(model, places):
        logits = model(**inputs).logits
    flat = logits.reshape(-1, logits.shape[-1])
    if logits.shape[0] == 1 and logits.shape[1] == len(places):
        return flat
    return flat.index_select(0, places)


def pick(logits: Tensor, rows: Tensor, targets: Tensor) -> Picked:
    """Log-probabilities of ``targets`` in the distributions ``logits[rows]``.

    ``logits [n, words]`` is overwritten; sums are taken in float32."""
    chosen = logits[rows, targets].float()
    top = logits.new_empty(len(logits), dtype=torch.float32)
    total = torch.empty_like(top)
    step = max(1, (CELLS if logits.device.type == "cpu" else WIDE) // logits.shape[1])
    for at in range(0, len(logits), step):
        part = logits[at : at + step]
        part = part if part.dtype == torch.float32 else part.float()
        most = part.amax(1)
        top[at : at + step] = most
        total[at : at + step] = part.sub_(most[:, None]).exp_().sum(1).log_()
    return Picked(chosen - top[rows] - total[rows], chosen >= top[rows])
