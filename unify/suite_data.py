"""A suite made ready for one format: tasks, the leak check, the tokenizer's texts, features."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from formats.base import Format
from formats.errors import ConfigError, UnifyError
from formats.examples import TextGeneration, texts_of
from formats.layout import Coder
from tasks import catalogue, suites
from tasks.cleaning import cleaned
from tasks.subsets import shortfalls
from tasks.suites import Suite
from tasks.task import Task
from tasks.unseen import Leak, check, met, refuse

from .data import Preparation, TaskFeatures
from .data.prepare import attempt
from .progress import progress
from .report.notes import COLUMNS


@dataclass
class Ready:
    """The tasks of a suite that a format supports, and the reasons for those that are left out."""

    suite: Suite
    seen: list[Task]
    unseen: list[Task]
    skipped: dict[str, str] = field(default_factory=dict)
    leaks: list[Leak] = field(default_factory=list)

    @property
    def held_out(self) -> list[Task]:
        """The seen tasks that are scored, too."""
        return self.seen if self.suite.held_out else []


def called(suite: Suite, side: Literal["seen", "unseen"]) -> str:
    """The suite's name; where it was given other tasks of ``side`` than its file has, these."""
    try:
        declared = suites.load(suite.name)
    except UnifyError:  # one that is made from another
        return suite.name
    names = getattr(suite, side)
    if names == getattr(declared, side):
        return suite.name
    return ", ".join(names) if len(names) <= 3 else f"{suite.name} with {len(names)} tasks"


def need_splits(ready: Ready) -> None:
    """Raises DeclarationError where a task that is to be scored has no split for it."""
    for task in (*ready.unseen, *ready.held_out):
        ready.suite.eval_split(task.name)


def suite_key(suite: Suite) -> str:
    """Changes when a seen task or the number of its rows does."""
    parts = [catalogue.load(n).fingerprint() for n in suite.seen] + [repr(suite)]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]


def suite_texts(suite: Suite, most: int) -> Iterator[str]:
    """At most about ``most`` texts of the seen tasks' training rows, and the words of their
    prompts. All seen tasks count, so that every format of a suite has the same tokenizer."""
    share = max(1, most // max(1, len(suite.seen)))
    for task in map(catalogue.load, suite.seen):
        yield task.prompt.instruction
        for space in (task.labels, task.types):
            if space is not None:
                yield from space.words
        limit = min(share, suite.limit("train") or share)
        split = suite.train_split(task.name)
        for example in task.examples(split, limit=limit, on_bad_row="skip"):
            yield from texts_of(example)
            if isinstance(example, TextGeneration):
                yield from example.gold or ()


def _usable(suite: Suite) -> tuple[Suite, dict[str, str]]:
    """What a run can use of ``suite``, cleaned where it asks for that; why the rest is left out."""
    reasons: dict[str, str] = {}
    if suite.clean:
        result = cleaned(suite)
        for name, leaks in result.removed.items():
            kinds = ", ".join(dict.fromkeys(leak.kind for leak in leaks))
            others = len({leak.unseen for leak in leaks}) - 1
            more = f" and {others} more" if others else ""
            reasons[name] = f"taken out of the seen tasks: {kinds} of {leaks[0].unseen}{more}"
        if suite.seen and not result.suite.seen:
            raise ConfigError(
                "a suite without seen tasks once it is clean",
                got=suite.name,
                fix="fewer kinds of leaks: suite.clean=[task,lineage,rows]",
            )
        suite = result.suite
    for side, names in suite.absent().items():
        if names:
            reasons[f"{len(names)} {side} tasks of {suite.name}"] = (
                f"no rows here: {', '.join(names)}"
            )
    return suite.here(), reasons


def load_suite(
    suite: Suite, format: Format, *, allow_leaks: bool = False, before: Sequence[str] = ()
) -> Ready:
    """Loads the tasks, cleans the suite if it asks for that, refuses leaks (LeakError) unless they
    are allowed, and drops unsupported types with the reason. ``before`` names tasks that the model
    was trained on earlier: they count as seen in the leak check."""
    suite, left_out = _usable(suite)
    ready = Ready(suite, [], [], left_out)
    for names, into in ((suite.seen, ready.seen), (suite.unseen, ready.unseen)):
        for name in names:
            task = catalogue.load(name)
            reason = format.refusal(task.type)
            if reason is None:
                into.append(task)
            else:
                ready.skipped[name] = f"{task.type.__name__} as {format.name}: {reason}"
    everything = replace(suite, seen=tuple(dict.fromkeys((*suite.seen, *before))))
    if suite.unseen and everything.seen:
        with progress("checking that unseen is unseen", len(suite.unseen), "tasks") as advance:
            ready.leaks = check(everything)
            advance(len(suite.unseen))
        refuse(ready.leaks, allow_leaks)
    return ready


def features(
    tasks: Sequence[Task],
    format: Format,
    coder: Coder,
    split: str | Mapping[str, str],
    title: str,
    **settings: Any,
) -> list[TaskFeatures]:
    """Prepared rows of each task's ``split`` (one for all, or task -> split); tasks without that
    split are left out. Processes that prepare the same tasks at once share the work."""
    given = {t.name: split if isinstance(split, str) else split.get(t.name) for t in tasks}
    found: dict[str, TaskFeatures] = {}
    with progress(title, len(tasks), "tasks") as advance:
        for wait in (False, True):  # first those that no other process is at
            for task in tasks:
                own = given[task.name]
                if task.name in found or own not in task.splits():
                    continue
                store = attempt(task, Preparation(format, coder, own, **settings), wait=wait)
                if store is not None:
                    found[task.name] = TaskFeatures(task.name, store)
                    advance(1, task.name)
    return [found[t.name] for t in tasks if t.name in found]


def data_notes(
    prepared: Mapping[str, Sequence[TaskFeatures]], tasks: Sequence[Task]
) -> list[dict[str, Any]]:
    """What was skipped, cut or cannot be held, per task and split, and how splits were derived."""
    notes: list[dict[str, Any]] = []
    for group in prepared.values():
        for item in group:
            facts = item.store.facts
            kept = {k: facts[k] for k in COLUMNS if facts.get(k)}
            if kept:
                notes.append(
                    {"task": item.name, "split": facts["split"], "rows": facts["rows"], **kept}
                )
    said = [(t.name, [*t.notes, *shortfalls(t)]) for t in tasks]
    notes += [{"task": name, "notes": lines} for name, lines in said if lines]
    return notes


def met_notes(ready: Ready) -> list[dict[str, Any]]:
    """For the report: which held-out rows training has met after all, in these or other tasks."""
    if not ready.suite.held_out:
        return []
    return [
        {
            "task": leak.unseen,
            "rows": leak.rows,
            "notes": f"{leak.count} of {leak.rows} held-out rows: {leak.what} as in the rows that "
            f"{leak.seen} trains on, first {leak.example}",
        }
        for leak in met(ready.suite, [t.name for t in ready.seen])
    ]


def leak_dict(leak: Leak) -> dict[str, Any]:
    """A leak as a report shows it."""
    return {**asdict(leak), "reason": str(leak)}
