"""An evaluation on two processes: the same predictions as on one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from unify_helpers import tiny

from unify import ranks
from unify.cli import main
from unify.kept import Kept


def test_one_process_has_everything(tmp_path: Path) -> None:
    rows = np.array([0, 0, 1, 2, 2, 2])
    assert ranks.own(rows, range(1, 6)) == [1, 2, 3, 4, 5]
    assert (ranks.size(), ranks.rank()) == (1, 0)
    assert ranks.shared("a") == "a" and ranks.gathered("a") == ["a"]
    assert type(ranks.kept(tmp_path / "x.jsonl", "a", "b")) is Kept


def test_windows_of_a_row_stay_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "size", lambda: 2)
    rows, found = np.array([4, 4, 7, 9, 9, 9, 12]), []
    for number in (0, 1):
        monkeypatch.setattr(ranks, "rank", lambda n=number: n)
        found.append(ranks.own(rows, range(7)))
    assert found == [[0, 1, 3, 4, 5], [2, 6]]


def test_two_processes_give_the_same_predictions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    backbone = tiny("llama", "generate", window=120, config={"max_position_embeddings": 120})
    backbone.model.save_pretrained(tmp_path / "model")
    backbone.coder.tokenizer.save_pretrained(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    before, threads = dict(os.environ), torch.get_num_threads()
    ask = ["evaluate", "model=hf", "model.name=model", "suite=mappings", "suite.limits.test=9",
           "suite.unseen=[mapping_304]", "evaluation.resamples=20", "evaluation.shots=[0,9]"]
    assert main([*ask, "name=one"]) == 0
    assert main([*ask, "name=two", "trainer.devices=2"]) == 0
    assert dict(os.environ) == before and torch.get_num_threads() == threads
    assert not torch.distributed.is_initialized()
    reports, rows = [], []
    for name in ("one", "two"):
        folder = tmp_path / "runs" / name
        reports.append(json.loads((folder / "report.json").read_text())["unseen"])
        rows.append({str(p.relative_to(folder)): [json.loads(x) for x in p.read_text().splitlines()]
                     for p in sorted(folder.rglob("*.jsonl"))})  # fmt: skip
    assert rows[0].keys() == rows[1].keys() and len(rows[0]) == 2
    for path, alone in rows[0].items():
        for a, b in zip(alone, rows[1][path], strict=True):
            assert a.pop("scores") == pytest.approx(b.pop("scores"), abs=1e-4)
            assert a == b
    for task, one in reports[0].items():
        two = reports[1][task]
        assert (two["value"], two["rows"]) == (one["value"], one["rows"])
        assert two.get("dropped_demonstrations") == one.get("dropped_demonstrations")
    assert reports[0]["mapping_304, 9-shot"]["dropped_demonstrations"] > 0


def test_settings_that_are_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "run=x", "trainer.devices=0"]) == 1
    assert "no number of processes" in capsys.readouterr().err
    assert main(["evaluate", "run=x", "trainer.max_steps=3"]) == 1
    assert "trainer setting" in capsys.readouterr().err
    assert main(["evaluate", "run=x", "trainer.precision=bf16"]) == 1
    assert "no precision" in capsys.readouterr().err
