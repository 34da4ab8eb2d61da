"""A suite made ready for one format: tasks, the leak check, the tokenizer's texts, features."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from formats.base import Format
from formats.examples import TextGeneration, texts_of
from formats.layout import Coder
from tasks import catalogue
from tasks.suites import Suite
from tasks.task import Task
from tasks.unseen import Leak, check, refuse

from .data import Preparation, TaskFeatures, prepare
from .progress import progress


@dataclass
class Ready:
    """The tasks of a suite that a format supports, and the reasons for those that are left out."""

    suite: Suite
    seen: list[Task]
    unseen: list[Task]
    skipped: dict[str, str] = field(default_factory=dict)
    leaks: list[Leak] = field(default_factory=list)


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
        for example in task.examples("train", limit=limit, on_bad_row="skip"):
            yield from texts_of(example)
            if isinstance(example, TextGeneration):
                yield from example.gold or ()


def load_suite(
    suite: Suite, format: Format, *, allow_leaks: bool = False, before: Sequence[str] = ()
) -> Ready:
    """Loads the tasks, refuses leaks (LeakError) unless they are allowed, and drops unsupported
    types with the reason. ``before`` names tasks that the model was trained on earlier: they count
    as seen in the leak check."""
    ready = Ready(suite, [], [])
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
    tasks: Sequence[Task], format: Format, coder: Coder, split: str, title: str, **settings: Any
) -> list[TaskFeatures]:
    """Prepared rows of each task's ``split``; tasks without that split are left out."""
    preparation = Preparation(format, coder, split, **settings)
    out = []
    with progress(title, len(tasks), "tasks") as advance:
        for task in tasks:
            if split in task.splits():
                out.append(TaskFeatures(task.name, prepare(task, preparation)))
            advance(1, task.name)
    return out


def data_notes(
    prepared: Mapping[str, Sequence[TaskFeatures]], tasks: Sequence[Task]
) -> list[dict[str, Any]]:
    """What was skipped, cut or cannot be held, per task and split, and how splits were derived."""
    notes: list[dict[str, Any]] = []
    for group in prepared.values():
        for item in group:
            facts = item.store.facts
            kept = {
                k: facts[k]
                for k in ("skipped", "unheld", "unlabelled", "cut_rows", "cut_tokens")
                if facts.get(k)
            }
            if kept:
                notes.append(
                    {"task": item.name, "split": facts["split"], "rows": facts["rows"], **kept}
                )
    notes += [{"task": t.name, "notes": list(t.notes)} for t in tasks if t.notes]
    return notes


def leak_dict(leak: Leak) -> dict[str, Any]:
    """A leak as a report shows it."""
    return {**asdict(leak), "reason": str(leak)}
