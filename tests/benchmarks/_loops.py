"""The two loops that ``overhead.py`` compares, and what they train."""

from __future__ import annotations

import contextlib
import copy
import gc
import io
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from formats.collate import Batch
from formats.layout import Layout
from tasks import catalogue, mixture
from unify import build
from unify.backbones import Backbone
from unify.callbacks import Curve, Randomness
from unify.config import compose
from unify.data import MixtureData, TaskFeatures
from unify.data.module import StepBatches
from unify.suite_data import features


class Clock(pl.Callback):
    """When each step ended. Seeds the first one, so that dropout draws alike in both loops."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        if not self.ends and batch_idx == 0:
            torch.manual_seed(1)

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.ends.append(time.perf_counter())


@dataclass
class Setting:
    """One format's model, data and batches."""

    config: dict[str, Any]
    backbone: Backbone
    weights: dict[str, torch.Tensor]
    seen: list[TaskFeatures]
    batches: list[Batch]
    steps: int
    warm: int

    def steps_of(self, ends: Sequence[float]) -> list[float]:
        """Seconds of each step after the warm-up steps."""
        return [b - a for a, b in pairwise(ends[self.warm - 1 :])]

    def restart(self) -> None:
        self.backbone.load_state_dict(self.weights)
        self.backbone.train()
        gc.collect()


def mixture_data(config: dict[str, Any], seen: list[TaskFeatures], layout: Layout) -> MixtureData:
    data = config["data"]
    rates = mixture.capped({t.name: len(t.store) for t in seen}, data["cap"])
    return MixtureData(
        seen,
        rates,
        layout,
        config["format"]["name"],
        batch_size=data["batch_size"],
        bucket=data["bucket"],
        seed=config["seed"],
    )


def prepare(format: str, steps: int, warm: int, rows: int, overrides: Sequence[str]) -> Setting:
    config = compose("train", [f"format={format}", f"suite.limits={{train: {rows}}}", *overrides])
    pl.seed_everything(0, verbose=False)
    asked = build.build_format(config["format"])
    suite = build.build_suite(config["suite"])
    tasks = [t for t in map(catalogue.load, suite.seen) if asked.supports(t.type)]
    backbone = build.build_backbone(config["model"], asked, suite)
    seen = features(tasks, asked, backbone.coder, "train", "preparing", train=True, limit=rows)
    data = mixture_data(config, seen, backbone.layout)
    stream = StepBatches(data.plan, data.train, data.layout, data.format, lambda: 0)
    return Setting(
        config,
        backbone,
        copy.deepcopy(backbone.state_dict()),
        seen,
        list(islice(stream, steps)),
        steps,
        warm,
    )


def whole(setting: Setting) -> list[float]:
    """The path of ``unify train``."""
    setting.restart()
    clock = Clock()
    trainer_config = {
        **setting.config["trainer"],
        "max_steps": setting.steps,
        "val_check_interval": None,
        "accelerator": "cpu",
    }
    learner = build.build_learner(setting.config["learner"], setting.backbone)
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stderr(io.StringIO()):
        folder = Path(name)
        trainer = build.build_trainer(
            trainer_config,
            folder,
            build.build_loggers(setting.config["logger"], folder),
            [Curve(), build.build_guard(trainer_config), Randomness(), clock],
            1,
        )
        data = mixture_data(setting.config, setting.seen, setting.backbone.layout)
        trainer.fit(learner, datamodule=data)
    assert len(clock.ends) == setting.steps
    return setting.steps_of(clock.ends)


def bare(setting: Setting) -> list[float]:
    """The loop one writes without a framework."""
    setting.restart()
    backbone = setting.backbone
    learner: Any = build.build_learner(setting.config["learner"], backbone)
    made = learner.optimization.configure(backbone, setting.steps)
    optimizer, schedule = made["optimizer"], made["lr_scheduler"]["scheduler"]
    clip = setting.config["trainer"]["gradient_clip_val"]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    ends: list[float] = []
    torch.manual_seed(1)
    for batch in setting.batches:
        optimizer.zero_grad()
        (backbone.loss(batch) / max(batch.step_weight, 1.0)).backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()
        schedule.step()
        ends.append(time.perf_counter())
    return setting.steps_of(ends)
