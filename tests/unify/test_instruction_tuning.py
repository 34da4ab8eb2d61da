"""Instruction tuning: wordings, shares, and a run of it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from unify_helpers import tiny

from formats import FORMATS
from formats.errors import ConfigError
from tasks import catalogue
from unify.build import build_learner
from unify.cli import main
from unify.config import compose
from unify.data import Preparation, TaskFeatures, prepare
from unify.learners import InstructionTuning
from unify.quiet import quiet

quiet()
NAMES = ("sample_weather_state", "sample_trade_count")


def learner(architecture: str = "llama", **more: Any) -> InstructionTuning:
    config = {"max_position_embeddings": 512} if architecture == "llama" else {}
    backbone = tiny(architecture, "generate", window=512, max_target=64, config=config)
    settings = dict(compose("train", ["learner=instruction_tuning"])["learner"]) | more
    return build_learner(settings, backbone)  # type: ignore[return-value]


def test_every_template_is_a_way_and_keeps_the_tasks_share() -> None:
    made = learner()
    tasks = [catalogue.load(n) for n in NAMES]
    ways = [made.ways(t, "train") for t in tasks]
    assert [w.name for w in ways[0]] == [
        "sample_weather_state", "sample_weather_state#1",
        "sample_weather_state#inverted0", "sample_weather_state#inverted1",
    ]  # fmt: skip
    counts = [t.prompt.count("generate") for t in tasks]
    assert counts == [2, len(ways[1])]
    assert all(w.prompt.count("generate") == 1 for several in ways for w in several)
    rates = made.spread({NAMES[0]: 0.25, NAMES[1]: 0.75})
    assert rates["sample_weather_state"] == rates["sample_weather_state#1"] == pytest.approx(0.1)
    assert rates["sample_weather_state#inverted0"] == pytest.approx(0.025)
    assert rates["sample_trade_count"] == pytest.approx(0.75 / counts[1])
    assert sum(rates.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("architecture", ["llama", "t5"])
def test_zero_and_few_shot_are_mixed_in_one_wording(architecture: str) -> None:
    made = learner(architecture)
    ways = [w for n in NAMES for w in made.ways(catalogue.load(n), "train")]
    p = Preparation(FORMATS["generate"](), made.backbone.coder, "train", train=True, limit=40)
    train = [TaskFeatures(w.name, prepare(w, p)) for w in ways]
    rates = made.spread(dict.fromkeys(NAMES, 0.5))
    module: Any = made.data(ways, train, rates, p.format, batch_size=40)
    drawn = [d for n in range(4) for part in module.plan.step(n) for d in part]
    shots = Counter(len(d.demonstrations) for d in drawn)
    assert set(shots) == {0, 1, 2, 4} and shots[0] > shots[4]
    met = {module.maker.names[d.task] for d in drawn}
    assert met == set(rates)
    batch = next(iter(module.steps(lambda: 0, 0, 1)))
    assert batch.weight == 40
    loss = made.summed(batch)
    assert float(loss) > 0
    for ids, t in zip(batch.ids, batch.tasks, strict=True):
        text = made.backbone.coder.text(ids[ids != made.backbone.layout.pad].tolist())
        asked = "For which second text?" in text
        assert asked == module.maker.names[t].endswith("#inverted0")


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="no template"):
        learner(templates=0)
    with pytest.raises(ConfigError, match="share outside"):
        learner(inversion=1.0)
    with pytest.raises(ConfigError, match="texts alone"):
        learner(style="plain")


def test_a_run_reports_its_wordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([
        "train", "format=generate", "learner=instruction_tuning", "data=mixture", "name=a",
        "suite.seen=[sample_weather_state,sample_farming_goods_card]",
        "suite.unseen=[sample_sea_state]", "suite.limits={train: 30, test: 4}",
        "trainer.max_steps=2", "trainer.val_check_interval=1", "data.batch_size=4",
        "data.validation_rows=2", "evaluation.resamples=10", "model.window=512",
    ]) == 0  # fmt: skip
    report = json.loads((tmp_path / "runs" / "a" / "report.json").read_text())
    notes = [line for note in report["data_notes"] for line in note.get("notes", ())]
    assert "2 tasks in 4 wordings, 2 the other way round too" in notes
    assert "sample_weather_state#inverted1" in {m["task"] for m in report["mixture"]}
