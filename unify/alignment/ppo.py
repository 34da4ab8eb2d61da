"""PPO on texts (Ziegler et al. 2019; Ouyang et al. 2022): a policy that a reward pulls and its
own beginning holds back."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..scoring import Engine, Writing, write_samples
from . import losses
from .policy import Pair, Read, read
from .reward import frozen
from .saved import Saved
from .sft import Steps, optimizer, step, token_loss

Reward = Callable[[Sequence[int], Sequence[Pair], Sequence[str]], Tensor]
"""Prompt numbers, pairs and written texts to a score per text ``[n]``."""


@dataclass(frozen=True)
class PPO:
    """``iterations`` of ``rollouts`` texts each, gone over ``epochs`` times in ``batch`` texts.

    ``beta`` weighs the KL penalty to the policy's beginning (0: none), ``ptx`` the loss on
    pre-training pairs that is mixed in (PPO-ptx), ``value`` the value head's loss."""

    iterations: int = 40
    rollouts: int = 32
    epochs: int = 2
    batch: int = 16
    lr: float = 3e-4
    beta: float = 0.1
    ptx: float = 0.0
    value: float = 0.5
    clip: float = 0.2
    gamma: float = 1.0
    lam: float = 0.95
    norm: float = 1.0
    writing: Writing = field(default_factory=lambda: Writing(tokens=24, temperature=1.0))


@dataclass
class Trained:
    """What an iteration knew: the mean reward of its texts, their KL to the beginning (nats per
    text), their mean length, and the texts themselves."""

    iteration: int
    reward: float
    kl: float
    length: float
    texts: list[tuple[int, str]]


@dataclass
class Rollout:
    """Texts of one iteration and all that their loss needs, ``[n, t]``."""

    pairs: list[Pair]
    texts: list[tuple[int, str]]
    old: Read
    values: Tensor
    advantages: Tensor
    returns: Tensor
    score: Tensor
    kl: Tensor


def ppo(
    engine: Engine,
    prompts: Sequence[tuple[str, Pair]],
    reward: Reward,
    how: PPO,
    seed: int = 0,
    pretraining: Sequence[Pair] = (),
    saved: Saved | None = None,
) -> Iterator[Trained]:
    """Trains the engine's model in place, one iteration at a time. ``prompts`` are sources with
    their tokens (:func:`~unify.alignment.policy.pair`). With ``saved``, iterations of an earlier
    call are told again, and training goes on behind them."""
    model, reference = engine.model, frozen(engine.model)
    head = nn.Linear(model.config.get_text_config().hidden_size, 1, device=model.device)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    both = nn.ModuleList([model, head])
    steps = Steps(lr=how.lr, clip=how.norm)
    made = optimizer(both, steps)
    rng = random.Random(f"ppo {seed}")
    told = saved.begin(Trained, both, made, rng) if saved else []
    yield from told
    for iteration in range(len(told), how.iterations):
        places = [rng.randrange(len(prompts)) for _ in range(how.rollouts)]
        numbers = [iteration * how.rollouts + k for k in range(how.rollouts)]
        rolled = _roll(engine, reference, head, prompts, places, numbers, reward, how, seed)
        for _ in range(how.epochs):
            order = rng.sample(range(how.rollouts), how.rollouts)
            for at in range(0, how.rollouts, how.batch):
                loss = _loss(engine, model, head, rolled, order[at : at + how.batch], how)
                if how.ptx and pretraining:
                    mixed = [rng.choice(pretraining) for _ in range(how.batch)]
                    loss = loss + how.ptx * token_loss(engine, model, mixed)
                step(both, made, loss, steps)
        lengths = rolled.old.mask.sum(1).mean()
        told.append(
            Trained(
                iteration,
                float(rolled.score.mean()),
                float(rolled.kl.mean()),
                float(lengths),
                rolled.texts,
            )
        )
        if saved:
            saved.keep(told, both, made, rng)
        yield told[-1]


@torch.no_grad()
def _roll(
    engine: Engine,
    reference: Any,
    head: nn.Linear,
    prompts: Sequence[tuple[str, Pair]],
    places: Sequence[int],
    numbers: Sequence[int],
    reward: Reward,
    how: PPO,
    seed: int,
) -> Rollout:
    """Texts written by the policy as it is, scored, with their advantages."""
    import dataclasses

    writing = dataclasses.replace(how.writing, seed=seed)
    written = write_samples(engine, [prompts[i][0] for i in places], writing, 1, numbers)
    pairs = [Pair(prompts[i][1].prompt, w[0].ids) for i, w in zip(places, written, strict=True)]
    old, held = read(engine, engine.model, pairs), read(engine, reference, pairs)
    score = reward(places, pairs, [w[0].text for w in written]).to(old.hidden.device)
    values = head(old.hidden)[..., 0] * old.mask
    rewards = losses.rewarded(score, old.logprobs, held.logprobs, old.mask, how.beta)
    found = losses.gae(rewards, values, old.mask, how.gamma, how.lam)
    return Rollout(
        pairs,
        [(i, w[0].text) for i, w in zip(places, written, strict=True)],
        old,
        values,
        losses.normalised(found.advantages, old.mask),
        found.returns,
        score,
        losses.kl(old.logprobs, held.logprobs, old.mask),
    )


def _loss(
    engine: Engine, model: Any, head: nn.Linear, rolled: Rollout, rows: Sequence[int], how: PPO
) -> Tensor:
    """The clipped objective and the value head's loss on some rows of a rollout."""
    at = list(rows)
    new = read(engine, model, [rolled.pairs[i] for i in at])
    width = new.mask.shape[1]  # these rows may all be shorter than the longest
    old, values = rolled.old.logprobs[at, :width], rolled.values[at, :width]
    advantages, returns = rolled.advantages[at, :width], rolled.returns[at, :width]
    value = head(new.hidden)[..., 0]
    loss = losses.clipped_policy(new.logprobs, old, advantages, new.mask, how.clip)
    return loss + how.value * losses.clipped_value(value, values, returns, new.mask, how.clip)
