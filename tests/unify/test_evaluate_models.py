"""Models that were never trained here, and options scored as one token tree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from unify_helpers import tiny

from formats import Generate
from formats.errors import ConfigError
from formats.instances import Scores
from tasks import catalogue
from unify import evaluation, runs
from unify.backbones import Backbone
from unify.cli import main
from unify.evaluate import in_full
from unify.evaluation import Evaluation, predict_rows
from unify.few_shot import FewShot, evaluate_shots

FEW = {
    "shots": FewShot(shots=(0, 3)),
    "labels": FewShot(shots=(3,), labels=("shuffled",), seeds=(1,), style="plain"),
    "channel": FewShot(shots=(2,), direction="channel"),
}


def caught(
    backbone: Backbone, name: str, few: FewShot, patch: pytest.MonkeyPatch, shared: bool
) -> list[dict[int, list[float]]]:
    """What every block of rows was scored with."""
    found: list[dict[int, list[float]]] = []

    def spy(*args: Any) -> Any:
        raws = predict_rows(*args)
        found.append({
            k: [v for r in parts if isinstance(r, Scores) for v in r.values]
            for k, parts in raws.items()
        })  # fmt: skip
        return raws

    patch.setattr(evaluation, "predict_rows", spy)
    how = Evaluation(resamples=10, shared=shared)
    results = evaluate_shots(
        backbone, catalogue.load(name), Generate(), "test", few, how, limits=lambda split: 9
    )
    refused = shared and backbone.engine.path != "shared"
    assert all(("unshared" in r.notes) == refused for r in results)
    return found


def test_another_kind_of_run_is_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "mine"
    runs.write_config(folder, {"learner": {"name": "multitask"}})
    before = (folder / runs.CONFIG).read_text()
    for asked in ("run=mine", "model=hf model.name=gone"):
        assert main(["evaluate", *asked.split(), "name=mine"]) == 1
        assert "another kind of run lies in" in capsys.readouterr().err
    assert (folder / runs.CONFIG).read_text() == before
    runs.write_config(folder, {"run": "other"})  # an evaluation goes on
    assert main(["evaluate", "run=gone", "name=mine"]) == 1
    assert "no run here" in capsys.readouterr().err


@pytest.mark.parametrize("few", FEW.values(), ids=list(FEW))
@pytest.mark.parametrize(
    ("architecture", "score"),
    [("llama", "mean"), ("gpt2", "sum"), ("t5", "mean"), ("bart", "sum")],
)
def test_shared_computation_gives_the_same_numbers(
    monkeypatch: pytest.MonkeyPatch, architecture: str, score: str, few: FewShot
) -> None:
    backbone = tiny(architecture, "generate", score=score, spread=2.0)
    name = "mapping_304"
    apart = caught(backbone, name, few, monkeypatch, shared=False)
    assert backbone.engine is None
    together = caught(backbone, name, few, monkeypatch, shared=True)
    assert backbone.engine is not None and backbone.engine.path == "shared"
    work = backbone.engine.work
    assert work.scored > 0
    assert [list(block) for block in apart] == [list(block) for block in together]
    for before, after in zip(apart, together, strict=True):
        for row, values in before.items():
            assert len(values) > 1 and after[row] == pytest.approx(values, abs=1e-4)


def test_a_model_whose_engine_refuses_is_scored_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backbone, few = tiny("llama", "generate"), FewShot(shots=(2,))
    expected = caught(backbone, "mapping_304", few, monkeypatch, shared=False)

    def refuse(module: Any, args: Any, kwargs: Any) -> None:
        mask = kwargs.get("attention_mask")
        if mask is not None and mask.ndim == 4:
            raise ValueError("no such mask")

    backbone.model.register_forward_pre_hook(refuse, with_kwargs=True)
    found = caught(backbone, "mapping_304", few, monkeypatch, shared=True)
    assert found == expected
    assert backbone.engine.path == "plain" and "no such mask" in backbone.engine.why


def test_demonstrations_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone, few = tiny("llama", "generate"), FewShot(shots=(3,))
    given: list[int] = []

    def count(module: Any, args: Any, kwargs: Any) -> None:
        given.append(kwargs["input_ids"].numel())

    handle = backbone.model.register_forward_pre_hook(count, with_kwargs=True)
    caught(backbone, "mapping_304", few, monkeypatch, shared=False)
    apart = sum(given)
    handle.remove()
    caught(backbone, "mapping_304", few, monkeypatch, shared=True)
    assert backbone.engine.work.tokens < apart / 3


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Plain Hugging Face folders: weights and tokenizer, nothing of ours."""
    place = tmp_path_factory.mktemp("models")
    for name in ("llama", "t5", "bert"):
        backbone = tiny(name, "generate")
        backbone.model.save_pretrained(place / name)
        backbone.coder.tokenizer.save_pretrained(place / name)
    return {p.name: p for p in place.iterdir()}


SMALL = ["suite=mappings", "suite.unseen=[mapping_304,mapping_305]", "suite.limits.test=6",
         "evaluation.resamples=20"]


@pytest.mark.parametrize("architecture", ["llama", "t5"])
def test_any_model_is_evaluated_behind_demonstrations(
    folders: dict[str, Path], architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    ask = ["evaluate", "model=hf", f"model.name={folders[architecture]}", *SMALL,
           "evaluation.shots=[0,2]", "name=mine"]
    assert main(ask) == 0
    shown = capsys.readouterr().out
    assert "report: runs/mine/report.html" in shown and "2-shot" in shown
    folder = tmp_path / "runs" / "mine"
    saved = json.loads((folder / "report.json").read_text())
    title = f"{architecture} on mapping_304, mapping_305, as generate"
    assert title in (folder / "report.html").read_text()
    assert saved["seen"] == [] and len(saved["unseen"]) == 4
    rows = folder / "predictions" / "2-shot, seed 0" / "mapping_304.jsonl"
    assert len(rows.read_text().splitlines()) == 6

    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*.jsonl")}
    assert len(before) == 4
    monkeypatch.setattr(evaluation, "predict_rows", None)  # nothing is left to predict
    assert main(ask) == 0
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*.jsonl")} == before
    again = json.loads((folder / "report.json").read_text())["unseen"]
    assert {k: v["value"] for k, v in again.items()} == {
        k: v["value"] for k, v in saved["unseen"].items()
    }


@pytest.mark.parametrize(("architecture", "format"), [("llama", "entail"), ("bert", "generate")])
def test_yes_and_no_and_masked_models(
    folders: dict[str, Path], architecture: str, format: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", "model=hf", f"model.name={folders[architecture]}",
                 f"format={format}", *SMALL, "name=mine"]) == 0
    saved = json.loads((tmp_path / "runs" / "mine" / "report.json").read_text())
    assert [t["format"] for t in saved["unseen"].values()] == [format] * 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["run=x"], "both a run and a model"),
        (["suite.held_out=true"], "never trained on"),
        (["format=extract"], "a causal model cannot extract"),
    ],
)
def test_what_cannot_be_asked(
    folders: dict[str, Path], given: list[str], said: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", "model=hf", f"model.name={folders['llama']}", *given, *SMALL]) == 1
    assert said in capsys.readouterr().err


def test_the_window_is_the_models_own() -> None:
    pretrained = {"model": {"source": "pretrained", "window": 256}}
    assert in_full(pretrained)["model"]["window"] == 4096
    assert in_full({"model": {"source": "config", "window": 256}})["model"]["window"] == 256
    assert in_full({"run": "x"}) == {"run": "x"}
    assert pretrained["model"]["window"] == 256


def test_sharing_leaves_the_random_numbers_alone() -> None:
    backbone = tiny("gpt2", "generate")
    torch.manual_seed(7)
    backbone.sharing = True
    before = torch.random.get_rng_state()
    from unify.scoring import Engine

    Engine(backbone.model, backbone.coder)
    assert torch.equal(torch.random.get_rng_state(), before)


def episodes(choose: str, shots: int, monkeypatch: pytest.MonkeyPatch, **more: Any) -> list[str]:
    """What stands before and in every row, in words."""
    backbone, found = tiny("llama", "generate", window=1400, config=WIDE), []

    def spy(own: Backbone, store: Any, numbers: Any, *rest: Any) -> Any:
        found.extend(own.coder.text(store[i].shared.tolist()) for i in numbers)
        return predict_rows(own, store, numbers, *rest)

    monkeypatch.setattr(evaluation, "predict_rows", spy)
    few = FewShot(shots=(shots,), choose=choose, **more)
    task, how = catalogue.load("sample_sea_state"), Evaluation(resamples=10)
    (result,) = evaluate_shots(
        backbone, task, Generate(), "test", few, how, limits=lambda split: 12
    )
    assert result.rows == 12 and "dropped_demonstrations" not in result.notes
    assert backbone.engine is not None and backbone.engine.path == "shared"
    return found


WIDE = {"max_position_embeddings": 1400}


def test_demonstrations_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    task = catalogue.load("sample_sea_state")
    train = [e for e, _ in zip(task.examples("train"), range(12), strict=False)]

    def shown(texts: list[str]) -> list[list[int]]:
        """Per row which training rows stand in it, in the order of reading."""
        out = []
        for text in texts:
            at = {i: text.find(e.text) for i, e in enumerate(train) if e.text in text}
            out.append(sorted(at, key=at.__getitem__))
        return out

    assert shown(episodes("first", 3, monkeypatch)) == [[0, 1, 2]] * 12
    (even, *others) = shown(episodes("balanced", 4, monkeypatch))
    assert all(o == even for o in others) and len({train[i].gold for i in even}) == 4
    near = shown(episodes("nearest", 2, monkeypatch, seeds=(0, 1)))
    assert len(near) == 12 and all(len(n) == 2 for n in near)
    assert len({tuple(n) for n in near}) > 1


def test_choices_that_cannot_be_made() -> None:
    with pytest.raises(ConfigError, match="unknown choice"):
        FewShot(choose="best")
    with pytest.raises(ConfigError, match="not drawn at random"):
        FewShot(shots=(2,), steps=(1,), choose="first")
