"""Few-shot subsets: ``trec@k16s13`` is ``trec`` with 16 training rows per label, by seed 13.

``n16s13`` has 16 training rows in all. Training rows are drawn from the published (or derived)
``train``; ``validation`` has as many, drawn alike from the rest, and no other split changes (Gao et
al. 2021, LM-BFF, section 3). Where a task's only labelled evaluation is its ``validation``, that
becomes the ``test`` of the subset, as there.

Which rows are drawn follows from the seed and the row numbers by a hash: the same everywhere.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from formats.errors import DataError, DeclarationError
from formats.examples import Example, MultiLabelClassification, TokenClassification

from .permute import mix
from .sources import Files
from .task import Skipped, Task

if TYPE_CHECKING:
    from datasets import Dataset

_DRAW = 4  # the word that keeps this use of a seed apart from those of the sampler
_SUFFIX = re.compile(r"([kn])([1-9][0-9]*)s(0|[1-9][0-9]*)")
_BALANCED = ("classify", "multilabel", "relate", "tag")


@dataclass(frozen=True)
class Subset:
    """``size`` rows per label (``balanced``) or in all, by ``seed``."""

    size: int
    seed: int
    balanced: bool = True

    def __str__(self) -> str:
        return f"{'k' if self.balanced else 'n'}{self.size}s{self.seed}"


@dataclass(frozen=True)
class Drawn:
    """Row numbers of the parent's ``train``, ascending.

    ``short`` counts, for labels with fewer than the rows that were asked for, those that there
    are: ``(split, label): rows``. ``unread`` rows cannot be drawn, since they make no example.
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    short: dict[tuple[str, str], int]
    unread: int = 0


def parse(name: str) -> tuple[str, Subset | None]:
    """``trec@k16s13`` -> ``("trec", Subset(16, 13))``; any other name -> ``(name, None)``.

    Raises DeclarationError for a suffix that says something else.
    """
    parent, at, suffix = name.rpartition("@")
    if not at:
        return name, None
    found = _SUFFIX.fullmatch(suffix)
    if found is None:
        raise DeclarationError(
            "a subset that cannot be read",
            got=name,
            expected=f"{parent}@k16s13 (16 rows per label, seed 13) or {parent}@n16s13 (16 in all)",
        )
    letter, size, seed = found.groups()
    return parent, Subset(int(size), int(seed), letter == "k")


def labels_of(example: Example) -> tuple[str, ...]:
    """What the row of ``example`` counts as when subsets are balanced; several for some types."""
    gold = example.gold
    if isinstance(example, MultiLabelClassification):
        return tuple(sorted(example.gold or ())) or ("(none)",)
    if isinstance(example, TokenClassification):
        return tuple(sorted({s.type for s in example.gold or ()})) or ("(none)",)
    return (gold,) if isinstance(gold, str) else ()


def ordered(rows: Iterable[int], seed: int) -> list[int]:
    """``rows`` in the order in which ``seed`` draws them; which others there are is no matter."""
    numbers = np.array(sorted(rows), dtype=np.int64)
    keys = mix(seed, _DRAW, numbers)
    return [int(n) for n in numbers[np.argsort(keys, kind="stable")]]


def draw(labels: Mapping[int, tuple[str, ...]], subset: Subset, names: Iterable[str] = ()) -> Drawn:
    """The rows of a subset, from the labels of all rows (unread where it is not balanced).

    ``names`` are labels that there might be, so that one without any row is short too.

    Balanced, rows are walked in the seed's order, and one is taken when one of its labels has less
    than ``size`` rows: rows of several labels may give a label more, never less.
    """
    left = ordered(labels, subset.seed)
    parts: list[tuple[int, ...]] = []
    short: dict[tuple[str, str], int] = {}
    known = sorted({*names, *(name for own in labels.values() for name in own)})
    for split in ("train", "validation"):
        taken: list[int] = []
        have: Counter[str] = Counter()
        for row in left:
            own = labels[row] if subset.balanced else ("",)
            if any(have[name] < subset.size for name in own):
                have.update(own)
                taken.append(row)
        if subset.balanced:
            short.update({(split, n): have[n] for n in known if have[n] < subset.size})
        elif len(taken) < subset.size:
            short[split, ""] = len(taken)
        chosen = set(taken)
        left = [row for row in left if row not in chosen]
        parts.append(tuple(sorted(taken)))
    return Drawn(parts[0], parts[1], short)


_drawn: dict[tuple[str, Subset], Drawn] = {}  # by the parent's fingerprint: tasks are made often


@dataclass(frozen=True, eq=False)
class SubsetRows:
    """The source of a subset's rows: those of ``parent``."""

    parent: Task
    subset: Subset

    @cached_property
    def origins(self) -> dict[str, str]:
        """The parent's split behind each split."""
        theirs = self.parent.splits()
        others = [s for s in theirs if s not in ("train", "validation")]
        found = {"train": "train", "validation": "train", **{s: s for s in others}}
        graded = [s for s in others if s not in self.parent.unlabelled]
        if "test" not in graded and "validation" in theirs:
            found["test"] = "validation"
        return found

    @property
    def drawn(self) -> Drawn:
        """Which rows of the parent's ``train``. Raises DataError."""
        key = (self.parent.fingerprint(), self.subset)
        if key not in _drawn:
            skipped = Skipped()
            examples = self.parent.examples("train", on_bad_row="skip", skipped=skipped)
            labels = {int(e.id.rpartition("/")[2]): labels_of(e) for e in examples}
            space = self.parent.labels or self.parent.types
            found = draw(labels, self.subset, space.names if space else ())
            _drawn[key] = replace(found, unread=skipped.count)
        return _drawn[key]

    def splits(self) -> tuple[str, ...]:
        return tuple(self.origins)

    def load(self, split: str) -> Dataset:
        rows = self.parent.rows(self.origins[split])
        if split not in ("train", "validation"):
            return rows
        chosen = getattr(self.drawn, split)
        if not chosen:
            raise DataError(
                "no rows are left for a subset's validation",
                got=f"{len(rows)} training rows",
                fix="ask for fewer training rows",
            )
        return rows.select(chosen)

    def stamp(self) -> Any:
        return [str(self.subset), self.parent.fingerprint()]

    def place(self, split: str) -> str:
        origin, derive = self.origins[split], self.parent.derive
        made = derive is not None and origin in derive.parts
        return self.parent.source.place(derive.base if derive and made else origin)

    def at(self, name: str) -> Path:
        """A file beside those of the parent's splits, see :meth:`Files.at`."""
        assert isinstance(self.parent.source, Files)
        return self.parent.source.at(name)


def shrunk(task: Task, subset: Subset) -> Task:
    """``task`` with the training rows of ``subset`` alone. Raises DeclarationError."""
    name = f"{task.name}@{subset}"
    if "train" not in task.splits() or "train" in task.unlabelled:
        raise DeclarationError(
            "a subset of a task without labelled training rows",
            task=name,
            got=task.splits(),
            expected="a split `train`",
        )
    spread = task.kind in _BALANCED and (task.labels or task.types) is not None
    if not spread:  # no label is shared by rows, so that there is nothing to balance
        subset = replace(subset, balanced=False)
    source = SubsetRows(task, subset)
    each = "rows per label" if subset.balanced else "rows"
    notes = [
        f"{subset.size} {each} of train, as many of its rest as validation, seed {subset.seed}"
    ]
    if source.origins.get("test") == "validation":
        notes.append("test is the published validation")
    as_published = {s for s, o in source.origins.items() if s == o != "train"}
    return replace(
        task,
        name=name,
        source=source,
        derive=None,
        unlabelled=task.unlabelled & as_published,
        broken={
            s: task.broken[o]
            for s, o in source.origins.items()
            if o != "train" and task.broken.get(o)
        },
        notes=(*task.notes, *notes),
    )


def shortfalls(task: Task) -> Iterator[str]:
    """What a subset could not draw: labels that have fewer rows than were asked for, and rows that
    make no example.

    Nothing for a task that is no subset. Raises DataError.
    """
    if isinstance(task.source, SubsetRows):
        size, drawn = task.source.subset.size, task.source.drawn
        for (split, label), have in drawn.short.items():
            what = f"label {label}" if label else "all rows"
            yield f"{split}: {what}: {have} of {size} rows"
        if drawn.unread:
            yield f"{drawn.unread} published rows make no example and were not drawn from"
