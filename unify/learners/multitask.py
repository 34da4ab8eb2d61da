"""Multitask supervised learning: every seen task's rows, mixed, one loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from torch import Tensor

from formats.base import Format
from formats.collate import Batch
from tasks.task import Task

from ..backbones import Backbone
from ..data.prepare import TaskFeatures
from .optim import Optimization


class Multitask(pl.LightningModule):
    """Minimises the mean loss per unit (target token, or sequence) over each optimizer step.

    The batch says how many units its whole step has, so that the gradient does not depend on how
    the step is cut into micro-batches, nor over how many devices it is spread.
    """

    shardable: ClassVar[bool] = True  # whether the weights may be spread over processes

    def __init__(self, backbone: Backbone, optimization: Optimization | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.optimization = optimization or Optimization()
        self.latest = torch.zeros(())  # the loss of the micro-batch before, see note()
        self.gradient_norm: Tensor | None = None  # of the step that is about to be taken

    def asked(self, task: Task) -> Task:
        """``task`` with the prompt that its training rows are written with."""
        return task

    def ways(self, task: Task, split: str) -> list[Task]:
        """The ways in which ``task`` is trained on; the first has its name, rows and kind."""
        return [self.asked(task)]

    def spread(self, rates: Mapping[str, float]) -> dict[str, float]:
        """The rates of the tasks as those of their :meth:`ways`."""
        return dict(rates)

    def data(
        self,
        tasks: Sequence[Task],
        train: Sequence[TaskFeatures],
        rates: Mapping[str, float],
        format: Format,
        **settings: Any,
    ) -> pl.LightningDataModule:
        """The steps that this learner takes over the prepared rows of ``tasks``."""
        from ..data.module import MixtureData

        return MixtureData(train, rates, self.backbone.layout, format.name, **settings)

    def notes(self) -> list[dict[str, Any]]:
        """What a report should say of the training data, see ``Report.data_notes``."""
        return []

    def summed(self, batch: Batch) -> Tensor:
        """The loss, summed over ``batch.weight`` units."""
        return self.backbone.loss(batch)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        summed = self.summed(batch)
        per_unit = summed / max(batch.step_weight, 1.0)
        self.note(self._mean(summed.detach(), batch.weight))
        # Lightning divides by the number of micro-batches, and DDP averages over the ranks; the
        # share of the step is already in step_weight.
        return per_unit * batch.step_parts * self.trainer.world_size

    def note(self, loss: Tensor) -> None:
        """Keeps ``loss``, the mean per unit of a micro-batch, as ``self.latest``, and logs it on
        the steps that are logged: Lightning's ``log`` costs as much as a small optimizer."""
        self.latest = loss
        often: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if (self.trainer.global_step + 1) % often == 0:
            self.log("train/loss", loss, batch_size=1)

    def configure_gradient_clipping(
        self,
        optimizer: Any,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Lightning's clipping; by norm with the norm that :class:`~unify.guard.Guard` found."""
        norm, self.gradient_norm = self.gradient_norm, None
        if norm is None or not gradient_clip_val or gradient_clip_algorithm == "value":
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
            return
        weights = [p for group in optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grads_with_norm_(weights, gradient_clip_val, norm)

    def _mean(self, summed: Tensor, weight: float) -> Tensor:
        """The loss per unit of a micro-batch, over all processes that share it."""
        if self.trainer.world_size > 1:
            both = torch.stack([summed, summed.new_tensor(weight)])
            summed, of = self.trainer.strategy.reduce(both, reduce_op="sum").unbind()
            weight = float(of)
        return summed / max(weight, 1.0)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        summed = self.summed(batch)
        self.log(
            "val/loss",
            summed / max(batch.weight, 1.0),
            batch_size=max(1, int(batch.weight)),
            on_epoch=True,
            prog_bar=True,
            sync_dist=True,
        )

    def configure_optimizers(self) -> Any:
        steps = self.trainer.estimated_stepping_batches
        return self.optimization.configure(self.backbone, int(steps))
