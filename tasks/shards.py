"""Rows of many files, the shards of a split, here or elsewhere, read one file after the other.

A split names its shards in a list or by a pattern (``part-*.jsonl.gz``), in folders of this machine
or at any address that ``fsspec`` opens (``https``, ``s3``, ``hf`` …). No one holds a task's rows:
they come a thousand at a time, and no copy of them is written, with the types that a copy would
have. A row's number counts through all shards, so that draws, batches and a resumed run are those
of one file with all rows. Only what needs rows by number (derived splits, few-shot subsets, reading
from the middle on) makes the copy that other sources make.
"""

from __future__ import annotations

import glob
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from formats.errors import DataError, UnifyError

from .readers._open import on_disk
from .readers._unread import refused
from .sources import AT_ONCE, INFER_ROWS, Files, cache_root, converted, digest, no_parquet, no_table

if TYPE_CHECKING:
    from datasets import Dataset

Row = dict[str, Any]
_TRIES = 3
# What tells that a remote file has changed, by the names that file systems give it.
_MARKS = ("size", "ETag", "etag", "mtime", "LastModified", "last_modified", "Last-Modified",
          "Content-MD5", "sha256", "blob_id")  # fmt: skip


def is_pattern(name: object) -> bool:
    """Whether the value of a split stands for several files."""
    return isinstance(name, (list, tuple)) or (isinstance(name, str) and glob.has_magic(name))


def _by_number(name: str) -> list[Any]:
    """``part-10`` comes behind ``part-9``."""
    return [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", name)]


@dataclass(frozen=True)
class Shards(Files):
    """As :class:`~tasks.sources.Files`; ``paths[split]`` is a name, a pattern or a list of them.

    ``url`` says that ``folder`` is an address. Its shards are fetched into the cache once, or with
    ``keep=False`` whenever they are read, one at a time. ``revision`` pins what stands there: with
    it no start asks whether files have changed.
    """

    url: bool = False
    revision: str | None = None
    keep: bool = True

    def place(self, split: str) -> str:
        paths = self.paths[split]
        return f"{self.folder}/{paths}" if isinstance(paths, str) else ", ".join(map(str, paths))

    def shards(self, split: str) -> list[str]:
        """Paths or addresses of the shards, in reading order. Raises DataError."""
        named = self.paths[split]
        found: list[str] = []
        for name in [named] if isinstance(named, str) else named:
            whole = f"{self.folder.rstrip('/')}/{name}" if self.url else str(self._root() / name)
            if not glob.has_magic(str(name)):
                found.append(whole)
            elif self.url:
                fs, path = _opened(whole)
                listed = _asked(whole, partial(fs.glob, path))
                found += sorted((fs.unstrip_protocol(p) for p in listed), key=_by_number)
            else:
                found += sorted(glob.glob(whole, recursive=True), key=_by_number)
        missing = [] if self.url else [p for p in found if not on_disk(Path(p)).is_file()]
        if missing or not found:
            raise DataError(
                "no shards" if not found else "a missing shard",
                file=missing[0] if missing else self.place(split),
                split=split,
                expected="readable files",
                fix="put the files there, or correct the task's source and splits",
            )
        return found

    def _stamps(self, split: str) -> list[tuple[str, int, int]]:
        stats = [(p, on_disk(Path(p)).stat()) for p in self.shards(split)]
        return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]

    def stamp(self) -> Any:
        if not self.url:
            return super().stamp()
        if self.revision is not None:
            return [self.folder, self.revision, {s: str(p) for s, p in self.paths.items()}]
        return [[address, _mark(address)] for s in self.paths for address in self.shards(s)]

    def load(self, split: str) -> Dataset:
        """All rows as one memory-mapped copy."""
        key = [self.stamp(), split, self._reader(split)[1]]
        return converted(lambda: self._rows(split), key, self.place(split))

    def stream(self, split: str, count: int | None = None) -> Iterator[tuple[int, Row]]:
        """``(row number, row)`` of the first ``count`` rows, one at least; raises DataError."""
        number = -1
        rows = typed(lambda: self._rows(split), self.place(split))
        for number, row in enumerate(islice(rows, count)):
            yield number, row
        if number < 0:
            raise DataError("no rows", file=self.place(split), expected="at least one row")

    def _reader(self, split: str) -> tuple[Callable[[Path], Iterator[Row]], list[Any]]:
        if self.format == "parquet":
            return parquet_rows, ["parquet"]
        return self.reading(split, refused)  # a row more or less would be another stream

    def _rows(self, split: str) -> Iterator[Row]:
        read, _ = self._reader(split)
        for address in self.shards(split):
            with self._here(address) as path:
                try:
                    yield from read(path)
                except UnifyError as error:
                    raise error.at(file=address) from None

    @contextmanager
    def _here(self, address: str) -> Iterator[Path]:
        """The shard as a file of this machine."""
        if not self.url:
            yield Path(address)
            return
        name = address.rpartition("/")[2]
        if not self.keep:
            with tempfile.TemporaryDirectory() as folder:
                _fetch(address, Path(folder) / name)
                yield Path(folder) / name
            return
        mark = self.revision if self.revision is not None else _mark(address)
        kept = cache_root() / "shards" / digest([address, mark])[:16] / name
        if not kept.exists():
            _fetch(address, kept)
        yield kept


def _opened(address: str) -> tuple[Any, str]:
    import fsspec

    try:
        return fsspec.core.url_to_fs(address)  # type: ignore[no-any-return]
    except (ImportError, ValueError) as error:
        raise DataError(
            f"an address that cannot be opened here: {error}",
            file=address,
            expected="an address of fsspec, such as https://… or s3://…",
            fix="correct source.url, or install what the message names",
        ) from None


def _asked(address: str, ask: Callable[[], Any]) -> Any:
    """What ``ask()`` gives, tried again a little later; raises DataError."""
    for again in range(1, _TRIES + 1):
        try:
            return ask()
        except Exception as error:  # each file system has errors of its own
            if again == _TRIES or isinstance(error, (FileNotFoundError, PermissionError)):
                raise DataError(
                    f"a shard that cannot be had: {type(error).__name__}: {error}",
                    file=address,
                    expected="a reachable file",
                    fix="correct source.url and splits, or go online",
                ) from None
            time.sleep(again)
    raise AssertionError


def _mark(address: str) -> dict[str, str]:
    fs, path = _opened(address)
    info = _asked(address, partial(fs.info, path))
    return {k: str(info[k]) for k in _MARKS if info.get(k) is not None}


def _fetch(address: str, into: Path) -> None:
    """Copies a remote file to ``into``, whole or not at all."""
    fs, path = _opened(address)
    into.parent.mkdir(parents=True, exist_ok=True)
    part = into.with_name(f"{into.name}.{os.getpid()}.part")
    try:
        _asked(address, partial(fs.get_file, path, str(part)))
        os.replace(part, into)
    finally:
        part.unlink(missing_ok=True)


def parquet_rows(path: Path) -> Iterator[Row]:
    """The rows of a parquet file, a thousand in memory at a time."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            for batch in file.iter_batches(AT_ONCE):
                yield from batch.to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise no_parquet(error, path) from None


def typed(rows: Callable[[], Iterator[Mapping[str, Any]]], place: str) -> Iterator[Row]:
    """The rows as :func:`~tasks.sources.converted` would give them back: with the types and columns
    of the first thousand, or of more where those do not show every column's type."""
    features: Any = None
    given = iter(rows())
    while chunk := list(islice(given, AT_ONCE)):
        try:
            try:
                table = _table(chunk, features)
            except UnifyError:
                raise
            except Exception:
                features = _widened(features, list(islice(rows(), INFER_ROWS)), place)
                table = _table(chunk, features)
        except UnifyError:
            raise
        except Exception as error:
            raise no_table(error, place) from error
        features = table.features
        columns = table[:]
        names = list(columns)
        for cells in zip(*columns.values(), strict=True):
            yield dict(zip(names, cells, strict=True))


def _widened(before: Any, rows: list[Mapping[str, Any]], place: str) -> Any:
    """The types that ``rows`` show; only columns without a value so far may change theirs, for
    the rows that were given have been used."""
    features = _table(rows, None).features
    for column, kind in (before or {}).items():
        if "null" not in str(kind) and features.get(column) != kind:
            raise DataError(
                "a column that changes its type behind the first thousand rows",
                file=place,
                field=column,
                got=f"{kind}, then {features.get(column)}",
                expected="one type per column",
                fix="write its values alike (1.0, not 1, among 0.5), or join the shards",
            )
    return features


def _table(chunk: list[Mapping[str, Any]], features: Any) -> Dataset:
    import pyarrow as pa
    from datasets import Dataset
    from datasets.arrow_writer import ArrowWriter

    sink = pa.BufferOutputStream()
    with ArrowWriter(stream=sink, features=features, writer_batch_size=len(chunk)) as writer:
        for row in chunk:
            writer.write(dict(row))
        writer.finalize(close_stream=False)
    return Dataset(pa.ipc.open_stream(sink.getvalue()).read_all())


def first_of(
    rows: Iterator[tuple[int, Row]], **place: str
) -> tuple[list[str], Iterator[tuple[int, Row]]]:
    """The columns, and the rows with the first one still in front; errors say ``place`` too."""

    def placed() -> Iterator[tuple[int, Row]]:
        try:
            yield from rows
        except UnifyError as error:
            raise error.at(**place) from None

    given = placed()
    first = next(given)
    return list(first[1]), chain([first], given)
