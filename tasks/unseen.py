"""Is what a suite calls unseen really unseen? By task, cluster, lineage, rows and word runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from formats.errors import LeakError
from formats.examples import texts_of

from . import catalogue, published
from .ngrams import Hashes, among, hashes
from .suites import Suite
from .task import Task

GRAM = 13  # words; the length that GPT-3's overlap study settled on (Brown et al. 2020, app. C)
_BLOCK = 2000  # rows whose texts are in memory at a time


@dataclass(frozen=True)
class Leak:
    """One way in which training on ``seen`` touches the evaluation of ``unseen``.

    ``kind`` is one of ``suites.LEAKS``. ``count`` counts unseen rows, ``rows`` is
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
class _Part:
    """The rows of a task that a suite reads."""

    task: Task
    split: str
    limit: int | None

    def blocks(self) -> Iterator[tuple[list[str], Hashes]]:
        """Ids and hashes of a few thousand rows at a time."""
        examples = self.task.examples(self.split, limit=self.limit, on_bad_row="skip")
        while block := list(islice(examples, _BLOCK)):
            yield [e.id for e in block], hashes(map(texts_of, block), GRAM)


@dataclass(frozen=True)
class _Facts:
    """What a task is known by without its rows; of one identity are two names of one task."""

    name: str
    identity: str
    cluster: str
    lineage: frozenset[str]


def _facts(names: Iterable[str], named: Sequence[str]) -> Iterator[_Facts]:
    """Of tasks ``names``, of which those in ``named`` go by a published name."""
    for name in names:
        one = published.table()[name] if name in named else None
        if one is not None and one.task is None:
            yield _Facts(name, one.identity, one.cluster, one.lineage)
        else:
            own = catalogue.load(name if one is None or one.task is None else one.task)
            identity = own.name if one is None else one.identity
            yield _Facts(name, identity, own.cluster, own.lineage)


def _declared(seen: Sequence[_Facts], unseen: Sequence[_Facts]) -> Iterator[Leak]:
    for held in unseen:
        for task in seen:
            if task.identity == held.identity:
                other = "" if task.name == held.name else " by another name"
                yield Leak("task", task.name, held.name, f"the same task{other}")
                continue
            if task.cluster == held.cluster:
                yield Leak("cluster", task.name, held.name, f"cluster {held.cluster}")
            shared = task.lineage & held.lineage
            if shared:
                yield Leak("lineage", task.name, held.name, ", ".join(sorted(shared)))


@dataclass(frozen=True)
class _Hashes:
    """Distinct hashes of whole rows and of word runs, sorted, and the task they come from."""

    task: str
    rows: np.ndarray
    grams: np.ndarray

    @classmethod
    def of(cls, parts: Iterable[_Part], within: _Hashes | None = None) -> _Hashes:
        """Those of ``parts``; of them only the ones that are also ``within``."""
        rows = [np.zeros(0, dtype=np.uint64)]
        grams = [np.zeros(0, dtype=np.uint64)]
        name = ""
        for part in parts:
            name = part.task.name
            for _, block in part.blocks():
                own = (block.rows, block.grams)
                if within is not None:
                    own = own[0][within.in_rows(block)], own[1][within.in_grams(block)]
                rows.append(np.unique(own[0]))
                grams.append(np.unique(own[1]))
        return cls(name, np.unique(np.concatenate(rows)), np.unique(np.concatenate(grams)))

    def in_rows(self, block: Hashes) -> np.ndarray:
        return among(block.rows, self.rows)

    def in_grams(self, block: Hashes) -> np.ndarray:
        return among(block.grams, self.grams)

    def touched(self, block: Hashes) -> dict[str, np.ndarray]:
        """Per kind of leak the block's rows that share something."""
        return {
            "rows": np.flatnonzero(self.in_rows(block)),
            "ngrams": np.unique(block.owner[self.in_grams(block)]),
        }


_WHAT = {"rows": "equal rows", "ngrams": f"runs of {GRAM} words"}


def _overlaps(seen: Sequence[_Part], unseen: Sequence[_Part]) -> Iterator[Leak]:
    """Of the unseen rows only distinct hashes are kept, of the seen ones' those that are shared.

    So the unseen rows are read a second time where something is shared, which is rare.
    """
    held = _Hashes.of(unseen)
    found = [_Hashes.of([part], within=held) for part in seen]
    shared = [same for same in found if len(same.rows) or len(same.grams)]
    for part in unseen if shared else ():
        size = 0
        counts: Counter[tuple[int, str]] = Counter()
        first: dict[tuple[int, str], str] = {}
        for ids, block in part.blocks():
            size += len(ids)
            for number, same in enumerate(shared):
                for kind, touched in same.touched(block).items():
                    counts[number, kind] += len(touched)
                    if len(touched):
                        first.setdefault((number, kind), ids[touched[0]])
        for (number, kind), count in counts.items():
            if count:
                names = shared[number].task, part.task.name
                yield Leak(kind, *names, _WHAT[kind], count, size, first[number, kind])


def _trained(suite: Suite) -> list[_Part]:
    """What ``suite`` trains on; tasks without such a split have no rows."""
    tasks = [catalogue.load(name) for name in suite.seen]
    return [_Part(t, suite.train_split(t.name), suite.limit("train")) for t in tasks]


def _evaluated(suite: Suite, names: Iterable[str]) -> list[_Part]:
    found = [(catalogue.load(name), suite.eval_split(name)) for name in names]
    return [_Part(task, split, suite.limit(split)) for task, split in found]


def check(suite: Suite, texts: bool = True) -> list[Leak]:
    """All leaks of ``suite``: declared ones, then (with ``texts``) those found in the rows.

    Seen tasks are read on the split that they train on, unseen ones on their evaluation split,
    within the suite's limits; published tasks without rows are checked by what is declared of
    them. Raises DataError.
    """
    named = suite.named()
    seen = list(_facts(named["seen"], suite.seen_as))
    leaks = list(_declared(seen, list(_facts(named["unseen"], suite.unseen_as))))
    if texts and suite.seen and suite.unseen:
        leaks.extend(_overlaps(_trained(suite), _evaluated(suite, suite.unseen)))
    return leaks


def met(suite: Suite, names: Sequence[str]) -> list[Leak]:
    """What the evaluation rows of the seen tasks ``names`` share with the rows trained on.

    No reason to refuse, for published splits have such rows; but to be reported.
    """
    return list(_overlaps(_trained(suite), _evaluated(suite, names))) if names else []


def refuse(leaks: Sequence[Leak], allow_leaks: bool = False) -> None:
    """Raises LeakError with all leaks, unless they are explicitly allowed."""
    if leaks and not allow_leaks:
        raise LeakError(
            "unseen tasks that training would touch:\n"
            + "\n".join(f"  - {leak}" for leak in leaks),
            expected="no shared task, cluster, lineage, row or run of words",
            fix="take the task out of the suite, or set allow_leaks=true and report it",
        )
