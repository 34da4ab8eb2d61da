"""Whole runs through the command line, small ones: train, evaluate, table, sweeps, repeats."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from unify.cli import main
from unify.quiet import quiet

quiet()
torch.set_num_threads(1)
SUITE = [
    "suite.seen=[sample_trade_goods,sample_mining_who]",
    "suite.unseen=[sample_sea_state,sample_court_count]",
    "suite.limits.train=24", "suite.limits.test=6",
]
QUICK = [
    *SUITE, "trainer.max_steps=4", "trainer.val_check_interval=2", "trainer.checkpoint_every=2",
    "trainer.threads=1", "data.batch_size=4", "data.validation_rows=4", "evaluation.resamples=20",
    "model.window=128",
]
SLIM = ["model.config.hidden_size=32", "model.config.num_hidden_layers=2",
        "model.config.num_attention_heads=2", "model.config.intermediate_size=48",
        "model.config.embedding_size=32"]
SLIM_T5 = ["model.config.d_model=32", "model.config.d_ff=48", "model.config.d_kv=16",
           "model.config.num_layers=2", "model.config.num_heads=2", "model.max_target=12"]


def slim(format: str) -> list[str]:
    return [f"format={format}", "model=tiny_t5" if format == "generate" else "model=tiny_encoder",
            *(SLIM_T5 if format == "generate" else SLIM)]


def report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text())


def scores(folder: Path) -> dict[str, float]:
    return {name: entry["value"] for name, entry in report(folder)["unseen"].items()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one finished run per format."""
    folder = tmp_path_factory.mktemp("runs")
    before = Path.cwd()
    os.chdir(folder)
    try:
        for format in ("generate", "extract", "entail"):
            assert main(["train", f"name={format}", *slim(format), *QUICK]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture(autouse=True)
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    return place


@pytest.mark.parametrize("format", ["generate", "extract", "entail"])
def test_a_run_leaves_all_that_it_promises(here: Path, format: str) -> None:
    folder = here / "runs" / format
    assert {"config.yaml", "run.json", "report.json", "report.html", "model", "predictions",
            "checkpoints", "logs"} <= {p.name for p in folder.iterdir()}
    assert set(scores(folder)) == {"sample_sea_state", "sample_court_count"}
    found = report(folder)
    assert [step for step, _ in found["losses"]] == [1, 2, 3, 4]
    assert [step for step, _ in found["validation"]] == [2, 4]
    assert sorted(found["seen"]) == ["sample_mining_who", "sample_trade_goods"]
    for name in scores(folder):
        lines = (folder / "predictions" / f"{name}.jsonl").read_text().splitlines()
        assert [json.loads(x)["id"] for x in lines] == [f"{name}/test/{i}" for i in range(6)]
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["trainer"]["max_steps"] == 4 and config["format"]["name"] == format


@pytest.mark.parametrize("format", ["generate", "extract", "entail"])
def test_a_saved_run_evaluates_to_its_own_numbers(
    here: Path, format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"again_{format}"
    assert main(["evaluate", f"run={format}", f"name={name}", *SUITE[1:],
                 "evaluation.resamples=20"]) == 0
    assert f"report: runs/{name}/report.html" in capsys.readouterr().out
    assert scores(here / "runs" / name) == scores(here / "runs" / format)


def test_evaluation_refuses_what_the_run_was_trained_on(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ["evaluate", "run=entail", "suite.unseen=[sample_trade_goods]", "suite.limits.test=5",
           "evaluation.resamples=20"]
    assert main([*ask, "name=leaky"]) == 1
    assert "sample_trade_goods: task also in seen" in capsys.readouterr().err
    assert main([*ask, "name=allowed", "allow_leaks=true"]) == 0
    assert report(here / "runs" / "allowed")["allowed_leaks"] is True


def test_a_finished_run_is_not_overwritten(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "name=extract", *slim("extract"), *QUICK]) == 1
    assert "a finished run stands here" in capsys.readouterr().err


def test_a_repeated_run_has_the_same_numbers(here: Path) -> None:
    assert main(["train", "from=extract", "name=repeated"]) == 0
    first, again = (report(here / "runs" / n) for n in ("extract", "repeated"))
    assert again["losses"] == first["losses"] and again["validation"] == first["validation"]
    assert scores(here / "runs" / "repeated") == scores(here / "runs" / "extract")
    assert (here / "runs/repeated/predictions/sample_sea_state.jsonl").read_text() == (
        here / "runs/extract/predictions/sample_sea_state.jsonl"
    ).read_text()


def test_a_repetition_takes_values_and_no_unknown_key(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "from=extract", "name=longer", "trainer.max_stps=6"]) == 1
    assert "unknown config key 'trainer.max_stps'" in capsys.readouterr().err
    assert main(["train", "from=extract", "name=longer", "trainer.max_steps=6"]) == 0
    assert len(report(here / "runs" / "longer")["losses"]) == 6


def test_a_run_begins_where_another_ended(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    go = ["train", "init=entail", *QUICK]
    assert main([*go, "name=onward", *slim("entail"), "trainer.max_steps=1",
                 "learner.optimization.lr=1e-12", "trainer.val_check_interval=null"]) == 0
    assert scores(here / "runs" / "onward") == scores(here / "runs" / "entail")
    found = [(here / "runs" / n / "config.yaml").read_text() for n in ("entail", "onward")]
    begun, onward = (yaml.safe_load(text)["model"] for text in found)
    assert onward == begun
    assert main([*go, "name=wrong", *slim("extract")]) == 1
    assert "init was trained in another format" in capsys.readouterr().err


def test_an_interrupted_run_goes_on(here: Path) -> None:
    """A folder with a checkpoint and no report: as a stopped process leaves it."""
    import shutil

    whole, cut = here / "runs" / "extract", here / "runs" / "cut"
    config = ["name=cut", *slim("extract"), *QUICK]
    assert main(["train", *config]) == 0
    for part in ("report.json", "report.html", "run.json"):
        (cut / part).unlink()
    shutil.rmtree(cut / "model")
    assert main(["train", *config]) == 0
    assert scores(cut) == scores(whole)
    assert report(cut)["losses"] == report(whole)["losses"]


def test_a_killed_evaluation_goes_on_under_its_name(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from unify import evaluation

    go = ["evaluate", "run=entail", "suite.unseen=[sample_sea_state,sample_court_count]",
          "suite.limits.test=24", "evaluation.resamples=20", "evaluation.tokens=256"]
    assert main([*go, "name=unbroken"]) == 0
    predict, asked = evaluation.predict_rows, []

    def killed(backbone: Any, store: Any, numbers: Any, *rest: Any) -> Any:
        if len(asked) == 3:
            raise KeyboardInterrupt
        asked.append(list(numbers))
        return predict(backbone, store, numbers, *rest)

    monkeypatch.setattr(evaluation, "BLOCK", 10)
    monkeypatch.setattr(evaluation, "predict_rows", killed)
    assert main([*go, "name=broken"]) == 130
    kept = sum(len(p.read_text().splitlines())
               for p in (here / "runs" / "broken" / "predictions").glob("*.jsonl"))
    assert 0 < kept < 48 and not (here / "runs" / "broken" / "report.json").exists()
    asked.clear()
    asked.extend([[]] * 4)  # past the kill
    assert main([*go, "name=broken"]) == 0
    again = asked[4:]
    assert again and sum(map(len, again)) < 48
    assert scores(here / "runs" / "broken") == pytest.approx(
        scores(here / "runs" / "unbroken"), abs=1e-4
    )
    asked.clear()
    asked.extend([[]] * 4)
    assert main([*go, "name=broken"]) == 0 and len(asked) == 4  # finished: nothing at all
    capsys.readouterr()
    assert main(["compare", "runs/broken", "runs/unbroken", "resamples=20"]) == 0
    assert "a is above b on 0 tasks, below on 0, equal on 2" in capsys.readouterr().out


def test_runs_stand_in_one_table(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", "runs/generate", "runs/extract", "runs/entail"]) == 0
    out = capsys.readouterr().out
    for word in ("generate", "extract", "entail", "sample_sea_state", "sample_court_count"):
        assert word in out


def test_a_sweep_is_several_runs_and_one_table(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "-m", "name=swept", "seed=0,1", *slim("entail"), *QUICK]) == 0
    folder = here / "runs" / "swept"
    assert {"0", "1", "report.html", "comparison.json"} <= {p.name for p in folder.iterdir()}
    for n in (0, 1):
        assert yaml.safe_load((folder / str(n) / "config.yaml").read_text())["seed"] == n
    assert report(folder / "0")["losses"] == report(here / "runs" / "entail")["losses"]
    assert report(folder / "1")["losses"] != report(folder / "0")["losses"]
    out = capsys.readouterr().out
    assert "report: runs/swept/report.html" in out
    assert main(["table", "runs/swept"]) == 0


def test_predict_asks_a_trained_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for format in ("generate", "extract", "entail"):
        assert main(["predict", f"run={format}", "type=classify", "labels=[calm,rough]",
                     "The sea is calm."]) == 0
        assert capsys.readouterr().out.splitlines()[0] in ("calm", "rough")
