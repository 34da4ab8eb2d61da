"""Two finished runs, row by row: whose answers are better, on which rows, and by chance or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np

from formats.errors import RunError, UnifyError
from tasks import catalogue, metrics
from tasks.metrics import Metric, Record
from tasks.task import Task

from .kept import restored, whole_lines
from .paired import Difference, Sides, compared, holm, mcnemar
from .runs import REPORT

Row = dict[str, Any]
Rows = dict[str, Row]  # id -> row of a predictions file


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
    """One task of two runs. ``wins`` counts rows that a does better on, ``losses`` b, measured by
    ``wins_by``. Flips are of the first seed."""

    task: str
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
class RunComparison:
    """All tasks that both runs have; ``left_out`` says why others are not among them."""

    a: str
    b: str
    tasks: tuple[TaskComparison, ...]
    macro_a: float
    macro_b: float
    macro: Difference
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


def predictions(folder: Path) -> dict[str, dict[str, Path]]:
    """Result name as in the report -> its predictions files by seed, and order where there are
    several (``0, order 1-0``); ``0`` where there are no seeds."""
    from .report import read_json

    report = read_json(folder / REPORT)
    inside = folder / "predictions"
    found: dict[str, dict[str, Path]] = {}
    for r in (*report.unseen, *report.held_out):
        setting = r.setting or setting_of(r.task)
        file = f"{base_name(r.task, setting).replace('/', '_')}.jsonl"
        paths = {"0": inside / file}
        if setting:
            folders = inside.glob(f"{escape(setting)}, seed *")
            paths = {f.name[len(setting) + len(", seed ") :]: f / file for f in folders}
            if "seeds" in r.notes:  # those of the report, not of an earlier evaluation
                known = r.notes["seeds"]
                paths = {s: p for s, p in paths.items() if s.partition(",")[0] in known}
        found[r.task] = {s: p for s, p in sorted(paths.items(), key=_natural) if p.exists()}
    return found


def _natural(entry: tuple[str, Path]) -> tuple[int, str]:
    """Seeds by their number."""
    seed = entry[0].partition(",")[0]
    return (int(seed) if seed.isdigit() else -1, entry[0])


def base_name(result: str, setting: str) -> str:
    """The task's name in a result's: ``topics, 16-shot`` is of ``topics``."""
    return result.removesuffix(f", {setting}") if setting else result


def setting_of(result: str) -> str:
    """What follows the task's name in a result's; task names have no comma and space."""
    return result.partition(", ")[2]


def read_rows(path: Path) -> Rows:
    """The rows of a predictions file by id. Raises RunError for a torn or a double one."""
    rows, size = whole_lines(path)
    if size != path.stat().st_size:
        raise RunError(
            "a predictions file that ends in the middle",
            file=str(path),
            fix="run the evaluation again under its name; it continues",
        )
    found = {str(row["id"]): row for row in rows}
    if len(found) != len(rows):
        raise RunError(
            "a predictions file has rows twice",
            fix="delete the file and evaluate again",
            file=str(path),
        )
    return found


def same_rows(task: str, a: Rows, b: Rows) -> None:
    """Raises RunError unless both have the same rows with the same gold."""
    shared = a.keys() & b.keys()
    if len(shared) < max(len(a), len(b)):
        raise RunError(
            "the runs were evaluated on different rows",
            task=task,
            got=f"{len(a)} and {len(b)} rows, {len(shared)} of them shared",
            expected="the same rows in both",
            fix="evaluate both with the same suite.limits and seed",
        )
    other = [i for i in a if a[i]["gold"] != b[i]["gold"]]
    if other:
        raise RunError(
            "the runs were evaluated against different gold",
            task=task,
            got=f"{len(other)} of {len(a)} rows",
            row=other[0],
            fix="evaluate both again on the task as it is now",
        )


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
    sides, found = [], []
    for name in names:
        task = _loaded(base_name(name, setting_of(name)))
        metric = metrics.metric(task.metric, task.positive)
        seeds = [[read_rows(own[name][seed]) for seed in shared[name]] for own in files]
        for rows in (*seeds[0], *seeds[1]):
            same_rows(name, seeds[0][0], rows)
        order = sorted(seeds[0][0], key=lambda i: int(i.rsplit("/", 1)[1]))
        pairs = [
            ([x[i] for i in order], [y[i] for i in order]) for x, y in zip(*seeds, strict=True)
        ]
        stats = [_stats(metric, task, x, y) for x, y in pairs]
        sides.append(Sides(metric, [s[0] for s in stats], [s[1] for s in stats]))
        found.append((len(order), flips(*pairs[0]), _wins(sides[-1], pairs)))
        advance(1)
    each, macro = compared(sides, resamples, seed)
    adjusted = holm([d.p for d in each])
    tasks = []
    for name, one, difference, p, (size, flipped, wins) in zip(
        names, sides, each, adjusted, found, strict=True
    ):
        (value_a, value_b), (won, lost, tied, by) = one.values(), wins
        tasks.append(
            TaskComparison(
                task=name,
                metric=one.metric.name,
                rows=size,
                a=value_a,
                b=value_b,
                difference=difference,
                adjusted=p,
                wins=won,
                losses=lost,
                ties=tied,
                wins_by=by,
                flips=flipped,
            )
        )
    return RunComparison(
        a.name,
        b.name,
        tuple(tasks),
        sum(t.a for t in tasks) / len(tasks),
        sum(t.b for t in tasks) / len(tasks),
        macro,
        left_out,
    )
