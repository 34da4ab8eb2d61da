"""Two finished runs, row by row: whose answers are better, on which rows, and by chance or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from formats.errors import RunError, UnifyError
from tasks import catalogue, metrics
from tasks.metrics import Metric, Record
from tasks.task import Task

from .kept import restored
from .paired import Difference, Sides, compared, holm, mcnemar
from .predictions import Row, parted, predictions, read_rows, same_rows


@dataclass(frozen=True)
class Flips:
    """Rows that one run alone has right, the most confident mistakes first."""

    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    both: int
    neither: int

    @property
    def p(self) -> float:
        return mcnemar(len(self.only_a), len(self.only_b))


@dataclass(frozen=True)
class TaskComparison:
    """One task of two runs in one ``setting`` (0-shot, ...). ``wins`` counts rows that a does
    better on, ``losses`` b, measured by ``wins_by``. Flips are of the first seed."""

    task: str
    setting: str
    metric: str
    rows: int
    a: float
    b: float
    difference: Difference
    adjusted: float
    wins: int
    losses: int
    ties: int
    wins_by: str
    flips: Flips


@dataclass(frozen=True)
class Macro:
    """The averages over the tasks of one setting."""

    setting: str
    tasks: int
    rows: int
    a: float
    b: float
    difference: Difference


@dataclass(frozen=True)
class RunComparison:
    """All tasks that both runs have, those of a setting together, and one average per setting;
    ``left_out`` says why others are not among them."""

    a: str
    b: str
    tasks: tuple[TaskComparison, ...]
    macros: tuple[Macro, ...]
    left_out: Mapping[str, str]

    def as_json(self, flips: int | None = None) -> dict[str, Any]:
        """Plain JSON values, with at most ``flips`` ids of each kind per task."""
        from .report.data import clean

        found = asdict(self)
        for entry, task in zip(found["tasks"], self.tasks, strict=True):
            for side in ("only_a", "only_b"):
                ids = list(getattr(task.flips, side))
                entry["flips"][side] = {"rows": len(ids), "ids": ids[:flips]}
            entry["flips"]["p"] = task.flips.p
        whole: dict[str, Any] = clean(found)
        return whole


def _records(task: Task, rows: Sequence[Row]) -> list[Record]:
    """Records of ``rows``, in the order of the split; raises RunError if the task has changed."""
    split = str(rows[0]["id"]).rsplit("/", 2)[1]
    return list(restored(task.examples(split, on_bad_row="skip"), rows))


def _stats(metric: Metric, task: Task, a: Sequence[Row], b: Sequence[Row]) -> tuple[Any, Any]:
    """Row statistics of both, made together: what they count by may depend on all answers."""
    sides = []
    for name, rows in (("a", a), ("b", b)):
        records = _records(task, rows)
        sides.append(
            [r if r.group is None else replace(r, group=f"{name} {r.group}") for r in records]
        )
    whole = metric.rows([*sides[0], *sides[1]])
    half = len(whole) // 2
    return whole[:half], whole[half:]


def _doubt(row: Row) -> float:
    """How little a run preferred its answer; rows without scores are the most doubtful."""
    scores = sorted(row.get("scores") or (), reverse=True)
    return -(scores[0] - scores[1]) if len(scores) > 1 else 0.0


def flips(a: Sequence[Row], b: Sequence[Row]) -> Flips:
    """Which rows one side alone has right."""
    pairs = list(zip(a, b, strict=True))
    only_a = sorted((y for x, y in pairs if x["right"] and not y["right"]), key=_doubt)
    only_b = sorted((x for x, y in pairs if y["right"] and not x["right"]), key=_doubt)
    both = sum(bool(x["right"] and y["right"]) for x, y in pairs)
    return Flips(
        tuple(str(r["id"]) for r in only_a),
        tuple(str(r["id"]) for r in only_b),
        both,
        len(pairs) - both - len(only_a) - len(only_b),
    )


def _wins(
    sides: Sides, pairs: Sequence[tuple[Sequence[Row], Sequence[Row]]]
) -> tuple[int, int, int, str]:
    """Rows that a does better on, that b does, and the others, by the mean over seeds; and what
    better is measured by: the row's own score where the metric is a mean of these, else the
    distance of numbers, else right and wrong."""
    if isinstance(sides.metric, metrics.Mean):
        by, worth = "the row's score", [[s[:, 0] for s in side] for side in (sides.a, sides.b)]
    else:
        number = all(isinstance(row["gold"], (int, float)) for row in pairs[0][0])
        by, of = ("distance to gold", _nearness) if number else ("right or wrong", _right)
        worth = [[np.array([of(row) for row in p[i]]) for p in pairs] for i in (0, 1)]
    gaps = np.mean(worth[0], axis=0) - np.mean(worth[1], axis=0)
    wins, losses = int(np.sum(gaps > 1e-12)), int(np.sum(gaps < -1e-12))
    return wins, losses, len(gaps) - wins - losses, by


def _right(row: Row) -> float:
    return float(row["right"])


def _nearness(row: Row) -> float:
    """Minus the distance of a number from its gold; no answer is further than any."""
    answer = row["answer"]
    return -abs(answer - row["gold"]) if isinstance(answer, (int, float)) else -1e300


def _loaded(name: str) -> Task:
    try:
        return catalogue.load(name)
    except UnifyError as error:
        raise error.at(task=name) from None


def compare(
    a: Path,
    b: Path,
    *,
    resamples: int = 1000,
    seed: int = 0,
    advance: Callable[[int], None] = lambda n: None,
) -> RunComparison:
    """Compares the finished runs ``a`` and ``b`` on every task that both have predictions of.

    Raises RunError where rows or gold differ, and where no task is shared.
    """
    files = predictions(a), predictions(b)
    left_out: dict[str, str] = {}
    shared: dict[str, list[str]] = {}
    names = []
    for name in dict.fromkeys((*files[0], *files[1])):
        first, second = (own.get(name, {}) for own in files)
        missing = [str(run) for run, own in ((a, first), (b, second)) if not own]
        shared[name] = [s for s in first if s in second]
        if missing:
            left_out[name] = f"no predictions in {' and '.join(missing)}"
        elif not shared[name]:
            left_out[name] = f"seeds {', '.join(first)} and {', '.join(second)}: none is shared"
        else:
            names.append(name)
            if apart := [s for s in {**first, **second} if s not in shared[name]]:
                left_out[f"{name}, seeds {', '.join(apart)}"] = "in one run alone"
    if not names:
        raise RunError(
            "the runs share no task with predictions",
            got=f"{len(files[0])} and {len(files[1])} tasks",
            fix="evaluate both on one suite, with report.examples above 0",
        )
    settings: dict[str, list[str]] = {}
    for name in names:
        settings.setdefault(parted(name)[1], []).append(name)
    names = [name for own in settings.values() for name in own]
    sides, found = {}, {}
    for name in names:
        task = _loaded(parted(name)[0])
        metric = metrics.metric(task.metric, task.positive)
        seeds = [[read_rows(own[name][seed]) for seed in shared[name]] for own in files]
        for rows in (*seeds[0], *seeds[1]):
            same_rows(name, seeds[0][0], rows)
        order = sorted(seeds[0][0], key=lambda i: int(i.rsplit("/", 1)[1]))
        pairs = [
            ([x[i] for i in order], [y[i] for i in order]) for x, y in zip(*seeds, strict=True)
        ]
        stats = [_stats(metric, task, x, y) for x, y in pairs]
        sides[name] = Sides(metric, [s[0] for s in stats], [s[1] for s in stats])
        found[name] = (len(order), flips(*pairs[0]), _wins(sides[name], pairs))
        advance(1)
    tasks = list(dict.fromkeys(parted(name)[0] for name in names))
    each: dict[str, Difference] = {}
    whole: dict[str, Difference] = {}
    for setting, own in settings.items():
        numbers = [tasks.index(parted(name)[0]) for name in own]  # the same draws in each setting
        one, whole[setting] = compared([sides[n] for n in own], resamples, seed, numbers)
        each.update(zip(own, one, strict=True))
    adjusted = holm([each[name].p for name in names])
    told = []
    for name, p in zip(names, adjusted, strict=True):
        (value_a, value_b), (size, flipped, wins) = sides[name].values(), found[name]
        won, lost, tied, by = wins
        told.append(
            TaskComparison(
                task=name,
                setting=parted(name)[1],
                metric=sides[name].metric.name,
                rows=size,
                a=value_a,
                b=value_b,
                difference=each[name],
                adjusted=p,
                wins=won,
                losses=lost,
                ties=tied,
                wins_by=by,
                flips=flipped,
            )
        )
    macros = []
    for setting, difference in whole.items():
        of = [t for t in told if t.setting == setting]
        a_mean, b_mean = (sum(getattr(t, side) for t in of) / len(of) for side in "ab")
        rows_in_all = sum(t.rows for t in of)
        macros.append(Macro(setting, len(of), rows_in_all, a_mean, b_mean, difference))
    return RunComparison(a.name, b.name, tuple(told), tuple(macros), left_out)
