"""Readers over another reader's rows: equal keys as one row, and options from other rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from formats.errors import UnknownName


def _rows(path: Any, reader: str, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from . import READERS

    if reader not in READERS:
        raise UnknownName("reader", reader, READERS, field="format.reader")
    yield from READERS[reader](path, **options)


def _has(row: dict[str, Any], columns: Sequence[str], field: str) -> None:
    for column in columns:
        if column not in row:
            raise UnknownName("column", column, row, field=field)


def grouped(
    path: Any, *, reader: str, by: str | Sequence[str], **options: Any
) -> Iterator[dict[str, Any]]:
    """Rows of ``reader`` with equal columns ``by`` as one row, in order of first mention.

    Every other column becomes the list of its values, in the order of the file; so the lists
    together are as long as the file has rows. The whole file is held in memory.
    """
    keys = (by,) if isinstance(by, str) else tuple(by)
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in _rows(path, reader, options):
        _has(row, keys, "format.by")
        key = tuple(row[column] for column in keys)
        if key not in found:
            found[key] = {k: v if k in keys else [] for k, v in row.items()}
        for column, value in row.items():
            if column not in keys:
                found[key][column].append(value)
    yield from found.values()


def by_hash(texts: Sequence[str]) -> list[str]:
    """The texts in an order that depends on nothing but themselves, and says nothing about them."""
    return sorted(texts, key=lambda text: hashlib.sha256(text.encode()).digest())


def matching(
    path: Any, *, reader: str, column: str, others: int = 3, **options: Any
) -> Iterator[dict[str, Any]]:
    """Rows of ``reader`` with ``options``, the row's own ``column`` (``answer``) among others'.

    The others stand at even distances in the file (row + k·n/(others + 1), the next row where a
    text is listed already), so they are the same on every machine; the order is that of a hash.
    """
    rows = list(_rows(path, reader, options))
    for number, row in enumerate(rows):
        _has(row, (column,), "format.column")
        listed = [row[column]]
        for k in range(1, others + 1):
            start = number + k * len(rows) // (others + 1)
            turns = (rows[(start + step) % len(rows)][column] for step in range(len(rows)))
            listed.extend([next((text for text in turns if text not in listed), None)])
        shown = by_hash([text for text in listed if text is not None])
        yield {**row, "options": shown, "answer": row[column]}
