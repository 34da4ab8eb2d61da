"""A task's rows, rendered and tokenized once, cached under what shapes them."""

from __future__ import annotations

import gc
import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import formats
import tasks
from formats.base import Format
from formats.errors import DataError, RowError
from formats.examples import Example
from formats.features import FeatureRow, Group, featurize
from formats.layout import Coder
from formats.store import FeatureStore, write
from tasks.sources import cache_root
from tasks.task import Skipped, Task

from ..garbage import young_only

CHUNK = 512  # rows that are rendered and tokenized together


@cache
def _code() -> str:
    """A digest of the code that turns rows into examples and examples into features."""
    digest = hashlib.sha256()
    for package in (formats, tasks):
        for path in sorted(Path(package.__file__).parent.rglob("*.py")):  # type: ignore[arg-type]
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@dataclass(frozen=True)
class Preparation:
    """What shapes a task's features besides the task: everything here enters the fingerprint.

    ``limit`` is in rows. ``templates``: ``first`` asks every row with the first template, ``all``
    spreads the rows over all of them.
    """

    format: Format
    coder: Coder
    split: str
    train: bool = False
    limit: int | None = None
    templates: Literal["first", "all"] = "first"
    on_bad_row: Literal["raise", "skip"] = "raise"

    def template(self, row: int) -> int:
        """Which template row number ``row`` is asked with."""
        return 0 if self.templates == "first" else row

    def fingerprint(self, task: Task) -> str:
        parts = (
            task.fingerprint(),
            repr(task.prompt),
            repr(self.format),
            self.format.name,
            self.coder.fingerprint(),
            self.split,
            self.train,
            self.limit,
            self.templates,
            self.on_bad_row,
            _code(),
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]


@dataclass(frozen=True)
class TaskFeatures:
    """A task's name and its prepared rows."""

    name: str
    store: FeatureStore


def row_number(example: Example) -> int:
    """The row's number in its split, which its id ends with."""
    return int(example.id.rsplit("/", 1)[1])


def feature_rows(
    task: Task, preparation: Preparation, facts: dict[str, Any]
) -> Iterator[FeatureRow]:
    """Feature rows of a task's split, in row order. Fills ``facts`` with what was left out and
    why: ``skipped`` rows, ``unlabelled`` ones (which do not train), and rows whose answer the
    format cannot hold (``unheld``)."""
    p = preparation
    skipped = Skipped()
    unheld: Counter[str] = Counter()
    rows = unlabelled = 0
    examples = task.examples(p.split, limit=p.limit, on_bad_row=p.on_bad_row, skipped=skipped)
    while chunk := list(islice(examples, CHUNK)):
        groups = []
        for example in chunk:
            row = row_number(example)
            template = p.template(row)
            if example.gold is None:
                unlabelled += 1
                if p.train:
                    continue
            else:
                reason = p.format.holds(example, task.prompt, template=template)
                if reason is not None:
                    unheld[reason] += 1
            instances = p.format.encode(example, task.prompt, template=template, sample=p.train)
            groups.append(Group(row, list(instances)))
        rows += len(groups)
        try:
            features = list(featurize(groups, p.coder, train=p.train))
        except RowError as error:
            if p.on_bad_row == "raise":
                raise error.at(task=task.name, split=p.split) from None
            before = skipped.count
            features = list(_one_by_one(groups, p, skipped))
            rows -= skipped.count - before
        del groups, chunk
        yield from features
        del features
        gc.collect(0)
    facts.update(
        task=task.name,
        split=p.split,
        rows=rows,
        unlabelled=unlabelled,
        skipped=_plain(skipped),
        unheld=dict(unheld),
        mended={reason: count for reason, count in skipped.mended.items() if count},
    )


def _plain(skipped: Skipped) -> dict[str, Any]:
    return (
        {
            "rows": skipped.count,
            "reasons": dict(skipped.reasons),
            "first": [str(error) for error in skipped.first],
        }
        if skipped.count
        else {}
    )


def _one_by_one(groups: list[Group], p: Preparation, skipped: Skipped) -> Iterator[FeatureRow]:
    for group in groups:
        try:
            yield from list(featurize([group], p.coder, train=p.train))
        except RowError as error:
            skipped.add(error)


def prepare(task: Task, preparation: Preparation, cache: Path | None = None) -> FeatureStore:
    """The task's feature file, made if it is not in the cache yet."""
    found = attempt(task, preparation, cache, wait=True)
    assert found is not None
    return found


def attempt(
    task: Task, preparation: Preparation, cache: Path | None = None, wait: bool = False
) -> FeatureStore | None:
    """As :func:`prepare`; but None where another process makes the file just now, unless this one
    is to ``wait`` for it."""
    folder = (cache or cache_root()) / "features"
    key = preparation.fingerprint(task)
    path = folder / f"{task.name.replace('/', '_')}-{preparation.split}-{key}.arrow"
    store = _opened(path)
    if store is not None:
        return store
    with locked(folder, key, wait) as ours:
        if not ours:
            return None
        store = _opened(path)  # another process may have made it meanwhile
        if store is None:
            facts: dict[str, Any] = {}
            with young_only():
                write(path, feature_rows(task, preparation, facts), facts)
            store = FeatureStore(path)
    return store


def _opened(path: Path) -> FeatureStore | None:
    if not path.exists():
        return None
    try:
        return FeatureStore(path)
    except DataError:  # torn by another cause than us: it is a cache, make it again
        path.unlink(missing_ok=True)
        return None


@contextmanager
def locked(folder: Path, key: str, wait: bool) -> Iterator[bool]:
    """Whether this process alone works at ``key`` (hexadecimal) in ``folder``, as far as the file
    system can tell: processes of other machines count where it is shared. A lock ends with its
    process. One key at a time."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    place, how = int(key[:15], 16), fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)
    with (folder / ".lock").open("ab") as file:  # a byte of it for each key
        try:
            fcntl.lockf(file, how, 1, place)
        except (BlockingIOError, PermissionError):
            yield False
            return
        except OSError:  # no locks here: at worst the same file is made twice
            pass
        yield True
