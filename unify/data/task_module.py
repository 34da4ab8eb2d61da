"""Tasks as optimizer steps: per task some support rows and some query rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from torch.utils.data import IterableDataset

from formats.collate import Batch, collate
from formats.errors import ConfigError
from formats.layout import Layout
from tasks.sampling import Sampler

from ..learners.maml import TaskStep
from .episodes import Drawn, EpisodePlan
from .module import Fixed
from .prepare import TaskFeatures
from .steps import StepData


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


class TaskData(StepData):
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

    def steps(self, first_step: Callable[[], int], rank: int, world: int) -> TaskSteps:
        return TaskSteps(self, first_step, rank, world)

    def held(self) -> Fixed:
        return Fixed(self.validation, self.layout, self.format, 16)
