"""Published layouts from the command line: what they ask is trained and scored, not the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unify.cli import main

QUICK = [
    "name=one", "suite.seen=[sample_trade_goods,sample_mining_who]",
    "suite.unseen=[sample_sea_state,sample_sea_kinds]", "suite.limits.train=16",
    "suite.limits.test=4", "trainer.max_steps=2", "trainer.val_check_interval=null",
    "trainer.early_stopping=null", "trainer.threads=1", "data=mixture", "data.batch_size=2",
    "data.validation_rows=2", "evaluation.resamples=10", "report.examples=2",
]  # fmt: skip


@pytest.mark.parametrize(
    ("layout", "format", "model", "asks"),
    [
        ("keskar", "extract", "tiny_encoder", "? "),
        ("unifiedqa", "generate", "tiny_llama", " \\n "),
        ("proqa", "generate", "tiny_t5", "[Task] sample_sea_state [Domain] sample_sea"),
    ],
)
def test_a_layout_is_trained_and_scored(
    layout: str, format: str, model: str, asks: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    chosen = [f"format={format}", f"model={model}", f"format.layout={layout}"]
    assert main(["train", *QUICK, *chosen]) == 0, capsys.readouterr().err
    report = json.loads((tmp_path / "runs" / "one" / "report.json").read_text())
    assert f"{layout} asks" in report["skipped"]["sample_sea_kinds"]
    (scored,) = report["unseen"].values()
    assert all(asks in shown["prompt"] for shown in scored["examples"]) and scored["examples"]
