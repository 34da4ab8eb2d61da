"""A model that scores texts: the trunk of a language model and one number per text."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from formats.errors import ConfigError

from ..scoring import Engine
from . import losses
from .policy import Pair, read
from .sft import Steps, draws, optimizer, step


class RewardModel(nn.Module):
    """A copy of the engine's model whose state at a response's last token gives its score.

    ``center`` and ``scale`` make scores mean 0 and deviation 1 over the texts it was trained on."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine = engine
        self.model = copy.deepcopy(engine.model)
        width = engine.model.config.get_text_config().hidden_size
        self.head = nn.Linear(width, 1, device=engine.model.device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.center, self.scale = 0.0, 1.0

    def forward(self, pairs: Sequence[Pair]) -> Tensor:
        """``[n]``, as the losses want them: neither centred nor scaled."""
        found = read(self.engine, self.model, pairs)
        last = found.mask.long().sum(1) - 1
        state = found.hidden[torch.arange(len(pairs), device=last.device), last]
        scores: Tensor = self.head(state)[:, 0]
        return scores

    @torch.no_grad()
    def score(self, pairs: Sequence[Pair], batch: int = 64) -> Tensor:
        """Centred, scaled scores ``[n]``."""
        parts = [self(pairs[i : i + batch]) for i in range(0, len(pairs), batch)]
        return (torch.cat(parts) - self.center) / self.scale


@dataclass(frozen=True)
class Ranking:
    """Responses to one prompt, and the rank of each: smaller is better."""

    pairs: tuple[Pair, ...]
    ranks: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.pairs) != len(self.ranks):
            raise ConfigError(
                "a rank for each response", got=self.ranks, expected="as many ranks as responses"
            )


def ranks_of(scores: Sequence[float]) -> tuple[int, ...]:
    """Highest score, rank 0; equal scores, equal ranks."""
    order = sorted(set(scores), reverse=True)
    return tuple(order.index(s) for s in scores)


def train_ranking(
    model: RewardModel, rankings: Sequence[Ranking], how: Steps, seed: int = 0
) -> list[float]:
    """Pairwise log-sigmoid over all pairs of a ranking, all pairs of a ranking in one step."""
    useful = [r for r in rankings if len(set(r.ranks)) > 1]
    if not useful:
        raise ConfigError(
            "rankings without a better and a worse text",
            got=len(rankings),
            expected="at least two different ranks",
        )
    made, found = optimizer(model, how), []
    for places in draws(len(useful), how, seed):
        chosen = [useful[i] for i in places]
        scores = model([p for r in chosen for p in r.pairs])
        parts = scores.split([len(r.pairs) for r in chosen])
        each = [
            losses.ranking(s, torch.tensor(r.ranks)) for s, r in zip(parts, chosen, strict=True)
        ]
        loss = torch.stack(each).mean()
        step(model, made, loss, how)
        found.append(float(loss.detach()))
    _center(model, [p for r in useful for p in r.pairs])
    return found


def train_discriminator(
    model: RewardModel, pairs: Sequence[Pair], labels: Sequence[float], how: Steps, seed: int = 0
) -> list[float]:
    """Yes or no per text (LaMDA's quality and safety: Thoppilan et al. 2022, section 6); scores
    are log-odds."""
    made, found = optimizer(model, how), []
    for places in draws(len(pairs), how, seed):
        scores = model([pairs[i] for i in places])
        wanted = torch.tensor([float(labels[i]) for i in places], device=scores.device)
        loss = losses.binary(scores, wanted)
        step(model, made, loss, how)
        found.append(float(loss.detach()))
    return found


def agreement(model: RewardModel, rankings: Sequence[Ranking]) -> float:
    """The share of pairs that the model orders as their ranking does."""
    right = count = 0
    for r in rankings:
        scores = model.score(r.pairs).tolist()
        for i, j in combinations(range(len(scores)), 2):
            if r.ranks[i] != r.ranks[j]:
                count += 1
                right += (scores[i] > scores[j]) == (r.ranks[i] < r.ranks[j])
    return right / count if count else float("nan")


def _center(model: RewardModel, pairs: Sequence[Pair]) -> None:
    scores = model.score(pairs)
    model.center, model.scale = float(scores.mean()), float(scores.std().clamp(min=1e-6))


def frozen(model: Any) -> Any:
    """A copy that does not learn: the reference of a policy."""
    made = copy.deepcopy(model).eval()
    return made.requires_grad_(False)
