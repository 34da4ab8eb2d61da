"""DPO (Rafailov et al. 2023): preferences without a reward model and without sampling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from ..scoring import Engine
from . import losses
from .policy import Pair, read
from .reward import Ranking, frozen
from .saved import Saved
from .sft import Steps, draws, optimizer, step


@dataclass(frozen=True)
class Step:
    """One step: its loss, and the mean margin beta * (gain of chosen - gain of rejected)."""

    number: int
    loss: float
    margin: float


def pairs_of(rankings: Sequence[Ranking]) -> list[tuple[Pair, Pair]]:
    """The best and the worst text of each ranking that has two ranks."""
    out = []
    for r in rankings:
        best, worst = r.ranks.index(min(r.ranks)), r.ranks.index(max(r.ranks))
        if r.ranks[best] != r.ranks[worst]:
            out.append((r.pairs[best], r.pairs[worst]))
    return out


def dpo(
    engine: Engine, pairs: Sequence[tuple[Pair, Pair]], beta: float, how: Steps, seed: int = 0,
    saved: Saved | None = None,
) -> Iterator[Step]:
    """Trains the engine's model in place on (chosen, rejected) pairs. With ``saved``, steps of an
    earlier call are told again, and training goes on behind them."""
    model, reference = engine.model, frozen(engine.model)
    made = optimizer(model, how)
    all_told = saved.begin(Step, model, made) if saved else []
    yield from all_told
    begun = len(all_told)
    for number, places in enumerate(draws(len(pairs), how, seed)[begun:], begun):
        flat = [text for i in places for text in pairs[i]]
        with torch.no_grad():
            held = read(engine, reference, flat).logprobs.sum(1).view(-1, 2)
        told = read(engine, model, flat).logprobs.sum(1).view(-1, 2)
        loss = losses.dpo(told, held, beta)
        step(model, made, loss, how)
        gain = (told - held).detach()
        margin = beta * float((gain[:, 0] - gain[:, 1]).mean())
        all_told.append(Step(number, float(loss.detach()), margin))
        if saved:
            saved.keep(all_told, model, made)
        yield all_told[-1]
