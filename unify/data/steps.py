"""What all data modules do alike: endless steps from where the trainer stands, rows held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytorch_lightning as pl
from torch.utils.data import DataLoader, IterableDataset

from formats.errors import ConfigError

from .prepare import TaskFeatures


class StepData(pl.LightningDataModule):
    """``steps`` gives the training micro-batches, ``held`` the batches of ``validation``'s rows."""

    validation: Sequence[TaskFeatures]

    def steps(self, first_step: Callable[[], int], rank: int, world: int) -> IterableDataset[Any]:
        """Endless micro-batches from the step that ``first_step()`` gives when iteration begins."""
        raise NotImplementedError

    def held(self) -> IterableDataset[Any]:
        """Every validation row once."""
        raise NotImplementedError

    def train_dataloader(self) -> IterableDataset[Any]:
        trainer = self.trainer
        assert trainer is not None
        # Not in a DataLoader: it would only hand the finished batches on.
        return self.steps(lambda: trainer.global_step, trainer.global_rank, trainer.world_size)

    def val_dataloader(self) -> DataLoader[Any] | list[Any]:
        return DataLoader(self.held(), batch_size=None) if self.validation else []

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        return batch.to(device)


def need_rows(train: Sequence[TaskFeatures]) -> None:
    """Raises ConfigError where there is no task, or one of them has no row."""
    empty = [t.name for t in train if not len(t.store)]
    if empty or not train:
        raise ConfigError(
            "nothing to train on",
            got=empty or "no task",
            expected="every seen task has at least one labelled row",
        )
