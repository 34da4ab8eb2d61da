"""Rows for prediction, packed into batches by their padded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from formats.store import StoredRow


def token_batches(rows: Iterable[StoredRow], tokens: int) -> Iterator[list[StoredRow]]:
    """Neighbouring rows in batches of at most ``tokens`` padded tokens (one row at least)."""
    batch: list[StoredRow] = []
    widest = sequences = 0
    for row in rows:
        count = max(1, len(row.widths))
        if batch and max(widest, row.length) * (sequences + count) > tokens:
            yield batch
            batch, widest, sequences = [], 0, 0
        batch.append(row)
        widest, sequences = max(widest, row.length), sequences + count
    if batch:
        yield batch
