"""What an importer finds: tasks that would be written, and files that it cannot use."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from formats.errors import DataError, RowError, UnifyError
from formats.examples import TYPE_NAMES, LabelSpace

from ..declare import build
from ..derive import assign
from ..fields import getters
from ..task import Task
from ._names import language_of, slug

FEW = 10  # rows; fewer are not parted into train and test
PARTS = {"train": 0.8, "test": 0.2}
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Bad:
    """A file, or a part of one, that its layout's importer cannot use, and why; ``count`` of
    them where the reason is the same."""

    file: Path
    problem: str
    part: str = ""
    count: int = 1

    def __str__(self) -> str:
        return f"{self.file}{f', {self.part}' if self.part else ''}: {self.problem}"


@dataclass(frozen=True)
class Found:
    """A task that would be written.

    Attributes:
        type: a task type's name.
        rows: split -> rows, bad ones included.
        dropped: reason -> rows that no example can be made of.
        declaration: what the YAML file would say.
    """

    name: str
    layout: str
    files: tuple[Path, ...]
    type: str
    rows: Mapping[str, int]
    language: str
    declaration: Mapping[str, Any]
    labels: tuple[str, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert self.type in TYPE_NAMES and self.name == slug(self.name) and self.files


def place(files: Mapping[str, Path]) -> tuple[dict[str, str], dict[str, str]]:
    """``source`` and ``splits`` of files: under ``data`` where UNIFY_DATA holds them, which other
    machines can read too, else by absolute path."""
    whole = {split: path.resolve() for split, path in files.items()}
    folder = Path(os.path.commonpath([p.parent for p in whole.values()]))
    splits = {split: path.relative_to(folder).as_posix() for split, path in whole.items()}
    root = os.environ.get("UNIFY_DATA")
    if root and folder.is_relative_to(Path(root).resolve()):
        data = folder.relative_to(Path(root).resolve()).as_posix()
        if data != ".":
            return {"data": data}, splits
    return {"path": str(folder)}, splits


@dataclass(frozen=True)
class Draft:
    """A task that is about to be found: what a layout says of it.

    Attributes:
        files, rows: per split, in its order.
        more: further keys of the declaration.
        group: column whose equal values stay on one side of a derived split.
        options: of the layout's reader.
    """

    name: str
    layout: str
    files: Mapping[str, Path]
    rows: Mapping[str, Rows]
    type: str
    fields: Mapping[str, str]
    more: Mapping[str, Any]
    labels: tuple[str, ...] = ()
    group: str = "input"
    language: str = "English"
    notes: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def found(self) -> Found:
        """The task, with every row tried as it will be when it is loaded.

        A lone split ``all`` of at least ten rows becomes train and test, since the layout has none.
        Raises DataError, DeclarationError.
        """
        code, note = language_of(self.language)
        source, splits = place(self.files)
        raw: dict[str, Any] = {
            "type": self.type,
            **{k: v for k, v in self.more.items() if v},
            "language": code,
            "source": source,
            "format": {self.layout: dict(self.options)} if self.options else self.layout,
            "splits": splits,
            "fields": dict(self.fields),
            "unverified": True,
        }
        if self.labels:
            raw["labels"] = list(self.labels)
        notes = [*self.notes, *note]
        rows = dict(self.rows)
        answers = {_first(row[self.fields[gold]]) for listed in rows.values() for row in listed
                   for gold in ("targets", "label") if gold in self.fields}  # fmt: skip
        if len(answers) == 1 and sum(map(len, rows.values())) > 1:
            notes.append(f"every row has the same answer: {answers.pop()[:40]}")
        if list(rows) == ["all"]:
            rows = self._parted(raw, rows["all"], notes)
        if notes:
            raw["notes"] = notes
        _writable(raw)
        task = build(self.name, raw, next(iter(self.files.values())))
        dropped: Counter[str] = Counter()
        broken: Counter[str] = Counter()
        for split, listed in rows.items():
            refused = refusals(task, listed)
            dropped.update(refused)
            broken[split] = sum(refused.values())
            if broken[split] == len(listed):
                reason = next(iter(refused), "no row")
                raise RowError(
                    f"no usable row in split {split}: {reason}",
                    fix="repair the file, or leave it out of the folder",
                    task=self.name,
                )
        if any(broken.values()):
            raw["broken"] = {split: n for split, n in broken.items() if n}
        return Found(
            name=self.name,
            layout=self.layout,
            files=tuple(self.files.values()),
            type=self.type,
            rows={split: len(listed) for split, listed in rows.items()},
            language=self.language,
            declaration=raw,
            labels=self.labels,
            dropped=dict(dropped),
            notes=tuple(notes),
        )

    def _parted(self, raw: dict[str, Any], rows: Rows, notes: list[str]) -> dict[str, Rows]:
        keys = [row[self.group] for row in rows]
        parts = assign(keys, PARTS, 0) if len(rows) >= FEW else {}
        if not parts or not all(len(numbers) for numbers in parts.values()):
            raw["splits"] = {"test": raw["splits"]["all"]}
            notes.append("too few rows, or too few different inputs, for a train split")
            return {"test": rows}
        raw["derive"] = {"from": "all", "parts": dict(PARTS), "seed": 0, "group": self.group}
        return {part: [rows[i] for i in numbers] for part, numbers in parts.items()}


def _writable(raw: Mapping[str, Any]) -> None:
    """Raises DataError for a declaration that no file can hold."""
    try:
        "".join(_strings(raw)).encode()
    except UnicodeEncodeError:
        raise DataError(
            "a lone surrogate among the texts that describe the task",
            fix="write the texts in UTF-8",
        ) from None


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _first(answers: Any) -> str:
    return str(answers[0] if isinstance(answers, list) and answers else answers)


def refusals(task: Task, rows: Rows) -> Counter[str]:
    """Reasons of rows that make no example of ``task``, by the code that loads them later."""
    reasons: Counter[str] = Counter()
    get = getters(task.kind, task.fields, list(rows[0]), labelled=True) if rows else {}
    for number, row in enumerate(rows):
        try:
            task.example(row, str(number), get)
        except RowError as error:
            reasons[error.what] += 1
    return reasons


def usable_labels(labels: Sequence[str]) -> bool:
    """Whether ``labels`` make a label space."""
    try:
        LabelSpace(tuple(labels))
    except UnifyError:
        return False
    return True
