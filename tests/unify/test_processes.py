"""Several processes that train: the losses of one process, each row once, resume on fewer."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from unify_helpers import encoded, mood_task, moods, tiny

from formats import FORMATS, Extract
from formats.collate import collate
from formats.errors import ConfigError
from tasks.sampling import Sampler
from unify import processes
from unify.callbacks import Curve
from unify.checkpoints import newest
from unify.cli import main
from unify.data.module import StepBatches, StepPlan, weight
from unify.data.prepare import Preparation, TaskFeatures, prepare
from unify.watch import LOST

RUN = [
    "suite.seen=[sample_trade_goods,sample_mining_who]", "suite.unseen=[sample_sea_state]",
    "suite.limits.train=24", "suite.limits.test=6", "trainer.max_steps=6", "trainer.threads=1",
    "trainer.val_check_interval=3", "trainer.checkpoint_every=3", "data.batch_size=5",
    "data.validation_rows=4", "evaluation.resamples=20", "model.window=128",
    "model.config.hidden_size=32", "model.config.num_hidden_layers=2",
    "model.config.intermediate_size=48", "model.config.embedding_size=32",
]  # fmt: skip


def losses(run: Path) -> list[tuple[int, float]]:
    report = json.loads((run / "report.json").read_text())
    return [(s, v) for s, v in report["losses"]] + [(-s, v) for s, v in report["validation"]]


FORK = multiprocessing.get_context("fork")  # everything is imported already


def struck(step: int) -> None:
    """This process is to be struck by SIGKILL behind optimizer step ``step``."""
    real = Curve.on_train_batch_end

    def end(self: Curve, trainer: Any, *rest: Any) -> None:
        real(self, trainer, *rest)
        if trainer.global_step == step:
            os.kill(os.getpid(), signal.SIGKILL)

    Curve.on_train_batch_end = end  # type: ignore[assignment,method-assign]


def one_of(command: list[str], environment: dict[str, str], dies: bool) -> None:
    os.environ.update(environment)
    if dies:
        struck(4)
    sys.exit(main(command))


def together(command: list[str], world: int, dies: int | None = None) -> list[int | None]:
    """Exit codes of ``world`` processes that run ``command`` as torchrun starts them; process
    ``dies`` is killed. Once one has failed the others have a minute to leave."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ours = {
        "WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world), "GROUP_RANK": "0",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test",
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    started = [
        FORK.Process(
            target=one_of,
            args=(command, {**ours, "RANK": str(r), "LOCAL_RANK": str(r)}, r == dies),
        )
        for r in range(world)
    ]
    for process in started:
        process.start()
    until = time.monotonic() + 240
    while any(p.is_alive() for p in started):
        if any(p.exitcode for p in started):
            until = min(until, time.monotonic() + 60)
        if time.monotonic() > until:
            for process in started:
                process.kill()
        time.sleep(0.05)
    return [p.exitcode for p in started]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the same run in one process and in two (gloo), rows divided unevenly."""
    folder = tmp_path_factory.mktemp("processes")
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main(["train", "name=one", *RUN]) == 0
        assert together(["train", "name=two", "trainer=ddp_cpu", *RUN], 2) == [0, 0]
        yield folder / "runs"
    finally:
        os.chdir(before)


def test_two_processes_have_the_losses_of_one(place: Path) -> None:
    one, two = losses(place / "one"), losses(place / "two")
    assert len(one) == 8 and [s for s, _ in one] == [s for s, _ in two]
    assert np.allclose([v for _, v in one], [v for _, v in two], rtol=0, atol=1e-5)
    reports = [json.loads((place / r / "report.json").read_text()) for r in ("one", "two")]
    assert reports[0]["macro"] == reports[1]["macro"]
    lines = [(place / r / "logs" / "metrics.csv").read_text().splitlines() for r in ("one", "two")]
    assert len(lines[0]) == len(lines[1])


def test_a_sharded_run_whose_process_died_goes_on(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The other process leaves within a minute and says why; the same command goes on, and so
    does one process alone, which has no shards."""
    monkeypatch.chdir(place.parent)
    sharded = ["train", "name=struck", "trainer=ddp_cpu", "trainer.strategy=fsdp", *RUN]
    found = together(sharded, 2, dies=1)
    assert found == [LOST, -signal.SIGKILL]
    said = capfd.readouterr().err
    assert "another process is gone" in said and "Traceback" not in said
    assert newest(place / "struck/checkpoints") == place / "struck/checkpoints/step-3.ckpt"
    shutil.copytree(place / "struck", place / "alone")
    assert together(sharded, 2) == [0, 0]
    assert main(["train", "name=alone", *RUN]) == 0
    one = json.loads((place / "one" / "report.json").read_text())
    for name in ("struck", "alone"):
        assert [s for s, _ in losses(place / name)] == [s for s, _ in losses(place / "one")]
        pairs = zip(losses(place / name), losses(place / "one"), strict=True)
        assert max(abs(a - b) for (_, a), (_, b) in pairs) < 1e-5
        report = json.loads((place / name / "report.json").read_text())
        assert report["macro"] == one["macro"]


def test_maml_has_weights_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["learner=maml", "data=mixture", "trainer=ddp_cpu", "trainer.strategy=fsdp", *RUN]
    assert main(["train", "name=no", *asked]) == 1
    assert "trainer.strategy=ddp" in capsys.readouterr().err


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[TaskFeatures]]:
    folder = tmp_path_factory.mktemp("moods")
    backbone = tiny("bert", "extract", tokenizer="wordpiece")
    preparation = Preparation(Extract(), backbone.coder, "data", train=True)
    out = []
    for name, count in (("a", 11), ("b", 7)):
        (folder / name).mkdir()
        task = mood_task(folder / name, count)
        out.append(TaskFeatures(name, prepare(task, preparation, folder / name)))
    return backbone.layout, out


@settings(max_examples=25, deadline=None)
@given(
    world=st.integers(1, 4),
    batch=st.integers(4, 9),
    bucket=st.integers(1, 4),
    seed=st.integers(0, 99),
    share=st.floats(0.1, 0.9),
)
def test_no_row_comes_twice_within_a_pass_whatever_the_number_of_processes(
    features: tuple[Any, list[TaskFeatures]],
    world: int, batch: int, bucket: int, seed: int, share: float,
) -> None:  # fmt: skip
    layout, tasks = features
    sizes = tuple(len(t.store) for t in tasks)
    sampler = Sampler(sizes, (share, 1 - share), seed, block=16)
    plan = StepPlan(sampler, [t.store.column("length") for t in tasks], batch, bucket, 1, seed)
    streams = [
        iter(StepBatches(plan, tasks, layout, "extract", lambda: 0, rank, world))
        for rank in range(world)
    ]
    seen: list[Counter[int]] = [Counter(), Counter()]
    for _ in range(5 * bucket):  # whole windows: within one, rows may change places
        step = [next(s) for s in streams]
        assert sum(len(b.rows) for b in step) == batch
        assert {b.step_weight for b in step} == {sum(b.weight for b in step)}
        for one in step:
            for task, row in zip(one.tasks, one.rows, strict=True):
                seen[int(task)][row.row] += 1
    for counts, size in zip(seen, sizes, strict=True):
        often = [counts[row] for row in range(size)]
        assert max(often) - min(often) <= 1 and len(counts) <= size


@pytest.mark.parametrize(
    ("architecture", "format", "tokenizer"),
    [("bert", "extract", "wordpiece"), ("bert", "entail", "wordpiece"),
     ("llama", "generate", "bpe"), ("t5", "generate", "bpe"), ("llama", "entail", "bpe")],
)  # fmt: skip
def test_the_weight_of_rows_is_that_of_their_batch(
    architecture: str, format: str, tokenizer: str
) -> None:
    backbone = tiny(architecture, format, tokenizer=tokenizer)
    asked = format if backbone.layout.kind == "encoder" else "generate"
    for train in (True, False):
        rows = encoded(backbone, FORMATS[format](), *moods(5), train=train)
        assert weight(rows, asked) == collate(rows, backbone.layout, asked).weight > 0


def test_each_process_needs_a_row(features: tuple[Any, list[TaskFeatures]]) -> None:
    layout, tasks = features
    lengths = [t.store.column("length") for t in tasks]
    plan = StepPlan(Sampler((11, 7), (0.5, 0.5)), lengths, 4, 1, 2)
    with pytest.raises(ConfigError, match="a process without a row of each micro-batch"):
        StepBatches(plan, tasks, layout, "extract", lambda: 0, 0, 3)


def test_all_processes_have_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("RANK", "LOCAL_RANK", "TORCHELASTIC_RUN_ID", "UNIFY_RUN_NAME"):
        monkeypatch.delenv(key, raising=False)
    config = {"name": "now", "trainer": {"devices": 2, "accelerator": "cpu"}}
    assert processes.named(config, given=False)["name"] == "now"
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert processes.named({**config, "name": "later"}, given=False)["name"] == "now"
    single = {"name": "later", "trainer": {"devices": 1, "accelerator": "cpu"}}
    assert processes.named(single, given=False)["name"] == "later"
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    assert processes.named(config, given=True)["name"] == "now"
    with pytest.raises(ConfigError, match="several processes need one name"):
        processes.named(config, given=False)


@pytest.mark.parametrize("architecture", ["bert", "llama"])
def test_activations_that_are_computed_again_give_the_same_gradients(architecture: str) -> None:
    format = "extract" if architecture == "bert" else "generate"
    tokenizer = "wordpiece" if architecture == "bert" else "bpe"
    grads, kept = [], []
    for again in (False, True):
        backbone = tiny(architecture, format, tokenizer=tokenizer).train()
        if again:
            backbone.save_memory()
        rows = encoded(backbone, FORMATS[format](), *moods(4), train=True)
        held = [0]

        def count(tensor: torch.Tensor, held: list[int] = held) -> torch.Tensor:
            held[0] += tensor.numel()
            return tensor

        torch.manual_seed(0)
        with torch.autograd.graph.saved_tensors_hooks(count, lambda t: t):
            loss = backbone.loss(collate(rows, backbone.layout, format))
        loss.backward()
        grads.append([p.grad for p in backbone.parameters() if p.grad is not None])
        kept.append(held[0])
    assert kept[1] < kept[0]
    for a, b in zip(*grads, strict=True):
        assert torch.allclose(a, b, atol=1e-5)
