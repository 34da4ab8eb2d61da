"""Small requests that take every fast path, and how far two ways of scoring may differ."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from formats.layout import Layout

from ._slots import Slots
from .requests import Coded, Ids

_LONGEST = 300  # tokens that a probe may spend to reach beyond an attention window


def tolerance(model: Any) -> float:
    """Nats per token: rounding of the model's own type, not of another computation."""
    return 1e-4 if model.dtype in (torch.float32, torch.float64) else 0.1


def probes(layout: Layout, config: Any, seed: int = 0) -> list[Coded]:
    """Requests of drawn tokens: a shared prefix, rows of several lengths, options that begin
    alike, and one row that shares nothing."""
    draw = random.Random(seed)
    words = int(config.vocab_size)

    def some(n: int) -> Ids:
        return tuple(draw.randrange(words) for _ in range(n))

    room = layout.window - 16
    window = getattr(config, "sliding_window", None) or 0
    reach = window + 8 if 0 < window <= _LONGEST else 40
    prefix = some(max(4, min(reach, room)))
    coded = []
    for k, length in enumerate((3, 6, 4, 5, 7)):
        row = some(length) if k == 4 else prefix[: len(prefix) if k < 3 else 4] + some(length)
        alike = some(2)
        for option in (some(1), alike + some(2), alike + some(1)):
            if layout.kind == "causal":
                coded.append(Coded((*row, *option), len(row)))
            elif layout.kind == "seq2seq":
                start = layout.pad
                coded.append(Coded((start, *option), 1, source=row))
            else:
                coded.append(Coded(option, 0, source=row, after=layout.single_after))
    return coded


def worst(slots: Slots, plain: Sequence[Tensor]) -> float:
    """The largest difference of a token's log-probability; NaN counts as one."""
    found = np.abs(slots.logprob - torch.cat([p.float().cpu() for p in plain]).numpy())
    return float(found.max()) if not np.isnan(found).any() else float("inf")
