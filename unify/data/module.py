"""The Lightning data module: a mixture of tasks as whole optimizer steps, in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch.utils.data import IterableDataset

from formats.collate import Batch, collate
from formats.errors import ConfigError
from formats.layout import Layout
from formats.store import StoredRow
from tasks.sampling import Sampler

from .deal import deal
from .prepare import TaskFeatures
from .steps import StepData, need_rows


@dataclass(frozen=True)
class Stage:
    """The first ``steps`` optimizer steps draw from some tasks only: those numbered ``tasks``."""

    steps: int
    sampler: Sampler
    tasks: np.ndarray


@dataclass(frozen=True)
class StepPlan:
    """Which rows make up each optimizer step: a pure function of (seed, step).

    ``batch_size`` counts feature rows per optimizer step, over all devices. ``bucket`` steps share
    one window of the global order; inside it rows are sorted by length and dealt to steps, so that
    a step pads little while every row keeps its place in the order up to that window. ``parts``
    micro-batches make one step; rank ``rank`` of ``world`` takes every ``world``-th row of each.
    The steps of ``stage``, if there is one, come first.
    """

    sampler: Sampler
    lengths: Sequence[np.ndarray]  # per task, the tokens of each feature row
    batch_size: int
    bucket: int = 8
    parts: int = 1
    seed: int = 0
    stage: Stage | None = None

    def __post_init__(self) -> None:
        for name in ("batch_size", "bucket", "parts"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"{name} below one",
                    got=getattr(self, name),
                    expected="a whole number from 1 on",
                )
        if self.parts > self.batch_size:
            raise ConfigError(
                "more micro-batches than rows in a step",
                got=self.parts,
                expected=f"at most batch_size={self.batch_size}",
            )

    def window(self, number: int) -> list[list[tuple[np.ndarray, np.ndarray]]]:
        """The steps of window ``number``: per step its micro-batches as (tasks, rows)."""
        size = self.batch_size * self.bucket
        first = 0 if self.stage is None else -(-self.stage.steps // self.bucket)  # whole windows
        if self.stage is not None and number < first:
            tasks, rows = self.stage.sampler.draws(number * size, (number + 1) * size)
            tasks = self.stage.tasks[tasks]
        else:
            tasks, rows = self.sampler.draws((number - first) * size, (number - first + 1) * size)
        lengths = np.empty(size, np.int64)
        for t in np.unique(tasks):
            here = tasks == t
            lengths[here] = self.lengths[t][rows[here]]
        steps = deal(lengths, self.bucket, self.parts, self.seed, number)
        return [[(tasks[part], rows[part]) for part in parts] for parts in steps]

    def step(self, number: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """The micro-batches of optimizer step ``number``."""
        return self.window(number // self.bucket)[number % self.bucket]


def weight(rows: Sequence[StoredRow], format: str) -> float:
    """What ``collate(rows, …).weight`` is, without laying the rows out: sequences, or the tokens
    of the targets."""
    if format != "generate":
        return float(sum(len(row.widths) for row in rows))
    total = 0
    for row in rows:
        several = len(row.widths) > 1  # of options, the right one is the target
        total += int(row.widths[int(np.argmax(row.gold))] if several else row.widths.sum())
    return float(total)


class StepBatches(IterableDataset[Batch]):
    """Endless micro-batches from the step that ``first_step()`` gives when iteration begins."""

    def __init__(
        self,
        plan: StepPlan,
        features: Sequence[TaskFeatures],
        layout: Layout,
        format: str,
        first_step: Any,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.plan, self.features, self.layout, self.format = plan, features, layout, format
        self.first_step, self.rank, self.world = first_step, rank, world
        if plan.batch_size // plan.parts < world:
            raise ConfigError(
                "a process without a row of each micro-batch",
                got=f"{plan.batch_size} rows in {plan.parts} micro-batches over {world} processes",
                expected="at least a row for each",
                fix="a larger data.batch_size, which counts the rows of all processes",
            )

    def __iter__(self) -> Iterator[Batch]:
        number = int(self.first_step())
        bucket = self.plan.bucket
        while True:
            steps = self.plan.window(number // bucket)[number % bucket :]
            # All of a window at once: code and rows are in the processor's caches then, which a
            # training step throws out.
            for batches in [self._batches(parts) for parts in steps]:
                yield from batches
                number += 1

    def _batches(self, parts: list[tuple[np.ndarray, np.ndarray]]) -> list[Batch]:
        batches = []
        whole = 0.0
        for tasks, rows in parts:
            stored = [self.features[t].store[int(r)] for t, r in zip(tasks, rows, strict=True)]
            batch = collate(stored[self.rank :: self.world], self.layout, self.format)
            batch.tasks = tasks[self.rank :: self.world]
            batches.append(batch)
            whole += batch.weight if self.world == 1 else weight(stored, self.format)
        for batch in batches:
            batch.step_weight, batch.step_parts = whole, len(batches)
        return batches


class Fixed(IterableDataset[Batch]):
    """Every row of ``features`` once, in batches of ``batch_size`` rows of like length."""

    def __init__(
        self, features: Sequence[TaskFeatures], layout: Layout, format: str, batch_size: int
    ) -> None:
        self.features, self.layout, self.format = features, layout, format
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[Batch]:
        for t, task in enumerate(self.features):
            order = np.argsort(task.store.column("length"), kind="stable")
            for at in range(0, len(order), self.batch_size):
                rows = [task.store[int(i)] for i in order[at : at + self.batch_size]]
                batch = collate(rows, self.layout, self.format)
                batch.tasks = np.full(len(rows), t)
                batch.step_weight = batch.weight
                yield batch


def _stage(
    train: Sequence[TaskFeatures], stage: tuple[int, Mapping[str, float]] | None, seed: int
) -> Stage | None:
    if stage is None:
        return None
    steps, rates = stage
    chosen = [k for k, t in enumerate(train) if t.name in rates]
    sampler = Sampler(
        tuple(len(train[k].store) for k in chosen),
        tuple(rates[train[k].name] for k in chosen),
        seed + 1,
    )
    return Stage(steps, sampler, np.array(chosen))


class MixtureData(StepData):
    """Training steps over a mixture of seen tasks, and their validation rows.

    ``rates`` are the tasks' shares of the draws, by name; ``seed`` fixes the order.
    """

    def __init__(
        self,
        train: Sequence[TaskFeatures],
        rates: Mapping[str, float],
        layout: Layout,
        format: str,
        *,
        validation: Sequence[TaskFeatures] = (),
        batch_size: int = 32,
        parts: int = 1,
        bucket: int = 8,
        seed: int = 0,
        stage: tuple[int, Mapping[str, float]] | None = None,
    ) -> None:
        super().__init__()
        need_rows(train)
        self.train, self.validation = list(train), [v for v in validation if len(v.store)]
        # Language models answer entailment in words, so their rows are generate rows.
        self.layout, self.format = layout, format if layout.kind == "encoder" else "generate"
        self.batch_size = batch_size
        self.plan = StepPlan(
            Sampler(tuple(len(t.store) for t in train), tuple(rates[t.name] for t in train), seed),
            [t.store.column("length") for t in train],
            batch_size,
            bucket,
            parts,
            seed,
            _stage(train, stage, seed),
        )

    def steps(self, first_step: Callable[[], int], rank: int, world: int) -> StepBatches:
        return StepBatches(self.plan, self.train, self.layout, self.format, first_step, rank, world)

    def held(self) -> Fixed:
        rows = -(-self.batch_size // self.plan.parts)  # no more than training holds at once
        return Fixed(self.validation, self.layout, self.format, rows)
