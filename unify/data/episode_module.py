"""The Lightning data module of episodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from torch.utils.data import IterableDataset

from formats.base import Format
from formats.collate import Batch, collate
from formats.episodes import separators
from formats.layout import Coder
from tasks.sampling import Sampler
from tasks.task import Task

from .compat import CompatMaker
from .episodes import Drawn, EpisodePlan, Episodes, demonstrate
from .prepare import TaskFeatures
from .steps import StepData, need_rows
from .turns import Made, Maker, makers

AnyMaker = Maker | CompatMaker


def batch_of(
    made: Sequence[Made], tasks: Sequence[int], coder: Coder, dense: bool, weigh: str = "tokens"
) -> Batch:
    """One batch of episodes; ``dense`` makes every demonstration a target, too. ``weigh`` says
    whether its weight counts target tokens or ``sequences``."""
    batch = collate([m.row for m in made], coder.layout, "generate")
    batch.tasks = np.array(tasks, np.int32)
    batch.dropped = sum(m.laid.dropped for m in made)
    if dense:
        assert batch.target is not None
        width = batch.ids.shape[1]
        for ids, target, m in zip(batch.ids, batch.target, made, strict=True):
            start = width - m.laid.length  # padding stands on the left
            for begin, stop in m.laid.dense:
                target[start + begin : start + stop] = ids[start + begin : start + stop]
        batch.weight = float((batch.target != -100).sum())
    if weigh == "sequences":
        batch.weight = float(len(made))
    return batch


class EpisodeBatches(IterableDataset[Batch]):
    """Endless micro-batches from the step that ``first_step()`` gives when iteration begins."""

    def __init__(
        self,
        plan: EpisodePlan,
        maker: AnyMaker,
        first_step: Callable[[], int],
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.plan, self.maker, self.first_step = plan, maker, first_step
        self.rank, self.world = rank, world

    def __iter__(self) -> Iterator[Batch]:
        number = int(self.first_step())
        bucket = self.plan.bucket
        while True:
            for parts in self.plan.window(number // bucket)[number % bucket :]:
                yield from self._batches(parts)
                number += 1

    def _batches(self, parts: list[list[Drawn]]) -> list[Batch]:
        coder, settings = self.maker.coder, self.maker.settings
        how = (coder, settings.dense, settings.weigh)
        batches = []
        whole = 0.0
        for part in parts:
            made = [self.maker(drawn) for drawn in part]
            mine = slice(self.rank, None, self.world)
            tasks = [drawn.task for drawn in part]
            batches.append(batch_of(made[mine], tasks[mine], *how))
            if self.world == 1:
                whole += batches[-1].weight
            else:
                whole += batch_of(made, tasks, *how).weight
        for batch in batches:
            batch.step_weight, batch.step_parts = whole, len(batches)
        return batches


class HeldEpisodes(IterableDataset[Batch]):
    """Every held-out row once as a query, demonstrated by training rows: the same in every run."""

    def __init__(
        self, maker: AnyMaker, held: Sequence[TaskFeatures], batch_size: int, seed: int
    ) -> None:
        self.maker, self.held, self.batch_size, self.seed = maker, held, batch_size, seed

    def __iter__(self) -> Iterator[Batch]:
        maker = self.maker
        numbers = {name: t for t, name in enumerate(maker.names)}
        made: list[Made] = []
        tasks: list[int] = []
        shots = max(maker.settings.shots)
        for held in self.held:
            t = numbers[held.name]
            count = len(held.store)
            nothing = np.full(count, -1)
            sizes = np.full(count, maker.sizes()[t])
            draws = np.arange(count) + 1_000_003 * t
            rows = demonstrate(self.seed, draws, nothing, sizes, shots)
            for i, own in enumerate(rows.tolist()):
                query = maker.query(held, i)
                if query is None:
                    continue
                drawn = Drawn(t, i, [r for r in own if r >= 0], int(draws[i]))
                made.append(maker(drawn, query))
                tasks.append(t)
                if len(made) == self.batch_size:
                    yield self._batch(made, tasks)
                    made, tasks = [], []
        if made:
            yield self._batch(made, tasks)

    def _batch(self, made: list[Made], tasks: list[int]) -> Batch:
        batch = batch_of(made, tasks, self.maker.coder, False, self.maker.settings.weigh)
        batch.step_weight = batch.weight
        return batch


class EpisodeData(StepData):
    """Training steps of episodes over a mixture of seen tasks.

    ``rates`` are the tasks' shares of the episodes, by name; ``seed`` fixes everything that is
    drawn. ``batch_size`` counts episodes per optimizer step, over all devices.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        train: Sequence[TaskFeatures],
        rates: Mapping[str, float],
        coder: Coder,
        settings: Episodes,
        format: Format,
        *,
        validation: Sequence[TaskFeatures] = (),
        batch_size: int = 32,
        parts: int = 1,
        bucket: int = 8,
        seed: int = 0,
    ) -> None:
        super().__init__()
        need_rows(train)
        self.maker: AnyMaker
        if getattr(format, "compat", None):
            self.maker = CompatMaker(tasks, train, coder, format, settings)
        else:
            self.maker = makers(tasks, train, coder, separators(coder), settings)
        self.validation = [v for v in validation if len(v.store)]
        self.batch_size, self.seed = batch_size, seed
        self.plan = EpisodePlan(
            Sampler(self.maker.sizes(), tuple(rates[t.name] for t in train), seed),
            self.maker.lengths,
            settings.shots,
            min(settings.budget or coder.layout.window, coder.layout.window),
            batch_size,
            bucket,
            parts,
            seed,
        )

    def steps(self, first_step: Callable[[], int], rank: int, world: int) -> EpisodeBatches:
        return EpisodeBatches(self.plan, self.maker, first_step, rank, world)

    def held(self) -> HeldEpisodes:
        return HeldEpisodes(self.maker, self.validation, self.batch_size, self.seed)
