"""Trainings on published rows, each against its trivial methods and a bag of words.

Runs `unify train experiment=<name>` one after the other, each a process of its own, and reads what
its report says of the rows that it held out. The bag of words (`_bag_of_words.py`) is fitted to the
rows that the run trained on and scored on the rows that the run was scored on, by the same metric.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import _bag_of_words
from _bench import finish, machine, parser, train

from formats.examples import Example
from tasks import catalogue, metrics
from tasks.suites import Suite
from unify import build
from unify.config import compose

EXPERIMENTS = (
    "real_classify_extract",
    "real_classify_entail",
    "real_classify_generate",
    "real_entail",
    "real_labels",
    "real_choose",
    "real_relate",
    "real_rate",
    "real_answer",
    "real_tag",
    "real_tag_one_pass",
    "real_write",
)
HEAD = (
    "experiment", "task", "format", "metric", "value", "best trivial", "bag of words", "rows",
    "CPU minutes",
)  # fmt: skip


def rows(suite: Suite, task: str, split: str, limit: str) -> list[Example]:
    """The rows of a split as the suite's runs read them."""
    loaded = catalogue.load(task)
    return list(loaded.examples(split, limit=suite.limit(limit), on_bad_row="raise"))


def linear(suite: Suite, name: str) -> tuple[float, int]:
    """The bag of words' value on the task's held-out rows, and how many rows it was fitted to."""
    task, split = catalogue.load(name), suite.eval_split(name)
    known = [e for e in rows(suite, name, suite.train_split(name), "train") if e.gold is not None]
    asked = [e for e in rows(suite, name, split, split) if e.gold is not None]
    metric = metrics.metric(task.metric, task.positive)
    answers = _bag_of_words.answers(known, asked)
    return metric.reduce(metric.rows(metrics.records(asked, answers))), len(known)


def measured(
    name: str, overrides: Sequence[str], folder: Path, fitted: dict[Any, tuple[float, int]]
) -> Iterable[dict[str, Any]]:
    """One entry per task of an experiment. ``fitted`` keeps the bags of words that runs share."""
    suite = build.build_suite(compose("train", [f"experiment={name}", *overrides])["suite"])
    run = train(name, [f"experiment={name}", *overrides], folder)
    for task, entry in run.report["held_out"].items():
        key = (task, suite.train, suite.evaluate, tuple(sorted(suite.limits.items())))
        if key not in fitted:
            fitted[key] = linear(suite, task)
        bag, known = fitted[key]
        yield {
            "experiment": name,
            "task": task,
            "known": known,
            "bag_of_words": bag,
            "seconds": run.seconds,
            "cpu": run.cpu,
            **{k: entry[k] for k in ("format", "metric", "value", "low", "high", "rows")},
            "majority": entry["baselines"]["majority"],
            "trivial": entry["baselines"],
        }


def cells(found: Mapping[str, Any], first: bool) -> list[str]:
    """A line of the table, in points; the minutes, of all cores together, stand in an experiment's
    first line."""
    wide = 50 * (found["high"] - found["low"])
    best = max(found["trivial"], key=lambda name: found["trivial"][name])
    sure = "**" if found["low"] > max(found["bag_of_words"], found["trivial"][best]) else ""
    return [
        found["experiment"] if first else "",
        found["task"],
        found["format"],
        found["metric"],
        f"{sure}{100 * found['value']:.1f}{sure} ± {wide:.1f}",
        f"{100 * found['trivial'][best]:.1f} ({best})",
        f"{100 * found['bag_of_words']:.1f}",
        f"{found['known']:,} / {found['rows']:,}",
        f"{found['cpu'] / 60:.1f}" if first else "",
    ]


def markdown(entries: Sequence[Mapping[str, Any]]) -> str:
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    before = ""
    for found in entries:
        lines.append("| " + " | ".join(cells(found, found["experiment"] != before)) + " |")
        before = found["experiment"]
    return "\n".join(lines)


def judge(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """Where a run is not above every trivial method and the bag of words, or takes more than twelve
    CPU minutes, six on two cores. (Bold figures are above with their whole interval.)"""
    missed = []
    for found in entries:
        names = {**found["trivial"], "bag of words": found["bag_of_words"]}
        over = {name: value for name, value in names.items() if found["value"] <= value}
        if over:
            best = max(over, key=lambda name: over[name])
            missed.append(
                f"{found['experiment']} {found['task']}: {100 * found['value']:.1f} "
                f"({100 * found['low']:.1f} to {100 * found['high']:.1f}) against "
                f"{100 * over[best]:.1f} of {best}"
            )
    slow = {e["experiment"]: e["cpu"] for e in entries if e["cpu"] > 720}
    return missed + [f"{name}: {seconds / 60:.1f} CPU minutes" for name, seconds in slow.items()]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--experiments", default=",".join(EXPERIMENTS))
    arguments.add_argument(
        "--runs", type=Path, default=Path("runs/real"), help="folder of the runs"
    )
    arguments.add_argument(
        "--overrides",
        nargs=argparse.REMAINDER,
        default=[],
        help="key=value of unify train; stands last",
    )
    options = arguments.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    entries: list[dict[str, Any]] = []
    fitted: dict[Any, tuple[float, int]] = {}
    print(machine(), flush=True)
    for name in options.experiments.split(","):
        for found in measured(name, options.overrides, options.runs, fitted):
            entries.append(found)
            print(" ".join(cells(found, True)), flush=True)
    print(f"\n{markdown(entries)}")
    bar = "above every trivial method and the bag of words, within twelve CPU minutes"
    finish("real_runs", entries, judge(entries), options.json, bar)


if __name__ == "__main__":
    main()
