"""A few-shot run that is read again answers as it did, or says why it cannot."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from unify_helpers import shots_of, tiny

from formats.errors import ConfigError, RunError
from formats.examples import LabelSpace
from unify import backbones
from unify.cli import main
from unify.prompts import recipes, saved
from unify.prompts.words import Words
from unify.runs import load_run
from unify.tuning import attach
from unify.unified import Unified

ONE: list[tuple[str, dict[str, Any]]] = [
    ("linear_head", {}),
    ("pet", {"ensemble": "distill"}),
    ("pet", {"ensemble": "best"}),
    ("lm_bff", {"words": "found", "demonstrations": False, "top": 5, "keep": 3}),
    ("found_template", {"length": 2, "width": 2, "rows": 2}),
    ("autoprompt", {"triggers": 2, "top": 2}),
    ("rlprompt", {"length": 2, "prompts": 2, "vocabulary": 20}),
    ("weighted_words", {"verbalizers": [{"glad": ["a", "77"], "sad": ["77777"]}]}),
    ("kpt", {"support": 4}),
]
SEVERAL: list[tuple[str, dict[str, Any], str]] = [
    ("pet", {"ensemble": "vote"}, "3 models answer together"),
    ("lm_bff", {"draws": 2}, "drawn anew"),
    ("ptr", {"sub_prompts": ["{{ text }} {{ mask }}."]}, "sub-prompts"),
    ("protoverb", {"steps": 3}, "prototypes"),
]
ADAPTER = 4 * (32 * 16 + 16 + 16 * 32 + 32)  # parameters of two bottlenecks in each of two layers
TUNED: list[tuple[str, dict[str, Any], int]] = [  # and how many parameters are trained
    ("linear_head", {}, ADAPTER + 32 * 2 + 2),
    ("pet", {"ensemble": "best", "patterns": ["{{ text }} {{ mask }}"]}, ADAPTER),
    ("pet", {"ensemble": "vote"}, 3 * ADAPTER),
    ("ipet", {"generations": 1, "factor": 2, "ensemble": "distill"}, ADAPTER + 32 * 2 + 2),
    ("lm_bff", {"demonstrations": False}, ADAPTER),
    ("lm_bff", {"draws": 2}, ADAPTER),
    ("found_template", {"length": 2, "width": 2, "rows": 2}, ADAPTER),
    ("weighted_words", {"verbalizers": [{"glad": ["a", "77"], "sad": ["77777"]}]}, ADAPTER + 3),
    ("kpt", {"support": 4}, ADAPTER + 2),
    ("ptr", {"sub_prompts": ["{{ text }} {{ mask }}."]}, ADAPTER),
    ("protoverb", {"steps": 3}, ADAPTER + 32 * 64 + 2 * 64),
]


def left_by(
    name: str, settings: dict[str, Any], folder: Path, tuning: str = "full", steps: int = 2,
    lr: float = 1e-3,
) -> tuple[Any, Any, Path]:  # fmt: skip
    shots = shots_of(folder, ("dogs", "7777"), steps, lr)
    attach(shots.start, {"name": tuning})
    learned = recipes.method(name)(shots, settings)
    place = folder / "model"
    backbones.save(learned.backbone, place)
    saved.write(place, learned.again, "classify", shots.labels, learned.notes, learned.extra)
    return shots, learned, place


@pytest.mark.parametrize(("name", "settings"), ONE)
def test_one_model_answers_as_before(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    shots, learned, place = left_by(name, settings, tmp_path)
    again = saved.load(place)
    before, after = learned.scores(shots.train), again.scores(shots.train)
    assert torch.allclose(before, after, atol=1e-5)
    assert float(before.std()) > 0 and again.notes == tuple(learned.notes)
    turned = LabelSpace(("sad", "glad"))  # the labels in another order: the columns with them
    rows = [replace(e, labels=turned, gold=None) for e in shots.train]
    assert torch.equal(again.scores(rows), after.flip(1))


@pytest.mark.parametrize(("name", "settings", "trained"), TUNED)
def test_a_tuning_is_trained_and_kept(
    name: str, settings: dict[str, Any], trained: int, tmp_path: Path
) -> None:
    shots, learned, place = left_by(name, settings, tmp_path, "adapter", 5, 3e-2)
    assert learned.trained == trained
    assert all(float(part.up.weight.std()) > 0 for part in learned.backbone.tuning.parts)
    if isinstance(learned.again, saved.Kept):
        after = saved.load(place).scores(shots.train)
        assert torch.allclose(learned.scores(shots.train), after, atol=1e-5)


@pytest.mark.parametrize(("name", "settings", "why"), SEVERAL)
def test_what_one_model_cannot_answer_is_refused(
    name: str, settings: dict[str, Any], why: str, tmp_path: Path
) -> None:
    *_, place = left_by(name, settings, tmp_path)
    with pytest.raises(RunError, match=why):
        saved.load(place)


def test_a_prior_is_taken_from_the_words_scores(tmp_path: Path) -> None:
    """Scores 2 and 5 of the words less a prior of 1 and 3: 1 and 2."""
    shots = shots_of(tmp_path, ("dogs", "so"))
    kept = saved.Kept(saved.CLOZE, "{{ text }} {{ mask }}", "", (("a",), ("so",)), score="logit")
    backbone = tiny("bert", "generate")
    plain = saved.scorer_of(kept, backbone, 2)(shots.train)
    less = saved.scorer_of(replace(kept, prior=(1.0, 3.0)), backbone, 2)(shots.train)
    assert torch.allclose(plain - less, torch.tensor([1.0, 3.0]).expand(12, 2), atol=1e-5)
    assert Words(kept.words, kept.weights).weights == ((1.0,), (1.0,))


def test_kept_checks_itself() -> None:
    with pytest.raises(ConfigError, match="pattern"):
        saved.Kept(saved.CLOZE)
    with pytest.raises(ConfigError, match="way"):
        saved.Kept("guess")


def test_predict_and_evaluate_ask_a_few_shot_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    few = ["task=sample_trade_goods", "shots=4", "trainer.max_steps=2", "data=mixture",
           "data.batch_size=4", "protocol.test=12", "model=tiny_bert", "model.window=96",
           "trainer.val_check_interval=null", "evaluation.resamples=10", "format=generate",
           "trainer.threads=1", "learner=autoprompt", "learner.triggers=2", "name=few",
           "learner.top=3"]  # fmt: skip
    assert main(["train", *few]) == 0
    told = json.loads((tmp_path / "runs/few/model/prompt.json").read_text())
    again = ["evaluate", "run=few", "suite=sample", "suite.held_out=true", "suite.unseen=[]",
             "suite.limits.test=12", "evaluation.resamples=10", "name=again"]  # fmt: skip
    assert main(again) == 0, capsys.readouterr().err
    first, second = (
        {p.name: p.read_text() for p in (tmp_path / "runs" / run / "predictions").iterdir()}
        for run in ("few", "again")
    )
    assert first == second and len(next(iter(first.values())).splitlines()) == 12

    labels = "[" + ",".join(told["labels"]) + "]"
    capsys.readouterr()
    assert main(["predict", "run=few", "type=classify", f"labels={labels}", "a ship"]) == 0
    assert capsys.readouterr().out.splitlines()[0] in told["labels"]
    refused = {
        "own labels only": ["predict", "run=few", "type=classify", "labels=[no,yes]", "a ship"],
        "that it was trained with": [
            "predict", "run=few", "type=classify", f"labels={labels}", "instruction=Why?", "a ship"
        ],
        "without demonstrations": [*again[:-1], "evaluation.shots=[2]", "name=more"],
    }
    for said, command in refused.items():
        assert main(command) == 1
        assert said in capsys.readouterr().err
    with pytest.raises(RunError, match="its own prompt"):
        load_run("few")  # what export and init read
    with pytest.raises(ConfigError, match="not trained on"):
        Unified.load("few").fit([], "classify")
