"""A task whose rows stream from shards trains on the batches of the same rows in one file."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from unify_helpers import tiny

from formats import Extract
from formats.collate import Batch
from tasks import catalogue, mixture
from unify.data import MixtureData
from unify.suite_data import features

TASK = """
type: TextClassification
cluster: mood
source: {{path: .}}
format: jsonl
splits: {{train: {train}}}
labels: {{0: sad, 1: glad}}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same 90 rows as one file and as shards, which the task ``mood`` names in turn; and a
    second task beside it."""
    monkeypatch.setenv("UNIFY_TASKS", str(tmp_path))
    rows = [{"text": f"so {'very ' * (i % 7)}nice {i}", "label": i % 2} for i in range(90)]
    lines = [json.dumps(row) + "\n" for row in rows]
    (tmp_path / "whole.jsonl").write_text("".join(lines))
    for k, (a, b) in enumerate(((0, 1), (1, 40), (40, 40), (40, 90))):
        with gzip.open(tmp_path / f"part-{k}.jsonl.gz", "wt") as file:
            file.writelines(lines[a:b])
    (tmp_path / "other.jsonl").write_text("".join(lines[:20]))
    (tmp_path / "other.yaml").write_text(TASK.format(train="other.jsonl"))
    return tmp_path


def stream(place: Path, train: str, cache: str, monkeypatch: Any, first: int) -> Iterator[Batch]:
    """The batches from optimizer step ``first`` on, prepared in a cache of their own."""
    monkeypatch.setenv("UNIFY_CACHE", str(place / cache))
    (place / "mood.yaml").write_text(TASK.format(train=train))
    model = tiny("bert", "extract", tokenizer="wordpiece")
    tasks = [catalogue.load("mood"), catalogue.load("other")]
    prepared = features(tasks, Extract(), model.coder, "train", "preparing", train=True)
    rates = mixture.proportional({t.name: len(t.store) for t in prepared})
    data = MixtureData(prepared, rates, model.layout, "extract", batch_size=8, bucket=4, seed=3)
    return iter(data.steps(lambda: first, 0, 1))


def test_batches_and_a_resumed_run_are_those_of_one_file(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = list(islice(stream(place, "whole.jsonl", "a", monkeypatch, 0), 30))
    many = list(islice(stream(place, '"part-*.jsonl.gz"', "b", monkeypatch, 0), 30))
    assert {int(t) for b in one for t in b.tasks} == {0, 1}
    # of the other task, whose file is copied as ever, and none of the streamed one
    copies = [len(list((place / c / "arrow").rglob("*.arrow"))) for c in "ab"]
    assert copies == [2, 1]
    resumed = list(islice(stream(place, '"part-*.jsonl.gz"', "b", monkeypatch, 11), 19))
    for ours, whole in ((many, one), (resumed, one[11:])):
        for a, b in zip(ours, whole, strict=True):
            assert [r.row for r in a.rows] == [r.row for r in b.rows]
            assert list(a.tasks) == list(b.tasks) and a.step_weight == b.step_weight
            assert torch.equal(a.ids, b.ids)
