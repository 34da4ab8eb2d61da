"""Episodes as optimizer steps: which rows demonstrate, and which one is asked.

An episode is a pure function of (seed, number of the draw): the sampler gives the task and the
query, a keyed permutation of the task's rows gives the demonstrations, in O(k) whatever the task's
size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from formats.episodes import DIRECTIONS, Direction, plain
from formats.errors import ConfigError
from tasks.permute import mix, permute
from tasks.sampling import Sampler
from tasks.task import Task

from .deal import deal

SYMBOLS = ("own", "permuted", "random")
STYLES = ("plain", "prompt")
WEIGHTS = ("tokens", "sequences")
_SHOTS, _ROWS, _SEED = 11, 12, 13  # words that keep the uses of one seed apart


@dataclass(frozen=True)
class Episodes:
    """How episodes are made.

    Attributes:
        shots: demonstrations per episode; of several numbers each episode draws one.
        direction: ``direct`` predicts the output, ``channel`` the input from the output.
        dense: every demonstration is predicted, too, from those before it (causal models).
        symbols: ``own`` label words; ``permuted`` among the labels of the task, anew in every
            episode; or ``random`` ones, taken from the label words of all seen tasks (symbol
            tuning: Wei et al. 2023, arXiv 2305.08298).
        instruction: whether the task's instruction stands on top (in-context tuning: Chen et al.
            2022, arXiv 2110.07814).
        style: ``plain`` shows the rows' own texts alone, ``prompt`` asks as the templates do.
        budget: tokens of a whole episode; None: the model's window.
        weigh: whether the loss is a mean over target tokens, or over episodes of their own mean.
        queries: rows that are asked behind the same demonstrations, each as if it were alone;
            the demonstrations are computed once (causal models).
    """

    shots: tuple[int, ...] = (16,)
    direction: Direction = "direct"
    dense: bool = True
    symbols: Literal["own", "permuted", "random"] = "own"
    instruction: bool = False
    style: Literal["plain", "prompt"] = "plain"
    budget: int | None = None
    weigh: Literal["tokens", "sequences"] = "tokens"
    queries: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.shots, int):
            object.__setattr__(self, "shots", (self.shots,))
        choices = {"direction": DIRECTIONS, "symbols": SYMBOLS, "style": STYLES, "weigh": WEIGHTS}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"unknown {name}", got=getattr(self, name), expected=", ".join(known)
                )
        if not self.shots or min(self.shots) < 0:
            raise ConfigError("no number of shots", got=self.shots, expected="0 or more, or a list")
        if self.queries < 1:
            raise ConfigError("episodes without a query", got=self.queries, expected="1 or more")
        if self.queries > 1 and self.dense and self.weigh == "sequences":
            raise ConfigError(
                "several queries and dense targets, weighed by sequence: no sequence has the dense "
                "ones",
                fix="learner.weigh=tokens, or learner.dense=false",
            )
        if self.symbols == "random" and self.style == "prompt":
            raise ConfigError(
                "random label words in prompts that list the true ones", fix="style=plain"
            )

    def asked(self, task: Task) -> Task:
        """``task`` with the prompt that its rows are written with."""
        if self.style == "prompt":
            return task
        return replace(task, prompt=plain(task.prompt, task.kind))


class Drawn(NamedTuple):
    """One episode before it is made: numbers of usable rows, in reading order, and its seed.
    ``more`` are further queries."""

    task: int
    query: int
    demonstrations: Sequence[int]
    seed: int
    more: Sequence[int] = ()


def demonstrate(
    seed: int, draws: np.ndarray, queries: np.ndarray, sizes: np.ndarray, shots: int
) -> np.ndarray:
    """Rows ``[n, shots]`` that demonstrate, all different and none the query; -1 where the task
    has no more. Row ``i`` depends on ``(seed, draws[i])`` alone."""
    n = len(draws)
    column = np.broadcast_to(np.arange(shots + 1), (n, shots + 1))
    there = column < sizes[:, None]
    keys = mix(seed, _ROWS, draws)
    found = np.full((n, shots + 1), -1)
    wide = [np.broadcast_to(x[:, None], there.shape)[there] for x in (sizes, keys)]
    found[there] = permute(column[there], *wide)
    # The query's place is given to the last one, which is one too many.
    hit = found == queries[:, None]
    spare = np.where(there.any(1), there.sum(1) - 1, 0)
    last = found[np.arange(n), spare]
    found = np.where(hit, last[:, None], found)
    found[np.arange(n), spare] = -1
    return found[:, :shots]


@dataclass(frozen=True)
class EpisodePlan:
    """Which episodes make up each optimizer step: a pure function of (seed, step).

    As :class:`~unify.data.module.StepPlan`, with ``batch_size`` episodes per step.
    """

    sampler: Sampler
    lengths: Sequence[np.ndarray]  # per task, the tokens of each usable row
    shots: tuple[int, ...]
    budget: int
    batch_size: int
    bucket: int = 8
    parts: int = 1
    seed: int = 0
    queries: int = 1

    @cached_property
    def _sizes(self) -> np.ndarray:
        return np.array(self.sampler.sizes)

    def window(self, number: int) -> list[list[list[Drawn]]]:
        """The steps of window ``number``, each a list of micro-batches."""
        size = self.batch_size * self.bucket
        draws = np.arange(number * size, (number + 1) * size)
        tasks, queries = self.sampler.draws(number * size, (number + 1) * size)
        chosen = (mix(self.seed, _SHOTS, draws) % np.uint64(len(self.shots))).astype(np.int64)
        shots = np.array(self.shots)[chosen]
        most = max(self.shots)
        needed = most + self.queries - 1
        rows = demonstrate(self.seed, draws, queries, self._sizes[tasks], needed)
        shown = rows[:, :most]
        shown[np.arange(most)[None, :] >= shots[:, None]] = -1
        seeds = (mix(self.seed, _SEED, draws) >> np.uint64(1)).astype(np.int64)
        columns = (tasks, queries, shown, seeds, rows[:, most:])
        drawn = [
            Drawn(t, q, [r for r in own if r >= 0], s, [r for r in more if r >= 0])
            for t, q, own, s, more in zip(*(c.tolist() for c in columns), strict=True)
        ]
        lengths = []
        for d in drawn:
            own = self.lengths[d.task]
            first = min(int(own[[d.query, *d.demonstrations]].sum()), self.budget)
            lengths.append(first + int(own[list(d.more)].sum()))
        steps = deal(np.array(lengths), self.bucket, self.parts, self.seed, number)
        return [[[drawn[i] for i in part] for part in parts] for parts in steps]

    def step(self, number: int) -> list[list[Drawn]]:
        """The micro-batches of optimizer step ``number``."""
        return self.window(number // self.bucket)[number % self.bucket]
