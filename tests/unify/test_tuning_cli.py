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


def test_several_tuned_runs_answer_in_one_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "name=base", *QUICK]) == 0
    lora = ["init=runs/base", "learner=lora", "learner.optimization.lr=0.2", *QUICK]
    for name, seed in (("one", 1), ("two", 2)):
        assert main(["train", f"name={name}", f"seed={seed}", *lora]) == 0, capsys.readouterr()
    rows = tmp_path / "rows.jsonl"
    texts = [f"A day of {k} storms." for k in range(70)]  # more than are read at once
    rows.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))

    def asked(run: str) -> list[dict[str, object]]:
        assert main(["predict", f"run={run}", "type=classify", "labels=[good,bad]",
                     f"file={rows}", "out=found.jsonl"]) == 0, capsys.readouterr()  # fmt: skip
        return [json.loads(line) for line in Path("found.jsonl").read_text().splitlines()]

    both = asked("[runs/one,runs/two]")
    alone = {run: asked(run) for run in ("runs/one", "runs/two")}
    assert len(both) == 140 and alone["runs/one"] != alone["runs/two"]
    for record in both:
        expected = alone[str(record["run"])][int(str(record["row"])) - alone_first(alone)]
        assert record["answer"] == expected["answer"]
        assert record["scores"] == pytest.approx(expected["scores"], abs=1e-4)
    capsys.readouterr()
    assert main(["predict", "run=[runs/one,runs/two]", "type=classify", "labels=[good,bad]",
                 "A day."]) == 0  # fmt: skip
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [line[1:] for line in lines] == [["runs/one", "A day."], ["runs/two", "A day."]]
    assert {line[0] for line in lines} <= {"good", "bad"}
    assert main(["predict", "run=[runs/one]", "type=classify", "labels=[a,b]", "A day."]) == 1
    assert "2 to 64 runs" in capsys.readouterr().err


def alone_first(alone: dict[str, list[dict[str, object]]]) -> int:
    """The number of the first row."""
    return int(str(alone["runs/one"][0]["row"]))
