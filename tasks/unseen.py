"""Is what a suite calls unseen really unseen? By task, cluster, lineage, rows and word runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from formats.errors import LeakError
from formats.examples import Example, texts_of

from . import catalogue
from .ngrams import gram_hashes, row_hashes
from .suites import Suite
from .task import Task

GRAM = 13  # words; the length that GPT-3's overlap study settled on (Brown et al. 2020, app. C)


@dataclass(frozen=True)
class Leak:
    """One way in which training on ``seen`` touches the evaluation of ``unseen``.

    ``kind`` is task, cluster, lineage, rows or ngrams. ``count`` counts unseen rows, ``rows`` is
    how many there are, ``example`` the id of the first one.
    """

    kind: str
    seen: str
    unseen: str
    what: str
    count: int = 0
    rows: int = 0
    example: str = ""

    def __str__(self) -> str:
        much = f" ({self.count} of {self.rows} rows, first {self.example})" if self.count else ""
        return f"{self.unseen}: {self.kind} also in seen {self.seen}: {self.what}{much}"


@dataclass(frozen=True)
class _Texts:
    """The hashes of a task's split."""

    task: str
    ids: list[str]
    rows: np.ndarray  # [rows]
    grams: np.ndarray  # [grams], with the row of each in `owner`
    owner: np.ndarray


def _texts(task: Task, split: str, limit: int | None) -> _Texts:
    ids: list[str] = []
    texts: list[str] = []
    numbers: list[int] = []
    rows: list[list[str]] = []
    example: Example
    for example in task.examples(split, limit=limit, on_bad_row="skip"):
        own = list(texts_of(example))
        rows.append(own)
        numbers.extend([len(ids)] * len(own))
        texts.extend(own)
        ids.append(example.id)
    grams, owner = gram_hashes(texts, GRAM)
    return _Texts(task.name, ids, row_hashes(rows), grams, np.array(numbers, dtype=int)[owner])


def _declared(seen: Sequence[Task], unseen: Sequence[Task]) -> Iterator[Leak]:
    for held in unseen:
        for task in seen:
            if task.name == held.name:
                yield Leak("task", task.name, held.name, "the same task")
                continue
            if task.cluster == held.cluster:
                yield Leak("cluster", task.name, held.name, f"cluster {held.cluster}")
            shared = task.lineage & held.lineage
            if shared:
                yield Leak("lineage", task.name, held.name, ", ".join(sorted(shared)))


def _shared(kind: str, what: str, seen: _Texts, held: _Texts, hits: np.ndarray) -> Iterator[Leak]:
    found = np.unique(hits)
    if len(found):
        yield Leak(
            kind, seen.task, held.task, what, len(found), len(held.ids), held.ids[int(found[0])]
        )


def _overlaps(seen: Sequence[_Texts], unseen: Sequence[_Texts]) -> Iterator[Leak]:
    all_rows = np.unique(np.concatenate([t.rows for t in seen]))
    all_grams = np.unique(np.concatenate([t.grams for t in seen]))
    for held in unseen:
        # Nearly nothing overlaps: one look at all seen tasks spares the look at each.
        rows, grams = np.isin(held.rows, all_rows), np.isin(held.grams, all_grams)
        for task in seen:
            if rows.any():
                hits = np.flatnonzero(np.isin(held.rows, task.rows))
                yield from _shared("rows", "equal rows", task, held, hits)
            if grams.any():
                hits = held.owner[np.isin(held.grams, task.grams)]
                yield from _shared("ngrams", f"runs of {GRAM} words", task, held, hits)


def check(suite: Suite, train_split: str = "train", texts: bool = True) -> list[Leak]:
    """All leaks of ``suite``: declared ones, then (with ``texts``) those found in the rows.

    Seen tasks are read on ``train_split``, unseen ones on their evaluation split, within the
    suite's limits. Raises DataError.
    """
    seen = [catalogue.load(name) for name in suite.seen]
    unseen = [catalogue.load(name) for name in suite.unseen]
    leaks = list(_declared(seen, unseen))
    if texts and seen and unseen:
        trained = [_texts(t, train_split, suite.limit(train_split)) for t in seen]
        held = []
        for task in unseen:
            split = suite.eval_split(task.name)
            held.append(_texts(task, split, suite.limit(split)))
        leaks.extend(_overlaps(trained, held))
    return leaks


def refuse(leaks: Sequence[Leak], allow_leaks: bool = False) -> None:
    """Raises LeakError with all leaks, unless they are explicitly allowed."""
    if leaks and not allow_leaks:
        raise LeakError(
            "unseen tasks that training would touch:\n"
            + "\n".join(f"  - {leak}" for leak in leaks),
            expected="no shared task, cluster, lineage, row or run of words",
            fix="take the task out of the suite, or set allow_leaks=true and report it",
        )
