"""Several runs over the same tasks, side by side: which format, which learner, which setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .data import Report, best_baseline, clean, mean, save_json
from .numbers import finite

if TYPE_CHECKING:
    from unify.evaluation import TaskResult


@dataclass(frozen=True)
class Cell:
    """One run's score on one task, or why it has none."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        if self.value is None:
            return {"refused": self.why}
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Run:
    """One column: its label, results, and the tasks that it refused or skipped, with the reason."""

    label: str
    results: Sequence[TaskResult] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def result(self, task: str) -> TaskResult | None:
        return next((r for r in self.results if r.task == task), None)

    def cell(self, task: str) -> Cell:
        """The run's score on ``task``."""
        result = self.result(task)
        if result is None:
            return Cell(why=self.skipped.get(task, "not evaluated in this run"))
        value = finite(result.value)
        if value is None:
            return Cell(why="the metric has no value on these rows")
        return Cell(value, finite(result.low), finite(result.high))


@dataclass(frozen=True)
class Comparison:
    """Rows are tasks, columns are runs.

    Runs that support different tasks are comparable only on those that all of them support:
    ``macro`` averages over these; ``own_macro`` over whatever a run has, and is no comparison.
    """

    title: str
    runs: Sequence[Run]

    @classmethod
    def of(cls, title: str, reports: Mapping[str, Report]) -> Comparison:
        """From one report per label. What no run has a result for (a seen task that a format
        cannot ask, say) stands in the runs' own reports."""
        met = {result.task for r in reports.values() for result in (*r.unseen, *r.held_out)}
        runs = [
            Run(
                label,
                [*r.unseen, *r.held_out],
                {t: w for t, w in r.skipped.items() if t in met},
                r.seconds,
            )
            for label, r in reports.items()
        ]
        return cls(title, runs)

    def tasks(self) -> list[str]:
        """Every task that any run has or skipped, in order of appearance."""
        met: dict[str, None] = {}
        for run in self.runs:
            met.update(dict.fromkeys(r.task for r in run.results))
        for run in self.runs:
            met.update(dict.fromkeys(run.skipped))
        return list(met)

    def shared(self) -> list[str]:
        """The tasks on which every run has a value."""
        return [t for t in self.tasks() if all(run.cell(t).value is not None for run in self.runs)]

    def results(self, task: str) -> list[TaskResult]:
        """What the runs found on ``task``."""
        return [r for run in self.runs if (r := run.result(task)) is not None]

    def baseline(self, task: str) -> float | None:
        """The best trivial method on ``task``, over the runs' own rows."""
        found = [b[1] for r in self.results(task) if (b := best_baseline(r))]
        return max(found, default=None)

    def best(self, task: str) -> float | None:
        """The highest value on ``task``."""
        values = [c.value for run in self.runs if (c := run.cell(task)).value is not None]
        return max(values, default=None)

    def uneven(self, task: str) -> bool:
        """Whether the runs were measured differently: other rows, or another metric."""
        return len({(r.rows, r.metric) for r in self.results(task)}) > 1

    def macro(self, run: Run) -> float | None:
        """Average over the tasks that all runs support."""
        return mean([run.cell(t).value for t in self.shared()])

    def own_macro(self, run: Run) -> float | None:
        """Average over all tasks on which this run has a value."""
        return mean([c.value for t in self.tasks() if (c := run.cell(t)).value is not None])

    def own_count(self, run: Run) -> int:
        """How many tasks that average is over."""
        return sum(run.cell(t).value is not None for t in self.tasks())

    def baseline_macro(self) -> float | None:
        """The best trivial method per task, averaged over the tasks that all runs support."""
        return mean([self.baseline(t) for t in self.shared()])

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values, without NaN."""
        tasks = {}
        for task in self.tasks():
            found = self.results(task)
            tasks[task] = {
                "type": found[0].type if found else None,
                "metric": found[0].metric if found else None,
                "best_baseline": self.baseline(task),
                "runs": {run.label: run.cell(task).as_dict() for run in self.runs},
            }
        whole: dict[str, Any] = clean(
            {
                "title": self.title,
                "tasks": tasks,
                "shared": self.shared(),
                "best_baseline": self.baseline_macro(),
                "runs": {
                    run.label: {
                        "macro": self.macro(run),
                        "own_macro": self.own_macro(run),
                        "own_tasks": self.own_count(run),
                        "seconds": run.seconds,
                    }
                    for run in self.runs
                },
            }
        )
        return whole

    def write_json(self, path: Path) -> None:
        """Writes :meth:`as_json` to ``path``."""
        save_json(self.as_json(), path)
