"""What may happen to a run: killed, stopped, out of memory, disk full, no number for a loss."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from unify_helpers import mood_task, tiny

from formats import FORMATS
from formats.errors import DataError, RunError, UnknownName
from tasks import catalogue
from unify import checkpoints, runs
from unify.build import build_loggers, build_trainer
from unify.callbacks import Curve, Randomness
from unify.data import MixtureData, Preparation, TaskFeatures, prepare
from unify.files import write_whole
from unify.fitting import fit
from unify.guard import BadLoss, Guard
from unify.learners import Multitask, Optimization
from unify.metrics_log import MetricsLog
from unify.quiet import quiet

quiet()
TASKS = ("sample_trade_goods", "sample_mining_who")
DROPOUT = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
Hook = Callable[[Any, Any], None]  # gets a backbone and the batch whose loss is asked for


class Run:
    """A small run of eight steps in ``folder``, from the newest checkpoint there on.

    ``before`` is called ahead of every loss.
    """

    def __init__(
        self, folder: Path, *, steps: int = 8, parts: int = 1, before: Hook | None = None,
        callbacks: Sequence[pl.Callback] = (), guard: Guard | None = None, every: int = 2,
        validate: int | None = None, dropout: bool = True,
    ) -> None:
        self.folder, self.saved = folder, folder / "checkpoints"
        config = DROPOUT if dropout else dict.fromkeys(DROPOUT, 0.0)
        backbone = self.backbone = tiny("bert", "extract", spread=1.0, config=config)
        self.seen = seen_rows(backbone)
        self.curve, self.guard = Curve(), guard or Guard()
        self.calls = 0
        if before is not None:
            kind, run = backbone.__class__, self

            def loss(self: Any, batch: Any) -> Any:
                run.calls += 1
                before(run, batch)
                return kind.loss(self, batch)

            backbone.__class__ = type(kind.__name__, (kind,), {"loss": loss})
        pl.seed_everything(0, workers=True, verbose=False)
        optimization = Optimization(lr=3e-3, schedule="constant", warmup=0.0)
        self.learner = Multitask(backbone, optimization)
        settings = {
            "accelerator": "cpu", "devices": 1, "precision": "32-true", "max_steps": steps,
            "val_check_interval": validate, "gradient_clip_val": 1.0, "early_stopping": None,
            "checkpoint_every": every, "threads": None,
        }

        def trainer(parts: int) -> pl.Trainer:
            loggers = build_loggers({"csv": True, "tensorboard": False}, folder)
            watched = [self.curve, self.guard, Randomness(), *callbacks]
            made = build_trainer(settings, folder, loggers, watched, parts)
            made.log_every_n_steps = 1
            return made

        def data(parts: int) -> MixtureData:
            held = seen_rows(backbone, "validation", 8) if validate else []
            return MixtureData(
                self.seen, dict.fromkeys(TASKS, 0.5), backbone.layout, "extract", batch_size=8,
                parts=parts, bucket=4, validation=held,
            )

        backbone.train()
        self.parts = fit(
            self.learner, trainer, data, self.saved, parts=parts, batch_size=8
        )

    @property
    def steps(self) -> list[int]:
        return [step for step, _ in self.curve.losses]

    @property
    def metrics(self) -> list[dict[str, str]]:
        with (self.folder / "logs" / "metrics.csv").open() as file:
            return list(csv.DictReader(file))


def seen_rows(backbone: Any, split: str = "train", limit: int = 40) -> list[TaskFeatures]:
    preparation = Preparation(
        FORMATS["extract"](), backbone.coder, split, train=True, limit=limit
    )
    return [TaskFeatures(n, prepare(catalogue.load(n), preparation)) for n in TASKS]


def same(a: Run, b: Run, loose: float | None = None) -> bool:
    pairs = zip(a.backbone.state_dict().values(), b.backbone.state_dict().values(), strict=True)
    if loose is not None:
        return all(torch.allclose(x, y, atol=loose) for x, y in pairs)
    return all(torch.equal(x, y) for x, y in pairs)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("straight"), parts=2, validate=2)


# Killed and stopped


def kill_script() -> Any:
    file = Path(__file__).parents[1] / "benchmarks" / "kill.py"
    spec = importlib.util.spec_from_file_location("benchmark_kill", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_killed_run_ends_as_if_it_had_lived(tmp_path: Path) -> None:
    """The command itself, in processes of its own that SIGKILL ends."""
    kill = kill_script()
    config = kill.config_of(12, 4)
    assert kill.started(config, tmp_path / "whole") == 0
    expected = kill.left(tmp_path / "whole")
    assert [step for step, _ in expected["losses"]] == list(range(1, 13))
    folder = tmp_path / "killed"
    for strike, step in [(kill.in_checkpoint(2, 0.5), 4), (kill.in_training(10), 8)]:
        assert kill.started(config, folder, strike) == -signal.SIGKILL
        assert not runs.finished(folder)
        assert checkpoints.step_of(checkpoints.newest(folder / "checkpoints")) == step
    assert kill.started(config, folder) == 0
    found = kill.left(folder)
    assert [k for k, v in found.items() if v != expected[k]] == []


class At(pl.Callback):
    """Does something ahead of micro-batch ``number``."""

    def __init__(self, number: int, act: Callable[[], None]) -> None:
        self.left, self.act = number, act

    def on_train_batch_start(self, *rest: Any) -> None:
        self.left -= 1
        if not self.left:
            self.act()


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_sigterm_saves_between_two_steps_and_says_143(
    tmp_path: Path, straight: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught:  # in the middle of step 4 of 2 micro-batches each
        Run(tmp_path, parts=2, validate=2, every=100, callbacks=[At(8, terminate)])
    assert caught.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == before
    assert "saved behind step 4; the same command goes on" in capsys.readouterr().err
    assert [p.name for p in checkpoints.listed(tmp_path / "checkpoints")] == ["step-4.ckpt"]
    torch.manual_seed(99)
    resumed = Run(tmp_path, parts=2, validate=2, every=100)
    assert same(resumed, straight)
    assert resumed.curve.losses == straight.curve.losses
    assert resumed.curve.validation == straight.curve.validation
    assert resumed.curve.tokens == straight.curve.tokens
    assert resumed.metrics == straight.metrics
    assert [r["step"] for r in resumed.metrics if r["train/loss"]] == list("01234567")


def test_a_stop_by_hand_loses_no_step(tmp_path: Path, straight: Run) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # in the middle of step 6
        Run(tmp_path, parts=2, validate=2, every=100, callbacks=[At(12, stop)])
    assert checkpoints.step_of(checkpoints.newest(tmp_path / "checkpoints")) == 5
    resumed = Run(tmp_path, parts=2, validate=2, every=100)
    assert same(resumed, straight) and resumed.metrics == straight.metrics
    assert resumed.curve.tokens == straight.curve.tokens


def test_a_torn_checkpoint_is_named_and_the_one_before_it_used(
    tmp_path: Path, straight: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    Run(tmp_path, parts=2, validate=2, steps=6)
    assert [p.name for p in checkpoints.listed(tmp_path / "checkpoints")] == [
        "step-6.ckpt", "step-4.ckpt"
    ]
    last = tmp_path / "checkpoints" / "step-6.ckpt"
    data = bytearray(last.read_bytes())
    data[len(data) // 2] ^= 1
    last.write_bytes(data)
    resumed = Run(tmp_path, parts=2, validate=2)
    said = capsys.readouterr().err
    assert f"{last}: a torn checkpoint is left out: it differs from its checksum" in said
    assert same(resumed, straight) and resumed.metrics == straight.metrics


@pytest.mark.parametrize("harm", ["cut", "no sum", "empty sum"])
def test_harm_to_a_checkpoint_is_seen(tmp_path: Path, harm: str) -> None:
    for step in (2, 10):
        checkpoints.write({"global_step": step}, tmp_path / f"step-{step}.ckpt")
    assert checkpoints.step_of(checkpoints.newest(tmp_path)) == 10
    file, total = tmp_path / "step-10.ckpt", tmp_path / "step-10.sha256"
    if harm == "cut":
        file.write_bytes(file.read_bytes()[:-7])
    elif harm == "no sum":
        total.unlink()
    else:
        total.write_text("")
    assert checkpoints.newest(tmp_path) == tmp_path / "step-2.ckpt"
    checkpoints.write({"global_step": 5}, tmp_path / "step-5.ckpt")
    checkpoints.prune(tmp_path, 1, 5)  # the torn one of a later step is not among those kept
    assert checkpoints.listed(tmp_path) == [tmp_path / "step-5.ckpt"]
    checkpoints.prune(tmp_path, 0, 5)
    assert list(tmp_path.iterdir()) == [] and checkpoints.newest(tmp_path) is None


def test_a_checkpoint_that_is_code_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (os.mkdir, (str(tmp_path / "reached"),))

    torch.save({"global_step": Evil()}, tmp_path / "step-1.ckpt")
    with pytest.raises(Exception, match=r"(?i)weights.only"):
        checkpoints.WholeCheckpoints().load_checkpoint(tmp_path / "step-1.ckpt", weights_only=False)
    assert not (tmp_path / "reached").exists()


def test_early_stopping_is_not_forgotten(tmp_path: Path) -> None:
    """A run that was killed behind its early end, in its evaluation, does not train again."""
    run = Run(tmp_path, callbacks=[Stopper()])
    assert run.steps == [1, 2, 3]
    again = Run(tmp_path)
    assert again.steps == [1, 2, 3] and same(run, again)


class Stopper(pl.Callback):
    def on_train_batch_end(self, trainer: pl.Trainer, *rest: Any) -> None:
        trainer.should_stop = trainer.global_step == 3


# Losses that are no number


def test_rows_that_give_no_number_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadLoss) as caught:
        Run(tmp_path, before=third_rows_are_poison)
    error = caught.value
    assert error.what == "the loss is no number" and error.where["step"] == 1
    named = {}
    for part in str(error.where["rows"]).split("; "):
        task, _, rows = part.partition(" rows ")
        named[task] = {int(r) for r in rows.split(", ")}
    (run,) = POISONED
    expected: dict[str, set[int]] = {}
    for owner, row in zip(run.batch.tasks, run.batch.rows, strict=True):
        if row.row % 3 == 0:
            expected.setdefault(TASKS[owner], set()).add(row.row)
    assert named == expected and 0 < sum(map(len, named.values())) < 8
    assert "trainer.on_bad_loss=skip" in str(error)


POISONED: list[Any] = []


def third_rows_are_poison(run: Run, batch: Any) -> None:
    """Every third row gives no number, in whatever batch it stands."""
    weight = run.backbone.model.embeddings.LayerNorm.weight
    if run.calls == 1:
        POISONED.append(run)
        run.batch, run.kept = batch, weight.data.clone()
    bad = any(row.row % 3 == 0 for row in batch.rows)
    weight.data.copy_(run.kept * float("nan") if bad else run.kept)


def test_bad_steps_are_skipped_and_counted(tmp_path: Path) -> None:
    run = Run(tmp_path, guard=Guard("skip"), before=nan_in(3))
    assert run.guard.skipped == 1 and run.guard.first[0].startswith("step 3: the loss is no number")
    assert run.steps == [1, 2, 4, 5, 6, 7, 8]
    assert all(torch.isfinite(v).all() for v in run.backbone.state_dict().values())
    (note,) = run.guard.notes()
    assert note["notes"][0] == "1 optimizer steps skipped"


def nan_in(call: int, value: float = float("nan")) -> Hook:
    """A bad weight of the embedding in the ``call``-th loss alone."""

    def before(run: Run, batch: Any) -> None:
        weight = run.backbone.model.embeddings.LayerNorm.weight
        if run.calls == call:
            run.kept = weight.data.clone()
            weight.data.fill_(value)
        elif run.calls == call + 1:
            weight.data.copy_(run.kept)

    return before


def test_a_gradient_that_is_no_number_stops_before_the_weights_move(tmp_path: Path) -> None:
    def before(run: Run, batch: Any) -> None:
        if run.calls == 3:
            run.kept = [p.detach().clone() for p in run.backbone.parameters()]
            weight = run.backbone.model.embeddings.LayerNorm.weight
            weight.register_hook(lambda grad: grad * float("nan"))
            caught_run.append(run)

    caught_run: list[Run] = []
    with pytest.raises(BadLoss, match="the gradient is no number") as caught:
        Run(tmp_path, before=before)
    assert caught.value.where["step"] == 3 and "rows" in str(caught.value.where["rows"])
    (run,) = caught_run
    assert all(
        torch.equal(a, b) for a, b in zip(run.kept, run.backbone.parameters(), strict=True)
    )


def test_an_exploding_loss_is_told_from_a_high_one() -> None:
    guard = Guard(explode=100)
    guard._recent = [0.01] * 30
    assert not guard._exploded(99.0) and guard._exploded(101.0)
    guard._recent = [5.0] * 30
    assert not guard._exploded(499.0) and guard._exploded(501.0)
    guard._recent = [5.0] * 3
    assert not guard._exploded(1e9)
    assert not Guard(explode=None)._exploded(1e9)
    with pytest.raises(UnknownName, match="unknown answer 'skp'"):
        Guard("skp")


# Out of memory


def small_memory(rows: int, since: int = 0) -> Hook:
    """A device that holds so many rows once ``since`` steps are done."""

    def before(run: Run, batch: Any) -> None:
        if len(run.curve.losses) >= since and len(batch.rows) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    return before


def test_out_of_memory_halves_the_micro_batch_from_the_first_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path / "small", before=small_memory(2))
    assert run.parts == 4
    said = capsys.readouterr().err
    assert "out of memory in step 1: from here on 4 micro-batches per optimizer step" in said
    whole = Run(tmp_path / "whole", parts=4)
    assert same(run, whole) and run.curve.losses == whole.curve.losses
    assert run.metrics == whole.metrics and run.curve.tokens == whole.curve.tokens


def test_out_of_memory_later_on_keeps_the_steps_that_were_done(tmp_path: Path) -> None:
    run = Run(tmp_path / "small", before=small_memory(4, since=5), every=100, dropout=False,
              validate=4)
    assert run.parts == 2 and run.steps == list(range(1, 9))
    whole = Run(tmp_path / "whole", dropout=False, validate=4)
    assert run.curve.losses[:5] == whole.curve.losses[:5]
    assert same(run, whole, loose=1e-4)
    assert [s for s, _ in run.curve.validation] == [4, 8]


def test_out_of_memory_with_one_row_is_the_end(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="out of memory in step 1") as caught:
        Run(tmp_path, before=small_memory(0))
    assert "8 rows in 8 micro-batches" in str(caught.value)


# Disks and files


@contextmanager
def disk_of(size: int) -> Iterator[Callable[[bool], None]]:
    """Files end at ``size`` bytes while the switch is on, as on a full disk (EFBIG)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def switch(on: bool) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size if on else soft, hard))

    try:
        yield switch
    finally:
        switch(False)


def test_a_full_disk_stops_nothing_and_loses_nothing(
    tmp_path: Path, straight: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with disk_of(20) as full:
        run = Run(tmp_path, parts=2, validate=2, callbacks=[
            At(3, lambda: full(True)), At(11, lambda: full(False))
        ])  # fmt: skip
    said = capsys.readouterr().err
    assert said.count("the checkpoint behind step 2 cannot be written") == 1
    assert said.count("training goes on") == 1 and "File too large" in said
    assert said.count("lines wait in memory") == 1
    assert same(run, straight) and run.metrics == straight.metrics
    names = sorted(p.name for p in run.saved.iterdir())
    assert names == ["step-6.ckpt", "step-6.sha256", "step-8.ckpt", "step-8.sha256"]


def test_a_disk_that_is_full_to_the_end_is_an_error(tmp_path: Path) -> None:
    with disk_of(20) as full, pytest.raises(RunError, match="cannot be written") as caught:
        Run(tmp_path, every=4, callbacks=[At(6, lambda: full(True))])
    assert caught.value.got == "File too large"
    assert checkpoints.step_of(checkpoints.newest(tmp_path / "checkpoints")) == 4
    assert same(Run(tmp_path, every=4), Run(tmp_path / "b", every=4))


def test_a_folder_that_cannot_be_written_is_named() -> None:
    with pytest.raises(RunError, match="a run folder that cannot be written") as caught:
        runs.write_config(Path("/proc/unify_run"), {"seed": 0})
    assert "file /proc/unify_run" in str(caught.value)


def test_a_file_is_there_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_whole(path, "before")
    with disk_of(20) as full, pytest.raises(OSError, match="too large"):
        full(True)
        write_whole(path, "x" * 100)
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_rows_that_change_or_vanish_are_named(tmp_path: Path) -> None:
    task = mood_task(tmp_path)
    folder = tmp_path / "run"
    runs.same_data(folder, [task])
    runs.same_data(folder, [task])
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write(json.dumps({"text": "more", "label": "sad"}) + "\n")
    with pytest.raises(RunError, match="changed since this run began") as caught:
        runs.same_data(folder, [task])
    assert caught.value.got == "own"
    (tmp_path / "rows.jsonl").unlink()
    with pytest.raises(DataError, match=r"rows\.jsonl"):
        runs.same_data(folder, [task])


def test_the_metrics_file_goes_on_behind_the_lines_that_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "metrics.csv"
    log = MetricsLog(path, often=2)
    for step in range(4):
        log.log_metrics({"loss": step / 2}, step)
    log.log_metrics({"val": 7.0}, 3)
    log.finalize("done")
    assert path.read_text() == "loss,step,val\n0.0,0,\n0.5,1,\n1.0,2,\n1.5,3,\n,3,7.0\n"
    again = MetricsLog(path)
    again.go_on(2)
    again.log_metrics({"loss": 9.0}, 2)
    again.save()
    assert again.rows == 3
    assert path.read_text() == "loss,step,val\n0.0,0,\n0.5,1,\n9.0,2,\n"
    MetricsLog(path).go_on(5)
    assert "2 lines of it are lost" in capsys.readouterr().err
    fresh = MetricsLog(path)  # a run that died before its first checkpoint begins anew
    fresh.log_metrics({"loss": 1.0}, 0)
    fresh.save()
    assert path.read_text() == "loss,step\n1.0,0\n"
