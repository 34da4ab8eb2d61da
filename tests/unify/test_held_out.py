"""Runs whose suite scores the seen tasks as well, on rows that training leaves out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from unify_helpers import tiny

from formats.errors import ConfigError
from formats.examples import texts_of
from tasks import catalogue, suites
from tasks.suites import Suite
from unify.cli import main
from unify.evaluation import TaskResult
from unify.learners import Optimization
from unify.report import Report, macro_line
from unify.report.files import read_json
from unify.report.html import report_page
from unify.report.tables import render, report_view
from unify.suite_data import called, suite_texts

QUICK = [
    "suite.seen=[sample_trade_goods]", "suite.unseen=[]", "suite.limits.train=16",
    "suite.limits.test=4", "suite.held_out=true", "trainer.max_steps=2",
    "trainer.val_check_interval=null", "data.batch_size=2", "data.validation_rows=2",
    "evaluation.resamples=10", "data.first.types=[]",
]  # fmt: skip


def result(task: str, value: float) -> TaskResult:
    return TaskResult(
        task, "TextClassification", "extract", "accuracy", value, value - 0.1, value + 0.1, 50,
        {"majority": 0.25}, 0.1,
    )  # fmt: skip


def test_a_run_and_its_evaluation_score_the_seen_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "name=one", *QUICK]) == 0
    shown = capsys.readouterr().out
    assert "Macro average over 1 seen task on held-out rows" in shown
    found = json.loads((tmp_path / "runs/one/report.json").read_text())
    assert found["unseen"] == {} and found["macro"]["value"] is None
    entry = found["held_out"]["sample_trade_goods"]
    assert entry["rows"] == 4 and entry["value"] == found["macro_held_out"]["value"]

    again = ["suite.limits.test=4", "suite.unseen=[]", "suite.held_out=true"]
    assert main(["evaluate", "run=one", "name=two", "evaluation.resamples=10", *again]) == 0
    second = json.loads((tmp_path / "runs/two/report.json").read_text())
    assert second["held_out"]["sample_trade_goods"]["value"] == entry["value"]


def test_training_on_the_validation_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then it is not validated on, and the report's mixture counts its rows."""
    monkeypatch.chdir(tmp_path)
    more = ["suite.train=[validation]", "trainer.val_check_interval=1"]
    assert main(["train", "name=one", *QUICK, *more]) == 0, capsys.readouterr().err
    found = json.loads((tmp_path / "runs/one/report.json").read_text())
    assert found["validation"] == [] and found["mixture"][0]["rows"] == 16


def test_a_tokenizer_reads_the_rows_that_train() -> None:
    name = "sample_trade_goods"
    suite = Suite("s", (name,), (), {"train": 2}, train=("validation",))
    task = catalogue.load(name)
    rows = [t for e in task.examples("validation", limit=2) for t in texts_of(e)]
    assert list(suite_texts(suite, 100))[-len(rows) :] == rows


def test_a_report_keeps_the_kinds_of_results_apart(tmp_path: Path) -> None:
    both = Report("r", [result("far", 0.5)], held_out=[result("near", 0.75)])
    text = render(report_view(both))
    assert "over 1 unseen task: 50.0" in text
    assert "over 1 seen task on held-out rows: 75.0 (best baseline per task 25.0" in text
    page = report_page(both)
    assert "Results: unseen tasks" in page and "Results: seen tasks on held-out rows" in page
    only = Report("r", held_out=[result("near", 0.75)])
    assert "macro average over 1 seen task on held-out rows, in points" in report_page(only)
    assert macro_line(only) == "Macro average: no unseen task has a value."


def test_a_report_comes_back_with_its_held_out_results(tmp_path: Path) -> None:
    from unify.report import write

    write(Report("r", [result("far", 0.5)], held_out=[result("near", 0.75)]), tmp_path)
    back = read_json(tmp_path / "report.json")
    assert [r.task for r in back.unseen] == ["far"]
    assert [(r.task, r.value) for r in back.held_out] == [("near", 0.75)]


def test_frozen_parameters_stay(tmp_path: Path) -> None:
    backbone = tiny("bert", "extract")
    made: Any = Optimization(frozen=("*word_embeddings*",)).configure(backbone, 10)["optimizer"]
    trained = {id(p) for group in made.param_groups for p in group["params"]}
    left_out = [n for n, p in backbone.named_parameters() if id(p) not in trained]
    assert left_out == ["model.embeddings.word_embeddings.weight"]
    with pytest.raises(ConfigError, match="no parameter to freeze"):
        Optimization(frozen=("*nothing*",)).configure(backbone, 10)


def test_a_suite_of_other_tasks_is_called_by_them() -> None:
    sample = suites.load("sample")
    assert called(sample, "seen") == "sample"
    mine = replace(sample, seen=("my_task",))
    assert (called(mine, "seen"), called(mine, "unseen")) == ("my_task", "sample")
    assert called(replace(sample, seen=(), unseen=("a", "b")), "unseen") == "a, b"
    assert called(replace(sample, seen=("a", "b", "c", "d")), "seen") == "sample with 4 tasks"
    assert called(replace(sample, name="made in place"), "seen") == "made in place"
