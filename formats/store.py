"""Feature rows on disk: one Arrow file per task, memory-mapped, read by number.

Rows are appended in record batches of :data:`BATCH`; reading row ``i`` slices NumPy views of the
mapped file, so that memory stays flat however many rows there are.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from .errors import DataError
from .rows import FeatureRow

BATCH = 1024
_SCALARS = ("row", "instance", "window", "candidates", "length", "size", "cut")
_LISTS = ("shared", "offsets", "variants", "widths", "spans", "closed")
VERSION = 1


class StoredRow(NamedTuple):
    """A feature row as NumPy views. ``variants`` is flat; ``widths`` gives each one's tokens."""

    row: int
    instance: int
    window: int
    candidates: int
    length: int
    size: int
    cut: int
    shared: np.ndarray
    offsets: np.ndarray
    variants: np.ndarray
    widths: np.ndarray
    spans: np.ndarray
    closed: np.ndarray
    gold: np.ndarray

    def variant_ids(self) -> list[np.ndarray]:
        """The variants as separate arrays."""
        ends = list(accumulate(self.widths.tolist(), initial=0))
        return [self.variants[a:b] for a, b in pairwise(ends)]


def in_memory(row: FeatureRow) -> StoredRow:
    """A feature row as it would be read back, without a file."""
    lists: Any = [
        [x for v in row.variants for x in v]
        if name == "variants"
        else [len(v) for v in row.variants]
        if name == "widths"
        else getattr(row, name)
        for name in _LISTS
    ]
    values: Any = [getattr(row, n) for n in _SCALARS]
    values += [np.array(v, np.int32) for v in lists]
    return StoredRow._make([*values, np.array(row.gold, np.float32)])


def _schema() -> Any:
    import pyarrow as pa

    ints = pa.list_(pa.int32())
    return pa.schema(
        [(n, pa.int32()) for n in _SCALARS]
        + [(n, ints) for n in _LISTS]
        + [("gold", pa.list_(pa.float32()))]
    )


def _batch(rows: list[FeatureRow], schema: Any) -> Any:
    import pyarrow as pa

    def ints(lists: list[Any]) -> Any:
        ends = np.zeros(len(lists) + 1, np.int32)
        np.cumsum([len(x) for x in lists], out=ends[1:])
        if isinstance(lists[0], np.ndarray):
            flat = np.concatenate(lists, dtype=np.int32)
        else:
            flat = np.fromiter(chain.from_iterable(lists), np.int32, int(ends[-1]))
        return pa.ListArray.from_arrays(ends, flat)

    columns = [pa.array([getattr(r, n) for r in rows], pa.int32()) for n in _SCALARS]
    columns += [
        ints([r.shared for r in rows]),
        ints([r.offsets for r in rows]),
        ints([list(chain.from_iterable(r.variants)) for r in rows]),
        ints([[len(v) for v in r.variants] for r in rows]),
        ints([r.spans for r in rows]),
        ints([r.closed for r in rows]),
        pa.array([r.gold for r in rows], pa.list_(pa.float32())),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def write(path: Path, rows: Iterable[FeatureRow], facts: dict[str, Any] | None = None) -> None:
    """Writes ``rows`` to ``path`` beside it first, then renames; ``facts`` goes to ``path.json``.

    ``facts`` is read after the last row, so that the producer of ``rows`` may fill it. The file's
    own counts (feature rows, tokens, cut tokens and rows, gold spans that no window holds or that
    do not end at tokens) are added.
    """
    import pyarrow as pa

    path.parent.mkdir(parents=True, exist_ok=True)
    schema = _schema()
    beside = path.with_suffix(f".{os.getpid()}.part")
    features = size = cut = cut_rows = longest = lost = moved = 0
    try:
        with pa.OSFile(str(beside), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            pending: list[FeatureRow] = []
            for row in rows:
                pending.append(row)
                features += 1
                size += row.size
                cut += row.cut
                cut_rows += row.cut > 0
                lost += row.lost
                moved += row.moved
                longest = max(longest, row.length)
                if len(pending) == BATCH:
                    writer.write_batch(_batch(pending, schema))
                    pending = []
            if pending:
                writer.write_batch(_batch(pending, schema))
        counts = {
            "version": VERSION,
            "features": features,
            "tokens": size,
            "longest": longest,
            "cut_tokens": cut,
            "cut_rows": cut_rows,
            "lost_spans": lost,
            "moved_spans": moved,
        }
        note = beside.with_suffix(".json")
        note.write_text(json.dumps({**(facts or {}), **counts}, ensure_ascii=False, indent=1))
        os.replace(note, _facts_path(path))
        os.replace(beside, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()


def _facts_path(path: Path) -> Path:
    return path.with_suffix(path.suffix + ".json")


class Rows(Protocol):
    """Feature rows by number, and facts about them: a file of them, or what is made of one."""

    facts: dict[str, Any]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> StoredRow: ...

    def column(self, name: str) -> np.ndarray: ...


class FeatureStore:
    """A written file, memory-mapped: ``len(store)`` rows, ``store[i]``, and ``store.facts``."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        self.path = path
        try:
            self.facts: dict[str, Any] = json.loads(_facts_path(path).read_text())
            self._length = int(self.facts["features"])
            with pa.memory_map(str(path)) as file:  # the map stays, the file need not stay open
                mapped = file.read_buffer()
            self._reader = pa.ipc.open_file(pa.BufferReader(mapped))
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowInvalid) as error:
            raise DataError(
                "a feature file that cannot be read",
                file=str(path),
                got=error,
                fix="delete it: it is a cache and will be made again",
            ) from None
        self._views: dict[int, tuple[list[np.ndarray], list[tuple[np.ndarray, np.ndarray]]]] = {}

    def __len__(self) -> int:
        return self._length

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]

    def _view(self, b: int) -> tuple[list[np.ndarray], list[tuple[np.ndarray, np.ndarray]]]:
        view = self._views.get(b)
        if view is None:
            batch = self._reader.get_batch(b)
            scalars = [batch.column(n).to_numpy() for n in _SCALARS]
            lists = []
            for name in (*_LISTS, "gold"):
                column = batch.column(name)
                lists.append((column.offsets.to_numpy(), column.values.to_numpy()))
            view = self._views[b] = (scalars, lists)
        return view

    def __getitem__(self, i: int) -> StoredRow:
        if not 0 <= i < self._length:
            raise IndexError(i)
        scalars, lists = self._view(i // BATCH)
        j = i % BATCH
        row: list[Any] = [int(s[j]) for s in scalars]
        row += [values[ends[j] : ends[j + 1]] for ends, values in lists]
        return StoredRow._make(row)

    def column(self, name: str) -> np.ndarray:
        """A scalar column over all rows, ``[rows]``."""
        k = _SCALARS.index(name)
        parts = [self._view(b)[0][k] for b in range(self._reader.num_record_batches)]
        return np.concatenate(parts) if parts else np.zeros(0, np.int32)
