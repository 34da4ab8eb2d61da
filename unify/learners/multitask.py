"""Multitask supervised learning: every seen task's rows, mixed, one loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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

    def __init__(self, backbone: Backbone, optimization: Optimization | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.optimization = optimization or Optimization()

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
        self.log("train/loss", self._mean(summed.detach(), batch.weight), batch_size=1)
        # Lightning divides by the number of micro-batches, and DDP averages over the ranks; the
        # share of the step is already in step_weight.
        return per_unit * batch.step_parts * self.trainer.world_size

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
