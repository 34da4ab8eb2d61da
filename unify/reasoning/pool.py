"""Where the worked examples of a run come from: rows of a task, or the configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from formats.errors import ConfigError
from tasks import catalogue
from tasks.task import Task

from .demos import Demo, answered, worked
from .questions import Question, questions

WORKED = "worked"  # as `demos_from`: the configuration's examples, whatever the task has


@dataclass(frozen=True)
class Pool:
    """``origin`` is a task's name, or ``worked``; the few examples of the configuration are all
    shown where more are asked for."""

    demos: tuple[Demo, ...]
    origin: str

    def most(self, k: int) -> int:
        return min(k, len(self.demos)) if self.origin == WORKED else k


def source(task: Task, settings: Mapping[str, Any]) -> Task:
    """The task whose rows demonstrate: ``task`` itself unless ``demos_from`` names another."""
    name = settings["demos_from"]
    return task if name in (None, WORKED) else catalogue.load(str(name))


def asked(task: Task, settings: Mapping[str, Any], split: str) -> list[Question]:
    """Questions without their answers: of the split that demonstrates; where the task itself has
    no such split, of ``split``, as Auto-CoT's authors take them. Raises ConfigError."""
    found = source(task, settings)
    wanted = settings["demos_split"]
    if wanted not in found.splits() and found is task:
        wanted = split
    return _rows(found, wanted, settings["pool"])


def demonstrations(
    task: Task, settings: Mapping[str, Any], split: str, direct: bool
) -> Pool:
    """Rows of the source that show their steps (or, for ``direct`` answers, any); where it has
    none, the configuration's examples for the kind of answer that ``split`` of ``task`` wants.
    Raises ConfigError without any."""
    found = source(task, settings)
    if settings["demos_from"] != WORKED and settings["demos_split"] in found.splits():
        rows = _rows(found, settings["demos_split"], settings["pool"])
        made = [answered(q) if direct else worked(q) for q in rows]
        if own := tuple(d for d in made if d is not None):
            return Pool(own, found.name)
    (row,) = _rows(task, split, 1)
    given = of_kind(settings["worked"], row) if found is task else ()
    if not given:
        raise ConfigError(
            f"no worked example for {task.name}",
            got=f"rows of {found.name}, of which none shows its steps",
            fix=f"demos_from=<a task whose rows do>, or reasoning.worked.{row.kind}=[…]",
        )
    if direct:
        given = tuple(replace(d, rationale="") for d in given)
    return Pool(given, WORKED)


def of_kind(given: Mapping[str, Sequence[Mapping[str, Any]]], row: Question) -> tuple[Demo, ...]:
    """The configuration's examples for questions like ``row``; those whose answer is none of its
    label words are of no use."""
    made = [Demo(**{k: str(v) for k, v in d.items()}) for d in given.get(row.kind) or ()]
    return tuple(d for d in made if row.kind != "label" or d.answer in row.options)


def _rows(task: Task, split: str, most: int) -> list[Question]:
    if split not in task.splits():
        raise ConfigError(
            f"{task.name} has no rows to demonstrate with",
            got=split,
            expected=" or ".join(task.splits()),
            fix="demos_from=<a task with training rows>",
        )
    return questions(task.examples(split, most, on_bad_row="skip"), task)
