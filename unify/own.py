"""Tasks over the user's own rows or files, declared in memory the way a YAML declares them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from formats.errors import DataError, UnknownName
from formats.examples import KINDS
from tasks import declare
from tasks.task import Task

DELIMITERS = ",;|\t"
FORMATS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".json": "json", ".parquet": "parquet"}


def _type(kind: str) -> str:
    if kind not in KINDS:
        raise UnknownName("type", kind, KINDS)
    return KINDS[kind].__name__


def task_from_file(
    path: Path, kind: str, declaration: Mapping[str, Any], *, labelled: bool, name: str = "own"
) -> Task:
    """A task of type ``kind`` (classify …) whose only split, ``data``, is the file at ``path``."""
    raw = {"type": _type(kind), "cluster": name, **declaration, **_read_as(path)}
    if not labelled:
        raw["unlabelled"] = ["data"]
    return declare.build(name, raw, path.resolve())


def like(task: Task, path: Path) -> Task:
    """``task`` over the unlabelled rows of another file, its only split ``data``. A file of the
    layout of the task's own is read with the task's options."""
    raw = {**task.declaration, **_read_as(path), "unlabelled": ["data"]}
    options = task.declaration.get("format")
    if isinstance(options, Mapping) and FORMATS[path.suffix] in options:
        raw["format"] = options
    for key in ("derive", "broken", "guide", "group"):
        raw.pop(key, None)
    return declare.build(task.name, raw, path.resolve())


def _read_as(path: Path) -> dict[str, Any]:
    """Where the rows of the file at ``path`` are, and how they are read. Raises DataError."""
    if not path.exists():
        raise DataError("no such file", file=str(path.resolve()), fix="check the path")
    if path.suffix not in FORMATS:
        raise DataError(
            "a file whose ending says nothing about its layout",
            file=str(path.resolve()),
            expected=", ".join(FORMATS),
        )
    format: Any = FORMATS[path.suffix]
    if format == "csv" and (delimiter := _delimiter(path)) != ",":
        format = {"csv": {"delimiter": delimiter}}
    place = path.resolve()
    return {"source": {"path": str(place.parent)}, "format": format, "splits": {"data": place.name}}


def _delimiter(path: Path) -> str:
    """What parts the names in the first line: a comma, or what stands there most in its place."""
    with path.open("rb") as file:
        first = file.readline(1 << 16).decode("utf-8", "replace")
    return "," if "," in first else max(DELIMITERS, key=first.count)


def task_from_rows(
    rows: Iterable[Mapping[str, Any]], folder: Path, kind: str, declaration: Mapping[str, Any]
) -> Task:
    """A task over ``rows``, which are written to ``folder`` first."""
    path = folder / "rows.jsonl"
    count = 0
    with path.open("w", encoding="utf-8") as sink:
        for count, row in enumerate(rows, 1):
            if not isinstance(row, Mapping):
                raise DataError(
                    "rows that are no mappings",
                    got=row,
                    row=count - 1,
                    expected="mappings from fields to values; a file is read by a task",
                )
            sink.write(json.dumps(dict(row)) + "\n")
    if not count:
        raise DataError("no rows", expected="at least one")
    return task_from_file(path, kind, declaration, labelled=True)
