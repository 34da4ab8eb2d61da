"""Bounds that a run learns from its seen tasks, and what an evaluation tells of its candidates."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from unify_helpers import tiny

from formats import Entail
from tasks import catalogue
from tasks.span_statistics import candidate_recall, span_bounds
from unify import build, runs
from unify.cli import main
from unify.config import compose
from unify.data import Preparation, prepare
from unify.evaluation import Evaluation, evaluate_task
from unify.quiet import quiet
from unify.report import notes
from unify.report.data import Report

quiet()
SEEN = ["sample_mining_who", "sample_sea_state"]


def test_bounds_come_from_seen_rows() -> None:
    config = compose("train", ["format=entail", "format.bounds=seen 0.5"])
    seen = [catalogue.load(name) for name in SEEN]
    learned = build.with_bounds(config, seen, 40)
    expected = span_bounds(seen, quantile=0.5, limit=40)
    assert learned["format"]["bounds"] == expected and set(expected) == {"answer"}
    format = build.build_format(learned["format"])
    assert format == Entail(bounds=tuple(expected.items()))
    assert build.build_format(config["format"]) == Entail()  # what is not learned bounds nothing
    assert (
        build.with_bounds(compose("train", ["format=entail"]), seen, 40)["format"]["bounds"] == {}
    )


def test_a_run_keeps_what_it_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [
        "train", "name=a", "format=entail", "format.bounds=seen", "model=tiny_encoder",
        "suite.seen=[sample_mining_who]", "suite.unseen=[sample_sea_what]",
        "suite.limits.train=8", "suite.limits.test=3", "data.batch_size=4",
        "data.validation_rows=2", "evaluation.resamples=20", "trainer.max_steps=1",
        "trainer.val_check_interval=1", "trainer.checkpoint_every=1", "trainer.threads=1",
        "model.config.hidden_size=32", "model.config.num_hidden_layers=1",
        "model.config.num_attention_heads=2", "model.config.intermediate_size=48",
        "model.config.embedding_size=32",
    ]  # fmt: skip
    assert main(arguments) == 0
    bounds = span_bounds([catalogue.load("sample_mining_who")], limit=8)
    kept = yaml.safe_load((tmp_path / "runs" / "a" / "config.yaml").read_text())
    assert kept["format"]["bounds"] == bounds
    assert runs.load_run("a")[1] == Entail(bounds=tuple(bounds.items()))
    assert "hypotheses per row" in (tmp_path / "runs" / "a" / "report.html").read_text()


def test_an_evaluation_tells_recall_and_cost(tmp_path: Path) -> None:
    task = catalogue.load("sample_sea_what")
    backbone = tiny("modernbert", "entail")
    format = Entail(max_words=2)
    preparation = Preparation(format, backbone.coder, "test", limit=4)
    store = prepare(task, preparation, tmp_path)
    result = evaluate_task(backbone, task, preparation, store, Evaluation(resamples=10))
    examples = list(task.examples("test", limit=4))
    expected = candidate_recall(examples, format)
    asked = sum(1 for e in examples for _ in format.encode(e, task.prompt))
    assert result.notes["candidates"] == {"recall": expected.recall, "per_row": asked / 4}
    (line,) = notes.lines(Report("t", unseen=[result], data_notes=[{"task": task.name}]))
    (why,) = line["why"]
    assert why.startswith("candidates hold ") and why.endswith(
        f"{asked / 4:.0f} hypotheses per row"
    )
