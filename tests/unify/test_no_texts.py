"""``report.examples=0``: no text of a row stands in the folder of a run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from formats.examples import texts_of
from tasks import catalogue
from unify.cli import main

RUN = [
    "suite.seen=[sample_trade_goods,sample_mining_who]",
    "suite.unseen=[sample_sea_state,sample_sea_kinds,sample_court_all_who]",
    "suite.limits.train=24", "suite.limits.test=6", "trainer.max_steps=2", "trainer.threads=1",
    "trainer.val_check_interval=null", "data.batch_size=4", "evaluation.resamples=20",
    "model.window=128", "model.config.hidden_size=32", "model.config.num_hidden_layers=2",
    "model.config.intermediate_size=48", "model.config.embedding_size=32",
]  # fmt: skip


def files(run: Path) -> dict[str, str]:
    """All that a run leaves for people: everything but weights, tokenizer and checkpoints."""
    return {
        str(p.relative_to(run)): p.read_text(encoding="utf-8", errors="replace")
        for p in sorted(run.rglob("*"))
        if p.is_file() and not {"model", "checkpoints"} & set(p.relative_to(run).parts)
    }


def test_a_report_without_examples_holds_no_text_of_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "name=open", *RUN]) == 0
    assert main(["train", "name=shut", "report.examples=0", *RUN]) == 0
    texts = set()
    for name in ("sample_sea_state", "sample_sea_kinds", "sample_court_all_who"):
        for example in catalogue.load(name).examples("test", limit=6):
            texts |= {t for t in texts_of(example) if " " in t}
    assert len(texts) >= 12
    told = {run: files(tmp_path / "runs" / run) for run in ("open", "shut")}

    def leaking(run: str) -> list[str]:
        forms = {f for t in texts for f in (t, json.dumps(t)[1:-1])}
        return [name for name, text in told[run].items() if any(f in text for f in forms)]

    assert "report.json" in leaking("open")
    assert leaking("shut") == []
    assert "report.html" in told["shut"] and not os.path.exists(tmp_path / "runs/shut/predictions")
    found = [json.loads(told[r]["report.json"])["unseen"] for r in ("open", "shut")]
    values = [{name: entry["value"] for name, entry in told.items()} for told in found]
    assert values[0] == values[1]
