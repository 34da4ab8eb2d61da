"""Learning an initialisation from which a few gradient steps on k examples suffice.

| variant | inner steps on the support rows     | outer gradient                              |
|---------|-------------------------------------|---------------------------------------------|
| maml    | all weights                         | of the query loss, through the inner steps  |
| fomaml  | all weights                         | of the query loss at the adapted weights    |
| anil    | the weights that ``inner`` names    | through the inner steps                     |
| reptile | all weights                         | initial minus adapted weights               |

Finn et al. 2017 (arXiv 1703.03400), Raghu et al. 2020 (arXiv 1909.09157), Nichol et al. 2018 (arXiv
1803.02999).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from formats.base import Format
from formats.collate import Batch
from formats.errors import ConfigError
from tasks.task import Task

from ..backbones import Backbone
from ..data.prepare import TaskFeatures
from .multitask import Multitask
from .optim import Optimization

VARIANTS = ("maml", "fomaml", "anil", "reptile")
Weights = dict[str, Tensor]


def adapt(
    loss: Callable[[Weights], Tensor],
    weights: Weights,
    steps: int,
    lr: float,
    *,
    inner: Sequence[str] | None = None,
    through: bool = True,
) -> Weights:
    """``weights`` after ``steps`` gradient steps of rate ``lr`` on ``loss``.

    ``inner`` names those that move (None: all). ``through`` keeps the graph, so that the result
    can be differentiated with respect to ``weights`` to second order; without it the gradients of
    the inner steps are constants.
    """
    moving = list(weights) if inner is None else list(inner)
    for _ in range(steps):
        grads = torch.autograd.grad(
            loss(weights), [weights[n] for n in moving], create_graph=through, allow_unused=True
        )
        moved = {
            name: weights[name] - lr * grad
            for name, grad in zip(moving, grads, strict=True)
            if grad is not None
        }
        weights = {**weights, **moved}
    return weights


@dataclass
class TaskStep:
    """The tasks of one micro-batch, each as its support rows and its query rows."""

    pairs: list[tuple[Batch, Batch]]
    step_tasks: int = 1  # in the whole optimizer step
    step_parts: int = 1

    @property
    def tokens(self) -> int:
        return sum(s.tokens + q.tokens for s, q in self.pairs)

    def to(self, device: Any) -> TaskStep:
        pairs = [(s.to(device), q.to(device)) for s, q in self.pairs]
        return TaskStep(pairs, self.step_tasks, self.step_parts)


class _Loss(nn.Module):
    """A backbone's mean loss as ``forward``, which a functional call needs."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, batch: Batch) -> Tensor:
        return self.backbone.loss(batch) / max(batch.weight, 1.0)


class MAML(Multitask):
    """Meta-learning by gradient steps on ``shots`` support rows, judged on ``queries`` others.

    ``inner`` are globs of the weights that inner steps move (anil; default: the head, else the
    last layer's). ``data.batch_size`` counts tasks per optimizer step.
    """

    shardable: ClassVar[bool] = False

    def __init__(
        self,
        backbone: Backbone,
        optimization: Optimization | None = None,
        *,
        variant: Literal["maml", "fomaml", "anil", "reptile"] = "maml",
        shots: int = 8,
        queries: int = 8,
        inner_steps: int = 3,
        inner_lr: float = 0.05,
        inner: Sequence[str] = (),
    ) -> None:
        super().__init__(backbone, optimization)
        if variant not in VARIANTS:
            raise ConfigError("unknown variant", got=variant, expected=", ".join(VARIANTS))
        if min(shots, queries, inner_steps) < 1 or inner_lr <= 0:
            raise ConfigError(
                "an inner loop that does nothing",
                got={"shots": shots, "queries": queries, "steps": inner_steps, "lr": inner_lr},
                expected="at least one row and one step, and a positive rate",
            )
        self.variant, self.shots, self.queries = variant, shots, queries
        self.inner_steps, self.inner_lr = inner_steps, inner_lr
        self.mean_loss = _Loss(backbone)
        self.inner = self._named(inner)
        if variant in ("maml", "anil"):
            # Fused attention has no second derivative.
            backbone.model.set_attn_implementation("eager")

    def _named(self, globs: Sequence[str]) -> list[str] | None:
        names = [n for n, p in self.mean_loss.named_parameters() if p.requires_grad]
        if self.variant != "anil":
            return None
        if globs:
            found = [n for n in names if any(fnmatchcase(n, g) for g in globs)]
        else:
            heads = [n for n in names if n.startswith("backbone.head") or "lm_head" in n]
            layers = sorted({_layer(n) for n in names} - {-1})
            found = heads or [n for n in names if layers and _layer(n) == layers[-1]]
        if not found:
            raise ConfigError("no weight for inner steps", got=list(globs), expected=names[-1])
        return found

    def outer(self, support: Batch, query: Batch) -> Tensor:
        """A scalar whose gradient is the task's outer gradient; for all variants but reptile it is
        the query loss after the inner steps."""
        given: Weights = {n: p for n, p in self.mean_loss.named_parameters() if p.requires_grad}

        def loss(weights: Weights, batch: Batch) -> Tensor:
            found: Tensor = torch.func.functional_call(self.mean_loss, weights, (batch,))
            return found

        through = self.variant in ("maml", "anil")
        adapted = adapt(
            lambda w: loss(w, support),
            given,
            self.inner_steps,
            self.inner_lr,
            inner=self.inner,
            through=through,
        )
        if self.variant != "reptile":
            return loss(adapted, query)
        moved = [(p * (p - adapted[n]).detach()).sum() for n, p in given.items()]
        with torch.no_grad():
            value = loss({n: w.detach() for n, w in adapted.items()}, query)
        pull = torch.stack(moved).sum()
        return pull - pull.detach() + value

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        total = torch.stack([self.outer(s, q) for s, q in batch.pairs]).sum()
        self.note(total.detach() / len(batch.pairs))
        share: Tensor = total / batch.step_tasks * batch.step_parts * self.trainer.world_size
        return share

    def data(
        self,
        tasks: Sequence[Task],
        train: Sequence[TaskFeatures],
        rates: Mapping[str, float],
        format: Format,
        *,
        stage: object = None,
        **settings: Any,
    ) -> pl.LightningDataModule:
        from ..data.task_module import TaskData

        if stage is not None:
            raise ConfigError("gradient episodes know no first stage", fix="data=mixture")
        return TaskData(
            train, rates, self.backbone.layout, format.name, self.shots, self.queries, **settings
        )


def _layer(name: str) -> int:
    """The number of the layer that a weight belongs to; -1 where it belongs to none."""
    return next((int(part) for part in name.split(".") if part.isdigit()), -1)
