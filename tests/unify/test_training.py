"""Training: the loss falls, a seed fixes everything, a stop changes nothing."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from unify_helpers import tiny

from formats import FORMATS
from formats.errors import ConfigError, UnknownName
from tasks import catalogue
from unify import checkpoints
from unify.backbones import Backbone
from unify.build import build_loggers, build_trainer
from unify.callbacks import Curve, Randomness
from unify.data import MixtureData, Preparation, TaskFeatures, prepare
from unify.learners import Multitask, Optimization
from unify.quiet import quiet

quiet()
TASKS = ("sample_trade_goods", "sample_mining_who")
CPU: dict[str, Any] = {
    "accelerator": "cpu", "devices": 1, "precision": "32-true", "max_steps": 4,
    "val_check_interval": None, "gradient_clip_val": 1.0, "early_stopping": None,
    "checkpoint_every": 2, "threads": None,
}
DROPOUT = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}


def features(backbone: Backbone, format: str, split: str, limit: int = 40) -> list[TaskFeatures]:
    preparation = Preparation(
        FORMATS[format](), backbone.coder, split, train=True, limit=limit
    )
    return [TaskFeatures(n, prepare(catalogue.load(n), preparation)) for n in TASKS]


class Run:
    """One training run of a fresh model in ``folder``."""

    def __init__(
        self, folder: Path, *, steps: int = 4, parts: int = 1, format: str = "extract",
        architecture: str = "bert", validate: bool = False, seed: int = 0,
        resume: str | None = None, loggers: dict[str, bool] | None = None,
        callbacks: Sequence[pl.Callback] = (), lr: float = 3e-3, total: int | None = None,
        config: dict[str, Any] | None = None, **trainer: Any,
    ) -> None:
        self.folder = folder
        config = config if config is not None else DROPOUT if architecture == "bert" else {}
        self.backbone = tiny(architecture, format, spread=1.0, config=config, seed=seed)
        train = features(self.backbone, format, "train")
        held = features(self.backbone, format, "validation", 8) if validate else []
        sizes = {t.name: 1 / len(train) for t in train}
        data = MixtureData(
            train, sizes, self.backbone.layout, format, validation=held, batch_size=8,
            parts=parts, bucket=4, seed=seed,
        )
        self.curve = Curve()
        pl.seed_everything(seed, workers=True, verbose=False)
        # The schedule is that of the whole run, also where a run is stopped on its way.
        optimization = Optimization(lr=lr, schedule="constant", warmup=0.0)
        self.learner = Multitask(self.backbone, optimization)
        self.trainer = build_trainer(
            {**CPU, "max_steps": steps, **trainer}, folder,
            build_loggers(loggers or {"csv": False, "tensorboard": False}, folder),
            [self.curve, Randomness(), *callbacks], parts,
        )
        self.backbone.train()
        self.trainer.fit(self.learner, datamodule=data, ckpt_path=resume, weights_only=True)

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        return {k: v.clone() for k, v in self.backbone.state_dict().items()}


def same(a: Run, b: Run) -> bool:
    return all(torch.equal(v, b.weights[k]) for k, v in a.weights.items())


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Eight steps without a stop, with dropout; one checkpoint in the middle."""
    return Run(tmp_path_factory.mktemp("straight"), steps=8)


@pytest.mark.parametrize(
    ("architecture", "format"),
    [("modernbert", "extract"), ("modernbert", "entail"), ("t5", "generate"),
     ("llama", "generate")],
)
def test_the_loss_falls(tmp_path: Path, architecture: str, format: str) -> None:
    run = Run(tmp_path, steps=30, format=format, architecture=architecture, lr=5e-3,
              checkpoint_every=100)
    losses = [loss for _, loss in run.curve.losses]
    assert [step for step, _ in run.curve.losses] == list(range(1, 31))
    assert np.mean(losses[-6:]) < 0.9 * losses[0]
    assert run.curve.tokens > 0


def test_a_seed_fixes_the_weights(tmp_path: Path, straight: Run) -> None:
    again = Run(tmp_path / "again", steps=8)
    assert same(again, straight) and again.curve.losses == straight.curve.losses
    assert not same(Run(tmp_path / "other", steps=8, seed=1), straight)


class StopAt(pl.Callback):
    """Ends the process's training right behind the checkpoint of ``step``."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: pl.Trainer, *rest: Any) -> None:
        if trainer.global_step == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("parts", [1, 2])
def test_a_stopped_run_ends_as_if_it_had_not_stopped(
    tmp_path: Path, straight: Run, parts: int
) -> None:
    whole = straight if parts == 1 else Run(tmp_path / "whole", steps=8, parts=parts)
    with pytest.raises(BaseException, match="") as caught:
        Run(tmp_path / "cut", steps=8, parts=parts, callbacks=[StopAt(5)])
    assert isinstance(caught.value, (KeyboardInterrupt, SystemExit))
    last = checkpoints.newest(tmp_path / "cut" / "checkpoints")
    assert torch.load(last, weights_only=True)["global_step"] == 4
    torch.manual_seed(99)  # the state comes from the file, not from the process
    random.seed(99)
    resumed = Run(tmp_path / "cut", steps=8, parts=parts, resume=str(last))
    assert resumed.trainer.global_step == 8
    assert same(resumed, whole)
    assert resumed.curve.losses == whole.curve.losses
    assert resumed.curve.tokens == whole.curve.tokens


def test_dropout_is_at_work(tmp_path: Path, straight: Run) -> None:
    """Without it the test above would prove less."""
    still = Run(tmp_path, steps=8, config=dict.fromkeys(DROPOUT, 0.0))
    assert not same(still, straight)


PLAIN = (int, float, str, bool, type(None), torch.Tensor)


def plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(plain(k) and plain(v) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(plain, value))
    return isinstance(value, PLAIN)


def test_a_checkpoint_holds_plain_values(straight: Run) -> None:
    folder = straight.folder / "checkpoints"
    assert sorted(p.name for p in folder.iterdir()) == [
        "step-6.ckpt", "step-6.sha256", "step-8.ckpt", "step-8.sha256"
    ]
    saved = torch.load(folder / "step-8.ckpt", weights_only=True)
    assert saved["global_step"] == 8
    for key, value in saved.items():
        assert plain(value), key
    assert saved["state_dict"].keys() == straight.learner.state_dict().keys()


def test_every_random_generator_is_restored() -> None:
    callback = Randomness()
    torch.manual_seed(5)
    np.random.seed(6)
    random.seed(7)
    state = callback.state_dict()
    draws = [torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()]
    fresh = Randomness()
    fresh.load_state_dict(state)
    fresh.on_train_start(None, None)  # type: ignore[arg-type]
    assert [torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()] == draws


@pytest.mark.parametrize("format", ["extract", "generate"])
def test_micro_batches_do_not_change_the_weights(tmp_path: Path, format: str) -> None:
    """Plain gradient descent, so that a difference in gradients is one in weights."""
    found = []
    for parts in (1, 4):
        architecture = "modernbert" if format == "extract" else "t5"
        backbone = tiny(architecture, format, spread=1.0, config={"dropout_rate": 0.0})
        train = features(backbone, format, "train")
        data = MixtureData(
            train, dict.fromkeys(TASKS, 0.5), backbone.layout, format, batch_size=8, parts=parts,
            bucket=2,
        )
        learner = Multitask(backbone)
        learner.configure_optimizers = lambda b=backbone: torch.optim.SGD(  # type: ignore[method-assign]
            b.parameters(), lr=0.05
        )
        trainer = build_trainer({**CPU, "max_steps": 3}, tmp_path / str(parts), [], [], parts)
        trainer.fit(learner, datamodule=data)
        found.append(backbone.state_dict())
    for key, value in found[0].items():
        assert torch.allclose(value, found[1][key], atol=1e-6), key


def test_validation_counts_every_unit(tmp_path: Path) -> None:
    """The validation loss is the mean over all sequences, whatever the batches."""
    run = Run(tmp_path, steps=2, validate=True, val_check_interval=2, architecture="modernbert")
    ((step, value),) = run.curve.validation
    assert step == 2
    from formats.collate import collate

    backbone = run.backbone.eval()
    summed = weight = 0.0
    for task in features(backbone, "extract", "validation", 8):
        for i in range(len(task.store)):
            batch = collate([task.store[i]], backbone.layout, "extract")
            with torch.inference_mode():
                summed += backbone.loss(batch).item()
            weight += batch.weight
    assert value == pytest.approx(summed / weight, rel=1e-4)


def test_early_stopping_stops(tmp_path: Path) -> None:
    run = Run(tmp_path, steps=50, validate=True, val_check_interval=1, early_stopping=2, lr=1e-12)
    assert run.trainer.global_step < 50
    with pytest.raises(ConfigError, match="early stopping without validation"):
        Run(tmp_path / "none", early_stopping=2)


def test_clipping_takes_the_norm_that_the_guard_found() -> None:
    learner = Multitask(tiny("bert", "entail"), Optimization())
    optimizer = torch.optim.SGD(learner.parameters(), lr=0.1)
    weights = [p for p in learner.parameters() if p.requires_grad]

    def clipped(norm: torch.Tensor | None) -> list[torch.Tensor]:
        torch.manual_seed(0)
        for weight in weights:
            weight.grad = torch.randn_like(weight)
        if norm is None:
            torch.nn.utils.clip_grad_norm_(weights, 0.5)
        else:
            learner.gradient_norm = norm
            learner.configure_gradient_clipping(optimizer, 0.5, "norm")
        return [w.grad.clone() for w in weights if w.grad is not None]

    asked = clipped(None)
    norm = torch.nn.utils.get_total_norm([g * 1.0 for g in clipped(torch.tensor(0.1))])
    assert norm > 1  # a norm below the bound leaves the gradients as they were
    found = clipped(norm)
    assert all(torch.equal(a, b) for a, b in zip(asked, found, strict=True))
    assert learner.gradient_norm is None  # of one step only


def test_loggers_write(tmp_path: Path) -> None:
    Run(tmp_path, steps=11, loggers={"csv": True, "tensorboard": True}, validate=True,
        val_check_interval=5)
    rows = (tmp_path / "logs" / "metrics.csv").read_text().splitlines()
    assert {"step", "train/loss", "val/loss"} <= set(rows[0].split(","))
    assert len(rows) >= 4
    assert list((tmp_path / "tensorboard").glob("events.*"))


def test_half_precision_trains_on_a_cpu(tmp_path: Path) -> None:
    run = Run(tmp_path, steps=3, precision="bf16-mixed")
    assert all(np.isfinite(loss) for _, loss in run.curve.losses)
    assert {v.dtype for v in run.weights.values() if v.is_floating_point()} == {torch.float32}


def test_an_unknown_trainer_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="unknown trainer setting 'acelerator'") as caught:
        build_trainer({**CPU, "acelerator": "cpu"}, tmp_path, [], [], 1)
    assert "did you mean 'accelerator'" in str(caught.value)


# Optimization


def test_the_schedule_by_hand() -> None:
    linear = Optimization(warmup=0.2, floor=0.1)
    assert [round(linear.factor(s, 10), 4) for s in (0, 1, 2, 6, 10, 12)] == [
        0.3333, 0.6667, 1.0, 0.55, 0.1, 0.1
    ]
    cosine = Optimization(schedule="cosine", warmup=0.0)
    assert [round(cosine.factor(s, 10), 4) for s in (0, 5, 10)] == [1.0, 0.5, 0.0]
    assert Optimization(schedule="constant", warmup=0.5).factor(9, 10) == 1.0


def test_decay_spares_what_has_one_dimension_and_heads_have_their_rate() -> None:
    backbone = tiny("modernbert", "extract")
    made = Optimization(lr=1e-3, head_lr=5e-3, weight_decay=0.1).configure(backbone, 10)
    groups = made["optimizer"].param_groups
    names = {id(p): n for n, p in backbone.named_parameters()}
    for group in groups:
        assert {p.ndim >= 2 for p in group["params"]} == {group["weight_decay"] > 0}
        heads = {".head." in f".{names[id(p)]}" for p in group["params"]}
        assert heads == {group["initial_lr"] == 5e-3}
    assert sum(len(g["params"]) for g in groups) == len(list(backbone.parameters()))


def test_a_head_within_a_pretrained_model_is_not_new() -> None:
    backbone = tiny("modernbert", "generate")  # a masked language model with a head of its own
    assert any(n.startswith("model.head.") for n, _ in backbone.named_parameters())
    groups = Optimization(lr=1e-3, head_lr=5e-3).configure(backbone, 10)["optimizer"].param_groups
    assert {g["initial_lr"] for g in groups} == {1e-3}


@pytest.mark.parametrize("bad", [{"lr": 0.0}, {"schedule": "step"}, {"warmup": 1.0}])
def test_impossible_optimizations(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Optimization(**bad)
