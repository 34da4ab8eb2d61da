"""What a sweep goes over, what its runs are called, and which folders a table is of."""

from __future__ import annotations

from pathlib import Path

import pytest

from unify.cli import main
from unify.commands import _sweep
from unify.report.data import Report, write_json
from unify.results import TaskResult


def finished(folder: Path, value: float, config: str = "seed: 0\n") -> None:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(config)
    result = TaskResult(
        "sea", "TextClassification", "entail", "accuracy", value, value, value, 200,
        {"majority": 0.25, "random": 0.125}, 1.0,
    )  # fmt: skip
    write_json(Report(folder.name, [result]), folder / "report.json")


def test_the_keys_that_a_sweep_goes_over() -> None:
    given = ["seed=range(0,2)", "format=a,b", "suite.seen=[a,b]", "name=x", "lr=choice(1,2)",
             "'suite.unseen=[a],[b,c]'"[1:-1], "model.config={a: 1, b: 2}"]  # fmt: skip
    assert _sweep.several(given) == ["seed", "format", "lr", "suite.unseen"]


def test_runs_with_the_same_values_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_sweep, "sweep", lambda *_: None)
    for n, seed in enumerate((0, 0, 1)):
        finished(tmp_path / "runs" / "s" / str(n), 0.5, f"seed: {seed}\n")
    _, reports = _sweep.swept("train", ["name=s", "seed=0,0,1"], lambda *_: None)
    assert list(reports) == ["0 (0)", "0 (1)", "1"]


def test_a_table_keeps_runs_of_one_name_and_names_unfinished_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    finished(tmp_path / "s1" / "0", 0.111)
    finished(tmp_path / "s2" / "0", 0.222)
    (tmp_path / "s2" / "1").mkdir()
    (tmp_path / "s2" / "1" / "config.yaml").write_text("seed: 1\n")
    assert main(["table", "s1/0", "s2/0"]) == 0
    out = capsys.readouterr().out
    assert "11.1" in out and "22.2" in out and "s1/0" in out and "s2/0" in out
    assert main(["table", "s2"]) == 0
    out, err = capsys.readouterr()
    assert "22.2" in out and "left out, no finished run: s2/1" in err
