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

FORMATS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".json": "json", ".parquet": "parquet"}


def _type(kind: str) -> str:
    if kind not in KINDS:
        raise UnknownName("type", kind, KINDS)
    return KINDS[kind].__name__


def task_from_file(
    path: Path, kind: str, declaration: Mapping[str, Any], *, labelled: bool, name: str = "own"
) -> Task:
    """A task of type ``kind`` (classify …) whose only split, ``data``, is the file at ``path``."""
    path = path.resolve()
    if not path.exists():
        raise DataError("no such file", file=str(path), fix="check the path")
    if path.suffix not in FORMATS:
        raise DataError(
            "a file whose ending says nothing about its layout",
            file=str(path),
            expected=", ".join(FORMATS),
        )
    raw: dict[str, Any] = {
        "type": _type(kind),
        "cluster": name,
        "source": {"path": str(path.parent)},
        "format": FORMATS[path.suffix],
        "splits": {"data": path.name},
        **declaration,
    }
    if not labelled:
        raw["unlabelled"] = ["data"]
    return declare.build(name, raw, path)


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
