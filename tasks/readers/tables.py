"""Tables: csv and tsv with or without header, one row per line, parallel files, one per class."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from formats.errors import DataError, DeclarationError, UnknownName

from ._open import open_text, text_lines
from ._unread import Unread, refused

# 16 MiB a cell: the csv module's own bound of 128 KiB is less than some published documents.
_CELL = 1 << 24


def delimited(
    path: Path,
    *,
    delimiter: str = ",",
    columns: Sequence[str] | None = None,
    quote: str | None = '"',
    doubled: bool = True,
    encoding: str = "utf-8",
    skip: int = 0,
    unread: Unread = refused,
) -> Iterator[dict[str, Any]]:
    """Delimited rows; every cell is a text (no guess turns "NA" or "null" into nothing).

    Args:
        columns: names for a file without header; ``None`` takes them from the first line.
        quote: the quote character, or None where quotes are ordinary signs.
        doubled: whether a quote inside a quoted cell is written twice (else backslashed).
        skip: lines to leave out at the top.
    """
    csv.field_size_limit(_CELL)
    with open_text(path, encoding) as stream:
        rows = csv.reader(
            stream,
            delimiter=delimiter,
            quotechar=quote or '"',
            quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
            doublequote=doubled,
            escapechar=None if doubled or not quote else "\\",
        )
        names = list(columns) if columns is not None else None
        try:
            for number, cells in enumerate(rows):
                if number < skip or not cells:
                    continue
                if names is None:
                    names = cells
                    continue
                if len(cells) == len(names):
                    yield dict(zip(names, cells, strict=True))
                    continue
                error = DataError(
                    f"a row of {len(cells)} cells in a table of {len(names)} columns",
                    file=str(path),
                    row=number + 1,
                    got=cells,
                    expected=", ".join(names),
                    fix="mend the line, or declare columns, delimiter or quote",
                )
                yield unread(error)
        except csv.Error as failed:
            raise DataError(
                f"not a table: {failed}",
                file=str(path),
                row=rows.line_num,
                expected=f"cells parted by {delimiter!r}",
                fix="declare delimiter or quote",
            ) from None


def tab_separated(
    path: Path, *, quote: str | None = None, unread: Unread = refused, **options: Any
) -> Iterator[dict[str, Any]]:
    """:func:`delimited` by tabs, where quotes are ordinary signs unless declared."""
    yield from delimited(path, delimiter="\t", quote=quote, unread=unread, **options)


def lines(
    path: Path, *, pattern: str | None = None, encoding: str = "utf-8"
) -> Iterator[dict[str, Any]]:
    """One row per line that is not blank: ``{text}``, or the named groups of ``pattern``."""
    matcher = re.compile(pattern) if pattern else None
    if matcher is not None and not matcher.groupindex:
        raise DeclarationError(
            "a line pattern without named groups",
            got=pattern,
            expected="groups like (?P<text>.*), one per column",
            field="format",
        )
    for number, line in text_lines(path, encoding):
        if not line.strip():
            continue
        if matcher is None:
            yield {"text": line}
            continue
        found = matcher.fullmatch(line)
        if found is None:
            raise DataError(
                "a line of another layout",
                file=str(path),
                row=number,
                got=line,
                expected=f"a match of {pattern}",
                fix="correct the pattern, or the file",
            )
        yield found.groupdict()


def _names(path: Path, encoding: str) -> dict[str, str]:
    """A mapping file: ``key<tab>name`` lines."""
    found: dict[str, str] = {}
    for number, line in text_lines(path, encoding):
        key, tab, name = line.partition("\t")
        if not tab or key in found:
            raise DataError(
                "a line that names nothing new",
                file=str(path),
                row=number,
                got=line,
                expected="a key and its name, parted by a tab, each key once",
            )
        found[key] = name.strip()
    return found


def parallel(
    files: Mapping[str, Path],
    *,
    mapping: Mapping[str, str] | None = None,
    encoding: str = "utf-8",
) -> Iterator[dict[str, Any]]:
    """Files whose n-th lines belong together: ``{column: file}`` to rows of these columns.

    Args:
        mapping: column -> which of ``files`` is no column, but names its cells:
            ``key<tab>name`` lines turn each cell into its name.
    """
    named = {column: _names(files[file], encoding) for column, file in (mapping or {}).items()}
    files = {c: path for c, path in files.items() if c not in (mapping or {}).values()}
    streams = [text_lines(path, encoding) for path in files.values()]
    while True:
        cells = [next(stream, None) for stream in streams]
        if all(cell is None for cell in cells):
            return
        if any(cell is None for cell in cells):
            short = [str(p) for p, cell in zip(files.values(), cells, strict=True) if cell is None]
            raise DataError(
                "parallel files of different lengths",
                file=short[0],
                expected="as many lines in each",
                got=[str(p) for p in files.values()],
                fix="fetch the files again",
            )
        row = {column: cell[1] for column, cell in zip(files, cells, strict=True) if cell}
        for column, names in named.items():
            if row[column] not in names:
                raise DataError(
                    "a cell that its mapping does not name",
                    file=str(files[column]),
                    got=row[column],
                    expected=", ".join(names),
                    fix="correct `mapping`, or the file",
                )
            row[column] = names[row[column]]
        yield row


def per_file(
    files: Mapping[str, Path], *, column: str = "label", reader: str = "text", **options: Any
) -> Iterator[dict[str, Any]]:
    """One file per class, subject or domain: ``{name: file}`` to the files' rows, which get the
    name as ``column``. ``reader`` reads each file with ``options``."""
    from . import READERS

    if reader not in READERS:
        raise UnknownName("reader", reader, READERS, field="format")
    for name, path in files.items():
        for row in READERS[reader](path, **options):
            yield {**row, column: name}
