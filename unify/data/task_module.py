"""Tasks as optimizer steps: per task some support rows and some query rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
from torch.utils.data import DataLoader, IterableDataset

from formats.collate import Batch, collate
from formats.errors import ConfigError
from formats.layout import Layout
from tasks.sampling import Sampler

from ..learners.maml import TaskStep
from .episodes import Drawn, EpisodePlan
from .module import Fixed
from .prepare import TaskFeatures


class TaskSteps(IterableDataset[TaskStep]):
    """Endless micro-batches of tasks from the step that ``first_step()`` gives."""

    def __init__(
        self, data: TaskData, first_step: Callable[[], int], rank: int = 0, world: int = 1
    ) -> None:
        self.data, self.first_step, self.rank, self.world = data, first_step, rank, world

    def __iter__(self) -> Iterator[TaskStep]:
        number = int(self.first_step())
        while True:
            parts = self.data.plan.step(number)
            whole = sum(map(len, parts))
            for part in parts:
                pairs = [self.data.pair(d) for d in part[self.rank :: self.world]]
                yield TaskStep(pairs, whole, len(parts))
            number += 1


class TaskData(pl.LightningDataModule):
    """``batch_size`` tasks per optimizer step, drawn by ``rates``; a pure function of (seed, step)
    as the episodes are."""

    def __init__(
        self,
        train: Sequence[TaskFeatures],
        rates: Mapping[str, float],
        layout: Layout,
        format: str,
        shots: int,
        queries: int,
        *,
        validation: Sequence[TaskFeatures] = (),
        batch_size: int = 4,
        parts: int = 1,
        bucket: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        small = [t.name for t in train if len(t.store) < shots + queries]
        if small or not train:
            raise ConfigError(
                "tasks with fewer rows than an episode needs",
                got=small or "no task",
                expected=f"at least {shots + queries}",
            )
        self.train, self.validation = list(train), [v for v in validation if len(v.store)]
        self.layout, self.format = layout, format if layout.kind == "encoder" else "generate"
        self.shots, self.batch_size = shots, batch_size
        self.plan = EpisodePlan(
            Sampler(tuple(len(t.store) for t in train), tuple(rates[t.name] for t in train), seed),
            [t.store.column("length").astype(np.int64) for t in train],
            (shots + queries - 1,),
            1 << 30,
            batch_size,
            1,
            parts,
            seed,
        )

    def pair(self, drawn: Drawn) -> tuple[Batch, Batch]:
        """Support and query rows of a drawn task."""
        store = self.train[drawn.task].store
        rows = [store[r] for r in (drawn.query, *drawn.demonstrations)]
        first, second = rows[: self.shots], rows[self.shots :]
        return (
            collate(first, self.layout, self.format),
            collate(second, self.layout, self.format),
        )

    def train_dataloader(self) -> DataLoader[TaskStep]:
        trainer = self.trainer
        assert trainer is not None
        steps = TaskSteps(
            self, lambda: trainer.global_step, trainer.global_rank, trainer.world_size
        )
        return DataLoader(steps, batch_size=None)

    def val_dataloader(self) -> DataLoader[Batch] | list[Any]:
        if not self.validation:
            return []
        held = Fixed(self.validation, self.layout, self.format, 16)
        return DataLoader(held, batch_size=None)

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        return batch.to(device)
