"""Which device is meant; and, where there is a GPU, that what it computes is what the CPU does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from unify_helpers import shots_of, tiny

from formats.collate import Batch
from formats.errors import ConfigError
from unify import Unified, pretraining
from unify.cli import main
from unify.devices import device_of, of_trainer
from unify.precision import numbers_of, round_weights
from unify.prompts.recipes import method

LORA = ("model=tiny_llama", "tuning=lora")
ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
QUICK = [
    "suite.seen=[sample_trade_goods,sample_mining_who]", "suite.unseen=[sample_sea_state]",
    "suite.limits.train=40", "suite.limits.test=12", "trainer.max_steps=12",
    "trainer.val_check_interval=6", "trainer.checkpoint_every=6", "trainer.threads=1",
    "data.batch_size=4", "data.validation_rows=4", "evaluation.resamples=10",
    "trainer.precision=32-true",
]  # fmt: skip


def test_the_names_of_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device_of("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of("auto") == torch.device("cpu")
    for name in ("gpu", "cuda", "cuda:0", "tpu", ""):
        with pytest.raises(ConfigError, match="no such device"):
            device_of(name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert [str(device_of(n)) for n in ("auto", "gpu", "cuda:1")] == ["cuda:0", "cuda:0", "cuda:1"]
    monkeypatch.setenv("LOCAL_RANK", "3")  # more processes than GPUs: they share
    assert str(device_of("auto")) == "cuda:1"
    with pytest.raises(ConfigError, match="2 GPUs here"):
        device_of("cuda:2")
    assert str(of_trainer({"accelerator": "gpu", "devices": [0, 1]})) == "cuda:1"
    assert str(of_trainer({"accelerator": "auto", "devices": [0]})) == "cuda:0"
    assert str(of_trainer({"accelerator": "gpu", "devices": "1,"})) == "cuda:1"
    for other in ({"accelerator": "cpu", "devices": 2}, {"accelerator": "tpu", "devices": 8}):
        assert str(of_trainer(other)) == "cpu"
    with pytest.raises(ConfigError, match="no such device") as caught:
        of_trainer({"accelerator": "gpu", "devices": [5]})
    assert "trainer.accelerator" in str(caught.value)


def test_what_is_asked_in_half_precision() -> None:
    assert numbers_of("bf16-true") == torch.bfloat16
    with pytest.raises(ConfigError, match="no precision"):
        numbers_of("bf16-mixed")


def test_what_is_rounded() -> None:
    llama = tiny("llama", "generate")
    before = {n: b.clone() for n, b in llama.named_buffers()}
    assert any("inv_freq" in name for name in before)
    round_weights(llama, torch.bfloat16)
    assert {p.dtype for p in llama.parameters()} == {torch.bfloat16}
    assert all(torch.equal(b, before[n]) for n, b in llama.named_buffers())
    encoder = tiny("bert", "extract")
    round_weights(encoder, torch.bfloat16)
    assert encoder.model.dtype == torch.bfloat16
    assert {p.dtype for p in encoder.head_modules()["head"].parameters()} == {torch.float32}
    t5 = tiny("t5", "generate")
    round_weights(t5, torch.float16)
    kinds = {n.split(".")[-2]: p.dtype for n, p in t5.model.named_parameters()}
    assert (kinds["wi"], kinds["wo"]) == (torch.float16, torch.float32)


DUAL = ("model=tiny_bert", "model.head=dual", "model.head_options={map:block}")


@pytest.mark.parametrize(
    ("format", "more"),
    [("extract", ()), ("entail", ()), ("entail", DUAL), ("generate", ()), ("generate", LORA)],
)
def test_an_evaluation_in_half_precision(
    format: str, more: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    trained(tmp_path, "one", format, "trainer=cpu", *more)
    asked = ["evaluate", "run=runs/one", *QUICK[1:2], "suite.limits.test=12",
             "evaluation.resamples=10", "trainer.accelerator=cpu"]  # fmt: skip
    assert main([*asked, "name=half", "trainer.precision=bf16-true"]) == 0
    assert main([*asked, "name=whole"]) == 0
    half, whole = (scores(tmp_path / "runs" / n) for n in ("half", "whole"))
    apart = [abs(a - b) for a, b in zip(half, whole, strict=True)]
    assert 0 < max(apart) < 0.5
    ties = [len(found) - len(set(found)) for found in (half, whole)]
    if format != "generate":  # whose scores are the model's own
        assert ties[0] <= ties[1] + len(whole) // 10
    told = (tmp_path / "runs" / "half" / "report.json").read_text()
    assert "computed on cpu, bf16-true" in told
    assert main([*asked, "name=x", "trainer.precision=8"]) == 1
    assert "32-true, bf16-true" in capsys.readouterr().err
    if format == "generate":
        steps = ["evaluation.shots=[2]", "evaluation.steps=[1]", "trainer.precision=bf16-true"]
        assert main([*asked, "name=y", *steps]) == 1
        assert "would not move" in capsys.readouterr().err


def test_a_few_shot_run_is_asked_in_single_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["experiment=few_shot", "model=tiny_bert", "learner=pet", "learner.ensemble=best",
             "task=sample_trade_goods", "shots=2", "trainer.max_steps=1", "protocol.test=4"]
    assert main(["train", "name=few", *asked]) == 0
    assert main(["evaluate", "run=runs/few", "trainer.precision=bf16-true"]) == 1
    assert "single precision" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["pet", "linear_head", "transprompt"])
def test_only_the_model_is_rounded_while_it_is_trained(name: str, tmp_path: Path) -> None:
    shots = shots_of(tmp_path, ("dogs", "7777"))
    plain = method(name)(shots, {}).scores(shots.train)
    shots.start.mixed = True
    learned = method(name)(shots, {})
    found = learned.scores(shots.train)
    assert found.dtype == torch.float32 and not torch.equal(found, plain)
    assert torch.allclose(found, plain, atol=0.3)
    assert torch.equal(found, learned.scores(shots.train))  # asked in single precision
    assert {p.dtype for p in learned.backbone.parameters()} == {torch.float32}


def trained(folder: Path, name: str, format: str, *more: str) -> list[float]:
    """The losses of a short run."""
    assert main(["train", f"name={name}", f"format={format}", *QUICK, *more]) == 0
    report = json.loads((folder / "runs" / name / "report.json").read_text())
    return [loss for _, loss in report["losses"]]


def scores(run: Path) -> list[float]:
    """Every score of every kept prediction of an evaluation."""
    (file,) = (run / "predictions").glob("*.jsonl")
    lines: list[dict[str, Any]] = [json.loads(line) for line in file.read_text().splitlines()]
    rows = [line for line in lines if line.get("scores")]
    assert rows
    return [x for row in rows for x in flat(row["scores"])]


def flat(given: Any) -> list[float]:
    if isinstance(given, (int, float)):
        return [float(given)]
    parts = given.values() if isinstance(given, dict) else given
    return [x for part in parts if not isinstance(part, str) for x in flat(part)]


@ON_GPU
@pytest.mark.parametrize("format", ["extract", "entail", "generate"])
def test_a_gpu_learns_and_answers_as_the_cpu_does(
    format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = trained(tmp_path, "cpu", format, "trainer=cpu")
    there = trained(tmp_path, "gpu", format, "trainer=gpu", "trainer.precision=32-true")
    assert there == pytest.approx(here, rel=1e-2)
    asked = ["evaluate", "run=runs/gpu", *QUICK[1:2], "suite.limits.test=12",
             "evaluation.resamples=10"]  # fmt: skip
    for kind in ("cpu", "gpu"):
        assert main([*asked, f"name=on_{kind}", f"trainer.accelerator={kind}"]) == 0
    own, other = (scores(tmp_path / "runs" / f"on_{kind}") for kind in ("cpu", "gpu"))
    assert other == pytest.approx(own, abs=1e-3)
    half = ["name=half", "trainer.accelerator=gpu", "trainer.precision=bf16-true"]
    assert main([*asked, *half]) == 0
    mixed = trained(tmp_path, "mixed", format, "trainer=gpu", "trainer.precision=bf16-mixed")
    assert mixed == pytest.approx(here, rel=0.1)
    model = Unified.load("runs/gpu", "gpu")
    assert model.backbone.device.type == "cuda"
    found = Unified.load("runs/gpu").classify("what a day", ["good", "bad"])
    assert model.classify("what a day", ["good", "bad"]).answer == found.answer
    rows = [{"text": "what a day", "label": "good"}, {"text": "no", "label": "bad"}]
    model.fit(rows, "classify", labels=["good", "bad"], steps=2)
    assert model.backbone.device.type == "cuda"  # where it was


@ON_GPU
def test_a_batch_comes_back_whole() -> None:
    ids = torch.arange(1 << 22).reshape(1024, -1)
    batch = Batch(ids, ids, ids, ids[:, 0], ids[:, 0], 1.0)
    for _ in range(20):
        assert torch.equal(batch.to("cuda").to("cpu").ids, ids)


@ON_GPU
def test_a_run_on_a_gpu_goes_on_as_if_it_had_not_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = trained(tmp_path, "whole", "extract", "trainer=gpu", "trainer.precision=32-true")
    first = tmp_path / "runs" / "whole"
    (first / "report.json").unlink()
    (first / "run.json").unlink()
    newest = max((first / "checkpoints").glob("step-*.ckpt"), key=lambda p: int(p.stem[5:]))
    newest.unlink()
    again = trained(tmp_path, "whole", "extract", "trainer=gpu", "trainer.precision=32-true")
    assert again == whole


@ON_GPU
def test_pretraining_and_reasoning_on_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    trained(tmp_path, "lm", "generate", "trainer=gpu", "model=tiny_llama")
    backbone = tiny("bert", "generate", spread=1.0).to("cuda")
    texts = [f"{w} dogs keep {w} boats" for w in ("three", "red", "so", "quick")] * 8
    held = pretraining.Pretraining(("masked",), steps=30, tokens=256, longest=32)
    losses = pretraining.pretrain(backbone.model, backbone.coder.tokenizer, texts, held)
    assert losses[-1] < losses[0]
    asked = ["reason", "method=zero_shot_cot", "task=sample_sea_state", "run=runs/lm", "rows=4",
             "writing.tokens=8", "model.device=cuda"]  # fmt: skip
    assert main(asked) == 0, capsys.readouterr().err
