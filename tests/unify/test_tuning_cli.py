"""From the command line: a run tuned on another run's frozen weights, moved, asked and scored."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from unify.cli import main
from unify.quiet import quiet

quiet()
QUICK = [
    "suite.seen=[sample_trade_goods]", "suite.unseen=[sample_sea_state]", "suite.limits.train=16",
    "suite.limits.test=4", "trainer.max_steps=2", "trainer.val_check_interval=null",
    "trainer.early_stopping=null", "trainer.threads=1", "data=mixture", "data.batch_size=2",
    "data.validation_rows=2", "evaluation.resamples=10", "report.examples=1", "format=entail",
]  # fmt: skip


def test_a_tuned_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "name=base", *QUICK]) == 0
    tuned = ["learner=prompt_tuning", "tuning.init=words", "tuning.length=4"]
    assert main(["train", "name=one", "init=runs/base", *tuned, *QUICK]) == 0, capsys.readouterr()
    model = tmp_path / "runs" / "one" / "model"
    assert sum(p.stat().st_size for p in model.rglob("*")) < 40_000
    facts = json.loads((tmp_path / "runs" / "one" / "run.json").read_text())
    head = 64 * 64 + 64 + 64 * 2 + 2
    assert facts["trained"] == 4 * 64 + head < facts["parameters"] / 10
    assert main(["evaluate", "run=runs/one", "suite.unseen=[sample_sea_state]",
                 "suite.limits.test=4", "evaluation.resamples=10", "name=scored"]) == 0  # fmt: skip

    def asked(run: str) -> str:
        capsys.readouterr()
        assert main(["predict", f"run={run}", "type=classify", "labels=[good,bad]", "A day."]) == 0
        return capsys.readouterr().out

    before = asked("runs/one")
    shutil.move("runs/one", "elsewhere")
    assert asked("elsewhere") == before

    go_on = ["learner=ppt", "learner.steps=1", "tuning.init=elsewhere", "tuning.length=4"]
    assert main(["train", "name=two", "init=runs/base", *go_on, *QUICK]) == 0, capsys.readouterr()
    shutil.rmtree("runs/base")
    assert main(["predict", "run=elsewhere", "type=classify", "labels=[a,b]", "A day."]) == 1
    assert "no model could be loaded" in capsys.readouterr().err
