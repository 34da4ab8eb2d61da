"""The Lightning data module of episodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch.utils.data import IterableDataset

from formats.base import Format
from formats.collate import Batch, collate
from formats.episodes import separators
from formats.layout import Coder, Layout
from tasks.sampling import Sampler
from tasks.task import Task

from .branches import branched
from .compat import CompatMaker
from .episodes import Drawn, EpisodePlan, Episodes, demonstrate
from .prepare import TaskFeatures
from .steps import StepData, need_rows
from .turns import Made, Maker, makers, stored

AnyMaker = Maker | CompatMaker


def batch_of(
    made: Sequence[Made],
    tasks: Sequence[int],
    coder: Coder,
    dense: bool,
    weigh: str = "tokens",
    apart: bool = False,
) -> Batch:
    """One batch of episodes; ``dense`` makes every demonstration a target, too. ``weigh`` says
    whether its weight counts target tokens or ``sequences``. Several queries are branches of one
    sequence, or sequences of their own (``apart``)."""
    several = [len(m.laid.pairs) > 1 for m in made]
    if any(several) and not apart:
        batch = branched([m.row for m in made], [m.laid for m in made], coder.layout, dense)
    else:
        batch = _sequences(made, coder.layout, dense)
    batch.tasks = np.array(tasks, np.int32)
    batch.dropped = sum(m.laid.dropped for m in made)
    if weigh == "sequences":
        batch.weight = float(sum(len(m.laid.pairs) for m in made))
    return batch


def _sequences(made: Sequence[Made], layout: Layout, dense: bool) -> Batch:
    """A sequence per query; dense targets stand in the first of each episode."""
    groups = [stored(m.laid, layout, m.row.row, apart=True) for m in made]
    batch = collate([row for group in groups for row in group], layout, "generate")
    batch.rows = [m.row for m in made]
    of = torch.arange(len(made)).repeat_interleave(torch.tensor([len(g) for g in groups]))
    batch.row_of = of
    if batch.source_of is not None:
        batch.source_of = torch.arange(len(of))
    if dense:
        assert batch.target is not None
        starts = (1 - batch.mask).sum(1).tolist()  # padding stands on the left
        first = np.cumsum([0, *(len(g) for g in groups)])[:-1]
        for k, m in zip(first.tolist(), made, strict=True):
            for begin, stop in m.laid.dense:
                place = slice(starts[k] + begin, starts[k] + stop)
                batch.target[k, place] = batch.ids[k, place]
        batch.weight = float((batch.target != -100).sum())
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
        apart: bool = False,
    ) -> None:
        self.plan, self.maker, self.first_step = plan, maker, first_step
        self.rank, self.world, self.apart = rank, world, apart

    def __iter__(self) -> Iterator[Batch]:
        number = int(self.first_step())
        bucket = self.plan.bucket
        while True:
            for parts in self.plan.window(number // bucket)[number % bucket :]:
                yield from self._batches(parts)
                number += 1

    def _batches(self, parts: list[list[Drawn]]) -> list[Batch]:
        coder, settings = self.maker.coder, self.maker.settings
        how = (coder, settings.dense, settings.weigh, self.apart)
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
    drawn. ``batch_size`` counts episodes per optimizer step, over all devices. ``apart``: several
    queries of an episode are not computed together.
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
        apart: bool = False,
    ) -> None:
        super().__init__()
        need_rows(train)
        self.maker: AnyMaker
        if getattr(format, "compat", None):
            self.maker = CompatMaker(tasks, train, coder, format, settings)
        else:
            self.maker = makers(tasks, train, coder, separators(coder), settings)
        self.validation = [v for v in validation if len(v.store)]
        self.batch_size, self.seed, self.apart = batch_size, seed, apart
        self.plan = EpisodePlan(
            Sampler(self.maker.sizes(), tuple(rates[t.name] for t in train), seed),
            self.maker.lengths,
            settings.shots,
            min(settings.budget or coder.layout.window, coder.layout.window),
            batch_size,
            bucket,
            parts,
            seed,
            settings.queries,
        )

    def steps(self, first_step: Callable[[], int], rank: int, world: int) -> EpisodeBatches:
        return EpisodeBatches(self.plan, self.maker, first_step, rank, world, self.apart)

    def held(self) -> HeldEpisodes:
        rows = -(-self.batch_size // self.plan.parts)
        return HeldEpisodes(self.maker, self.validation, rows, self.seed)
