"""Supervised fine-tuning on pairs: what every loop over data ends in."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..scoring import Engine
from .policy import Pair, read


@dataclass(frozen=True)
class Steps:
    """``steps`` optimizer steps of ``batch`` texts, AdamW at rate ``lr``, gradients clipped at
    norm ``clip``."""

    steps: int = 100
    batch: int = 16
    lr: float = 1e-3
    clip: float = 1.0


def optimizer(model: Any, how: Steps) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=how.lr, betas=(0.9, 0.95), weight_decay=0.0)


def step(model: Any, made: torch.optim.Optimizer, loss: Tensor, how: Steps) -> None:
    """One step down ``loss``."""
    made.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), how.clip)
    made.step()


def token_loss(engine: Engine, model: Any, pairs: Sequence[Pair]) -> Tensor:
    """Mean cross-entropy per response token."""
    found = read(engine, model, pairs)
    return -found.logprobs.sum() / found.mask.sum()


def draws(count: int, how: Steps, seed: int) -> list[list[int]]:
    """Per step the places of its texts: whole shuffled passes over ``count``."""
    rng, left, out = random.Random(f"steps {seed}"), list[int](), []
    for _ in range(how.steps):
        while len(left) < how.batch:
            left += rng.sample(range(count), count)
        out.append(left[: how.batch])
        left = left[how.batch :]
    return out


def fine_tune(engine: Engine, pairs: Sequence[Pair], how: Steps, seed: int = 0) -> list[float]:
    """Trains the engine's model in place; the loss of every step."""
    model = engine.model
    made, losses = optimizer(model, how), []
    for places in draws(len(pairs), how, seed):
        loss = token_loss(engine, model, [pairs[i] for i in places])
        step(model, made, loss, how)
        losses.append(float(loss.detach()))
    return losses
