"""Feature rows on disk: what is read is what was written, and a broken file says so."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from formats.errors import DataError
from formats.features import FeatureRow
from formats.store import BATCH, FeatureStore, in_memory, write


def row(i: int) -> FeatureRow:
    """Row ``i``: lists of differing lengths, empty ones included."""
    return FeatureRow(
        row=i, instance=i % 3, window=i % 2, shared=list(range(i % 5)),
        offsets=list(range(2 * (i % 5))), variants=[[i] * (v + 1) for v in range(i % 4)],
        gold=[float("nan") if v else 0.5 for v in range(i % 4)],
        spans=[0, 1, 2, 0] * (i % 2), closed=[0, 1, 1, 1, 2, 2] * (i % 3 == 0),
        candidates=i % 7, length=10 + i % 11, size=100 + i, cut=i % 2,
    )


def equal(a: object, b: object) -> bool:
    return all(np.array_equal(x, y, equal_nan=True) for x, y in zip(a, b, strict=True))  # type: ignore[call-overload]


@pytest.mark.parametrize("count", [0, 1, BATCH - 1, BATCH, 2 * BATCH + 3])
def test_what_is_read_is_what_was_written(tmp_path: Path, count: int) -> None:
    path = tmp_path / "deep" / "rows.arrow"
    write(path, (row(i) for i in range(count)), {"task": "t"})
    store = FeatureStore(path)
    assert len(store) == count
    for i in {0, 1, count // 2, BATCH - 1, BATCH, count - 1} & set(range(count)):
        assert equal(store[i], in_memory(row(i)))
        assert [v.tolist() for v in store[i].variant_ids()] == row(i).variants
    assert store.column("length").tolist() == [10 + i % 11 for i in range(count)]
    for outside in (-1, count):
        with pytest.raises(IndexError):
            store[outside]


def test_facts_count_what_was_written(tmp_path: Path) -> None:
    facts: dict[str, object] = {}

    def rows():  # facts are filled while the rows are made
        yield from map(row, range(10))
        facts["rows"] = 10

    write(tmp_path / "a.arrow", rows(), facts)
    assert FeatureStore(tmp_path / "a.arrow").facts == {
        "rows": 10, "version": 1, "features": 10, "tokens": sum(range(100, 110)),
        "longest": 19, "cut_tokens": 5, "cut_rows": 5, "lost_spans": 0, "moved_spans": 0,
    }
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.arrow", "a.arrow.json"]


def test_a_store_travels_to_other_processes(tmp_path: Path) -> None:
    write(tmp_path / "a.arrow", map(row, range(20)), {})
    again = pickle.loads(pickle.dumps(FeatureStore(tmp_path / "a.arrow")))
    assert len(again) == 20 and equal(again[7], in_memory(row(7)))


def test_open_stores_hold_no_open_files(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path / f"{name}.arrow", map(row, range(BATCH + 5)), {})
    before = len(list(Path("/proc/self/fd").iterdir()))
    stores = [FeatureStore(tmp_path / f"{name}.arrow") for name in "abc"]
    assert [len(store.column("length")) for store in stores] == [BATCH + 5] * 3
    assert all(equal(store[BATCH + 2], in_memory(row(BATCH + 2))) for store in stores)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_an_interrupted_writing_leaves_nothing_to_read(tmp_path: Path) -> None:
    def torn():
        yield from map(row, range(BATCH + 1))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a.arrow", torn(), {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "no facts", "torn facts",
                                    "facts of nothing", "gone"])
def test_a_broken_file_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.arrow"
    facts = tmp_path / "a.arrow.json"
    write(path, map(row, range(50)), {})
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("not arrow at all, and long enough to look like something" * 9)
    elif damage == "no facts":
        facts.unlink()
    elif damage == "torn facts":
        facts.write_text(facts.read_text()[:20])
    elif damage == "facts of nothing":
        facts.write_text(json.dumps({}))
    else:
        path.unlink()
    with pytest.raises(DataError) as caught:
        FeatureStore(path)
    assert caught.value.where["file"] == str(path)
    assert "delete it" in str(caught.value)
