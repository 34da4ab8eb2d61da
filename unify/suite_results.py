"""What a model scores on a suite's tasks, and which of them it cannot answer or has met before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from formats.base import Format
from tasks.task import Task

from .backbones import Backbone
from .data import Preparation, TaskFeatures
from .evaluation import Evaluation, TaskResult, evaluate_task
from .few_shot import FewShot, evaluate_shots
from .kept import weights
from .progress import progress
from .suite_data import Ready, features


def answerable(
    backbone: Backbone, format: Format, tasks: Sequence[Task], skipped: dict[str, str]
) -> list[Task]:
    """The tasks that the backbone can answer; the others go to ``skipped`` with the reason."""
    kept = []
    for task in tasks:
        reason = backbone.refusal(task.type, format.name)
        if reason is None:
            kept.append(task)
        else:
            skipped[task.name] = reason
    return kept


def evaluate_suite(
    backbone: Backbone,
    ready: Ready,
    format: Format,
    settings: Evaluation,
    on_bad_row: str,
    few: FewShot | None = None,
    held_out: bool = False,
) -> tuple[list[TaskResult], list[TaskFeatures]]:
    """Every unseen task that format and backbone support: zero-shot, or as ``few`` says.

    With ``held_out`` the seen ones instead, on rows that training leaves out, where the suite asks
    for them.
    """
    suite = ready.suite
    asked = ready.held_out if held_out else ready.unseen
    if not asked:
        return [], []
    tasks = answerable(backbone, format, asked, ready.skipped)
    results: list[TaskResult] = []
    prepared: list[TaskFeatures] = []
    if settings.predictions is not None:
        settings = replace(settings, weights=weights(backbone))
    for task in tasks:
        split = suite.eval_split(task.name)
        if few is not None:
            results += evaluate_shots(
                backbone,
                task,
                format,
                split,
                few,
                settings,
                limits=suite.limit,
                on_bad_row=on_bad_row,
            )
            continue
        common: dict[str, Any] = {"limit": suite.limit(split), "on_bad_row": on_bad_row}
        found = features([task], format, backbone.coder, split, f"preparing {task.name}", **common)
        prepared += found
        store = found[0].store
        preparation = Preparation(format, backbone.coder, split, **common)
        with progress(f"evaluating {task.name}", len(store)) as advance:
            results.append(evaluate_task(backbone, task, preparation, store, settings, advance))
    met = list(dict.fromkeys(r.setting for r in results))
    return sorted(results, key=lambda r: met.index(r.setting)), prepared


def contacts(trained_on: Sequence[str], evaluated: Sequence[Task]) -> list[str]:
    """Evaluated tasks whose source rows the backbone is known to have met before this run."""
    known = set(trained_on)
    return [
        f"{task.name}: the backbone was trained on {', '.join(sorted(task.lineage & known))}"
        for task in evaluated
        if task.lineage & known
    ]
