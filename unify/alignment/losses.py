"""The losses of alignment as plain functions of tensors, each with its formula."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus


def ranking(rewards: Tensor, ranks: Tensor) -> Tensor:
    """Mean of -log sigmoid(r_better - r_worse) over all pairs of a ranking (Ouyang et al. 2022,
    eq. 1). ``rewards [k]``, ``ranks [k]``: smaller is better; equal ranks make no pair. A ranking
    without a pair costs 0."""
    pairs = [
        (i, j) if ranks[i] < ranks[j] else (j, i)
        for i, j in combinations(range(len(ranks)), 2)
        if ranks[i] != ranks[j]
    ]
    if not pairs:
        return rewards.sum() * 0
    better, worse = (rewards[torch.tensor(side)] for side in zip(*pairs, strict=True))
    return -logsigmoid(better - worse).mean()


def binary(scores: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of a discriminator: ``scores [n]`` are log-odds, ``labels [n]`` 0 or 1."""
    return (softplus(scores) - labels * scores).mean()


def dpo(policy: Tensor, reference: Tensor, beta: float) -> Tensor:
    """Mean of -log sigmoid(beta * ((log pi_w - log ref_w) - (log pi_l - log ref_l))) (Rafailov et
    al. 2023, eq. 7). Both ``[pairs, 2]``: log-probability of the chosen and the rejected text."""
    gain = policy - reference
    return -logsigmoid(beta * (gain[:, 0] - gain[:, 1])).mean()


def rewarded(score: Tensor, policy: Tensor, reference: Tensor, mask: Tensor, beta: float) -> Tensor:
    """Reward per token ``[n, t]``: -beta * (log pi - log ref), and the text's ``score [n]`` on its
    last token (Ziegler et al. 2019, eq. 2)."""
    tokens = -beta * (policy - reference) * mask
    last = mask.long().sum(1) - 1
    return tokens.index_put(
        (torch.arange(len(score), device=last.device), last), score, accumulate=True
    )


class Advantages(NamedTuple):
    """``advantages [n, t]`` and ``returns [n, t]``, 0 behind a text's end."""

    advantages: Tensor
    returns: Tensor


def gae(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> Advantages:
    """Generalised advantage estimation (Schulman et al. 2016, eq. 16):
    A_t = sum_l (gamma * lam)^l * delta_{t+l}, delta_t = r_t + gamma * V_{t+1} - V_t; the value
    behind the last token is 0."""
    steps = rewards.shape[1]
    found = torch.zeros_like(rewards)
    after = rewards.new_zeros(len(rewards))
    values = values * mask
    for t in reversed(range(steps)):
        following = values[:, t + 1] if t + 1 < steps else torch.zeros_like(after)
        delta = rewards[:, t] + gamma * following - values[:, t]
        after = (delta + gamma * lam * after) * mask[:, t]
        found[:, t] = after
    return Advantages(found, (found + values) * mask)


def normalised(values: Tensor, mask: Tensor) -> Tensor:
    """Mean 0 and variance 1 over the tokens that ``mask`` counts."""
    count = mask.sum()
    mean = (values * mask).sum() / count
    variance = ((values - mean) ** 2 * mask).sum() / count
    return (values - mean) * (variance + 1e-8).rsqrt() * mask


def clipped_policy(
    new: Tensor, old: Tensor, advantages: Tensor, mask: Tensor, clip: float
) -> Tensor:
    """PPO's -mean min(ratio * A, clip(ratio, 1 - clip, 1 + clip) * A) (Schulman et al. 2017,
    eq. 7), over the tokens of ``mask``."""
    ratio = torch.exp(new - old)
    plain = ratio * advantages
    held = ratio.clamp(1 - clip, 1 + clip) * advantages
    return -(torch.minimum(plain, held) * mask).sum() / mask.sum()


def clipped_value(new: Tensor, old: Tensor, returns: Tensor, mask: Tensor, clip: float) -> Tensor:
    """Half the mean of max((V - R)^2, (V_old + clip(V - V_old) - R)^2)."""
    held = old + (new - old).clamp(-clip, clip)
    worst = torch.maximum((new - returns) ** 2, (held - returns) ** 2)
    return 0.5 * (worst * mask).sum() / mask.sum()


def kl(policy: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """Per text ``[n]``, sampled from the policy: sum of exp(d) - 1 - d with d = log ref - log pi.
    Unbiased for KL(pi || ref), and never negative (Schulman 2020, "Approximating KL divergence",
    k3)."""
    apart = (reference - policy) * mask
    return torch.expm1(apart).sub(apart).sum(1)
