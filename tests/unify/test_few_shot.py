"""k-shot evaluation within a run: one table for all settings."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from unify_helpers import encoded, moods, tiny

from formats import Generate
from formats.collate import collate
from formats.errors import ConfigError, UnknownName
from unify.build import build_few_shot, build_format
from unify.config import compose
from unify.evaluate import evaluate
from unify.evaluation import TaskResult
from unify.few_shot import FewShot, mean_of, stepped
from unify.report import macro_line
from unify.train import train

SMALL = [
    "experiment=metaicl_sample", "suite.seen=[mapping_000,mapping_001,mapping_002]",
    "suite.unseen=[mapping_304,mapping_305]", "suite.limits.test=12", "trainer.max_steps=2",
    "data.batch_size=4", "trainer.val_check_interval=1", "trainer.checkpoint_every=1",
    "evaluation.shots=[0,3]", "evaluation.seeds=[0,1]", "evaluation.steps=[2]", "name=x",
]  # fmt: skip


def test_cells() -> None:
    few = FewShot(shots=(0, 16), labels=("gold", "shuffled"), seeds=(0, 1))
    assert few.cells() == [
        (0, "gold", "0-shot"),
        (16, "gold", "16-shot"),
        (16, "shuffled", "16-shot, shuffled"),
    ]
    assert FewShot().plain and FewShot(seeds=(3,)).plain
    assert not FewShot(style="plain").plain and not few.plain
    with pytest.raises(UnknownName, match="unknown labels"):
        FewShot(labels=("silver",))


def result(value: float, low: float, high: float) -> TaskResult:
    return TaskResult("t", "TextClassification", "generate", "accuracy", value, low, high, 10,
                      {"majority": 0.3}, 1.0, {"dropped_demonstrations": 2})


def test_the_mean_over_seeds() -> None:
    found = mean_of([result(0.5, 0.4, 0.6), result(0.7, 0.5, 0.8)], "3-shot", (0, 7))
    assert (found.task, found.setting) == ("t, 3-shot", "3-shot")
    assert (found.value, found.low) == (pytest.approx(0.6), pytest.approx(0.45))
    assert found.high == pytest.approx(0.7)
    assert found.notes == {"dropped_demonstrations": 4, "seeds": {"0": 0.5, "7": 0.7}}
    assert found.seconds == 2.0


def test_further_metrics_are_means_too() -> None:
    pairs = ((0.2, 0.1), (0.8, 0.9))
    runs = [replace(result(v, v, v), notes={"also": {"macro_f1": f}}) for v, f in pairs]
    assert mean_of(runs, "4-shot", (0, 1)).notes["also"] == {"macro_f1": pytest.approx(0.5)}


def test_zero_shot_alone_needs_no_episodes() -> None:
    config = compose("train", ["name=x"])
    assert build_few_shot(config["evaluation"], build_format(config["format"])) is None
    with pytest.raises(ConfigError, match="demonstrations in another format"):
        config = compose("train", ["name=x", "evaluation.shots=[2]"])
        build_few_shot(config["evaluation"], build_format(config["format"]))


def test_a_run_reports_every_setting_in_one_table(tmp_path: Path) -> None:
    report = train(compose("train", SMALL), tmp_path / "run")
    names = [r.task for r in report.unseen]
    assert names == [
        f"{task}, {setting}"
        for setting in ("0-shot", "3-shot", "3-shot, shuffled", "3 rows, 2 steps")
        for task in ("mapping_304", "mapping_305")
    ]
    assert [r.rows for r in report.unseen] == [12] * 8
    assert set(report.unseen[2].notes["seeds"]) == {"0", "1"}
    saved = json.loads((tmp_path / "run" / "report.json").read_text())
    assert set(saved["settings"]) == {
        "0-shot", "3-shot", "3-shot, shuffled", "3 rows, 2 steps"
    }  # fmt: skip
    zero = [r.value for r in report.unseen[:2]]
    assert saved["macro"]["value"] == pytest.approx(sum(zero) / 2)
    assert macro_line(report).count("Macro average over 2 unseen tasks") == 4
    place = tmp_path / "run" / "predictions"
    assert sorted(p.name for p in place.iterdir()) == [
        "0-shot, seed 0", "3 rows, 2 steps, seed 0", "3 rows, 2 steps, seed 1",
        "3-shot, seed 0", "3-shot, seed 1",
        "3-shot, shuffled, seed 0", "3-shot, shuffled, seed 1",
    ]  # fmt: skip
    assert any("episodes of" in str(n.get("notes")) for n in report.data_notes)

    again = evaluate(
        compose("evaluate", [f"run={tmp_path / 'run'}", "suite=mappings", "name=y",
                             "suite.unseen=[mapping_304]", "suite.limits.test=12",
                             "evaluation.shots=[3]", "evaluation.seeds=[0,1]",
                             "evaluation.style=plain"]),
        tmp_path / "again",
    )
    (only,) = again.unseen
    assert (only.task, only.value) == (report.unseen[2].task, report.unseen[2].value)


def test_gradient_steps_lower_the_loss_of_their_rows_and_leave_the_model_alone() -> None:
    backbone = tiny("llama", "generate", spread=1.0)
    rows = encoded(backbone, Generate(), *moods(6), train=True)
    batch = collate(rows, backbone.layout, "generate")
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    losses = [float(stepped(backbone, rows, n, 0.1).loss(batch)) for n in (1, 5)]
    assert losses[1] < losses[0] < float(backbone.loss(batch))
    assert all(torch.equal(v, before[k]) for k, v in backbone.state_dict().items())
