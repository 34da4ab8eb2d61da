"""Unseen-task scores of ``unify train`` per format and seed, against the best trivial method.

Each run is a process of its own, in a temporary folder: suite=sample with the default budget. The
macro average is taken over all unseen tasks that the format supports, and again over those that
every compared format supports.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from _bench import finish, parser, table, train

FORMAT = "extract"  # the default, which the bar is for
POINTS, SECONDS = 0.20, 300.0
Tasks = dict[str, dict[str, Any]]


def one(format: str, seed: int, overrides: Sequence[str], folder: Path) -> dict[str, Any]:
    """One run's tasks and its wall-clock seconds, start of Python included."""
    arguments = [f"format={format}", f"seed={seed}", "suite=sample", *overrides]
    run = train(f"{format}-{seed}", arguments, folder)
    tasks = {
        task: {
            "type": entry["type"],
            "value": entry["value"],
            "baseline": max(entry["baselines"].values()),
        }
        for task, entry in unseen(run.report).items()
    }
    return {"seconds": run.seconds, "tasks": tasks}


def unseen(report: Mapping[str, Any]) -> Mapping[str, Any]:
    """The report's entries of unseen tasks, by name."""
    entries: Mapping[str, Any] = report["unseen"] if "unseen" in report else report["tasks"]
    return entries


def mean(tasks: Tasks, key: str, names: Sequence[str] | None = None) -> float:
    return statistics.fmean(tasks[n][key] for n in names or tasks)


def spread(values: Sequence[float], scale: float = 100) -> str:
    """Mean ± standard deviation."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{scale * statistics.fmean(values):.1f} ± {scale * deviation:.1f}"


def per_format(runs: Mapping[str, Mapping[int, dict[str, Any]]]) -> str:
    first = [next(iter(found.values()))["tasks"] for found in runs.values()]
    shared = sorted(set.intersection(*(set(tasks) for tasks in first)))
    rows = []
    for format, found in runs.items():
        tasks = [r["tasks"] for r in found.values()]
        gains = [mean(t, "value") - mean(t, "baseline") for t in tasks]
        rows.append(
            [
                format,
                len(tasks[0]),
                spread([mean(t, "value") for t in tasks]),
                spread([mean(t, "baseline") for t in tasks]),
                spread(gains),
                f"{100 * min(gains):+.1f}",
                spread([mean(t, "value", shared) for t in tasks]) if shared else "-",
                spread([r["seconds"] for r in found.values()], 1),
            ]
        )
    head = [
        "format",
        "tasks",
        "macro",
        "best trivial",
        "gain",
        "smallest gain",
        f"macro of {len(shared)} shared tasks",
        "seconds",
    ]
    return table(head, rows)


def per_task(runs: Mapping[str, Mapping[int, dict[str, Any]]]) -> str:
    kinds: dict[str, str] = {}
    for found in runs.values():
        for run in found.values():
            kinds.update({name: entry["type"] for name, entry in run["tasks"].items()})
    rows = []
    for name, kind in sorted(kinds.items(), key=lambda item: (item[1], item[0])):
        cells, trivial = [], ""
        for found in runs.values():
            own = [r["tasks"][name] for r in found.values() if name in r["tasks"]]
            cells.append(spread([o["value"] for o in own]) if own else "-")
            trivial = spread([o["baseline"] for o in own]) if own else trivial
        rows.append([name, kind, *cells, trivial])
    return table(["task", "type", *runs, "best trivial"], rows)


def judge(runs: Mapping[str, Mapping[int, dict[str, Any]]]) -> list[str]:
    """Where the default format misses the bar."""
    missed = []
    for seed, run in runs.get(FORMAT, {}).items():
        gain = mean(run["tasks"], "value") - mean(run["tasks"], "baseline")
        if gain < POINTS:
            missed.append(f"{FORMAT} seed {seed}: {100 * gain:+.1f} points over the best trivial")
        if run["seconds"] >= SECONDS:
            missed.append(f"{FORMAT} seed {seed}: {run['seconds']:.0f} s")
    return missed or ([] if FORMAT in runs else [f"{FORMAT} was not run"])


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--formats", default="extract,generate,entail")
    arguments.add_argument("--seeds", default="0,1,2")
    arguments.add_argument(
        "--overrides",
        nargs=argparse.REMAINDER,
        default=[],
        help="key=value of unify train; stands last",
    )
    options = arguments.parse_args()
    runs: dict[str, dict[int, dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for format in options.formats.split(","):
            for seed in map(int, options.seeds.split(",")):
                run = one(format, seed, options.overrides, Path(folder))
                runs.setdefault(format, {})[seed] = run
                value, trivial = mean(run["tasks"], "value"), mean(run["tasks"], "baseline")
                print(
                    f"{format} seed {seed}: {100 * value:.1f}, best trivial {100 * trivial:.1f}, "
                    f"{run['seconds']:.0f} s",
                    flush=True,
                )
    print(f"\n{per_format(runs)}\n\n{per_task(runs)}")
    bar = f"{FORMAT}: >= {100 * POINTS:.0f} points over the best trivial, < {SECONDS:.0f} s"
    finish("formats_compared", runs, judge(runs), options.json, bar)


if __name__ == "__main__":
    main()
