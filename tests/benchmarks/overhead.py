"""Seconds per optimizer step of the whole training path, against a bare PyTorch loop.

The whole path is what ``unify train`` runs: the mixture's batches made on the way, the learner,
the Lightning trainer with its callbacks and CSV logger. The bare loop has the same weights at the
start and the very same batches, ready before its clock runs. Both must end at the same weights.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import io
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from _bench import Figures, finish, parser, side_by_side, table

from formats.collate import Batch
from tasks import catalogue, mixture
from unify import build
from unify.backbones import Backbone
from unify.callbacks import Curve, Randomness
from unify.config import compose
from unify.data import MixtureData, TaskFeatures
from unify.data.module import StepBatches
from unify.quiet import quiet
from unify.suite_data import features

BAR = 1.10
CLOSE = 1e-6


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
    rates: dict[str, float]
    batches: list[Batch]
    steps: int
    warm: int

    def data(self) -> MixtureData:
        return mixture_data(self.config, self.seen, self.rates, self.backbone)

    def steps_of(self, ends: Sequence[float]) -> list[float]:
        """Seconds of each step after the warm-up steps."""
        return [b - a for a, b in pairwise(ends[self.warm - 1 :])]

    def restart(self) -> None:
        self.backbone.load_state_dict(self.weights)
        self.backbone.train()
        gc.collect()


def mixture_data(
    config: dict[str, Any], seen: list[TaskFeatures], rates: dict[str, float], backbone: Backbone
) -> MixtureData:
    data = config["data"]
    return MixtureData(
        seen, rates, backbone.layout, config["format"]["name"], batch_size=data["batch_size"],
        bucket=data["bucket"], seed=config["seed"],
    )


def prepare(format: str, steps: int, warm: int, rows: int, overrides: Sequence[str]) -> Setting:
    config = compose("train", [f"format={format}", f"suite.limits={{train: {rows}}}", *overrides])
    pl.seed_everything(0, verbose=False)
    asked = build.build_format(config["format"])
    suite = build.build_suite(config["suite"])
    tasks = [t for t in map(catalogue.load, suite.seen) if asked.supports(t.type)]
    backbone = build.build_backbone(config["model"], asked, suite)
    seen = features(tasks, asked, backbone.coder, "train", "preparing", train=True, limit=rows)
    rates = mixture.capped({t.name: len(t.store) for t in seen}, config["data"]["cap"])
    data = mixture_data(config, seen, rates, backbone)
    stream = StepBatches(data.plan, data.train, data.layout, data.format, lambda: 0)
    return Setting(
        config, backbone, copy.deepcopy(backbone.state_dict()), seen, rates,
        list(islice(stream, steps)), steps, warm,
    )


def whole(setting: Setting) -> list[float]:
    """The path of ``unify train``."""
    setting.restart()
    clock = Clock()
    trainer_config = {
        **setting.config["trainer"], "max_steps": setting.steps, "val_check_interval": None,
        "accelerator": "cpu",
    }
    learner = build.build_learner(setting.config["learner"], setting.backbone)
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stderr(io.StringIO()):
        folder = Path(name)
        trainer = build.build_trainer(
            trainer_config, folder, build.build_loggers(setting.config["logger"], folder),
            [Curve(), Randomness(), clock], 1,
        )
        trainer.fit(learner, datamodule=setting.data())
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


@dataclass
class Found:
    """Seconds per step of both loops, and how far apart their final weights are at most.

    ``ratio`` compares the sums over the steps of each step's fastest repeat: step k is the same
    work each time, so that only what other processes took is left out.
    """

    per_step: dict[str, Figures]
    ratio: float
    ratios: Figures  # of each repeat's medians
    apart: float


def measure(setting: Setting, repeats: int) -> Found:
    final: dict[str, dict[str, torch.Tensor]] = {}
    taken: dict[str, list[list[float]]] = {"whole": [], "bare": []}

    def run(name: str) -> float:
        steps = (whole if name == "whole" else bare)(setting)
        taken[name].append(steps)
        final[name] = copy.deepcopy(setting.backbone.state_dict())
        return statistics.median(steps)

    medians = side_by_side(
        {"whole": lambda: run("whole"), "bare": lambda: run("bare")}, repeats
    )
    fastest = {n: sum(map(min, zip(*t, strict=True))) for n, t in taken.items()}
    apart = max(
        float((a.double() - b.double()).abs().max())
        for a, b in zip(final["whole"].values(), final["bare"].values(), strict=True)
    )
    ratios = medians["whole"].over(medians["bare"])
    return Found(medians, fastest["whole"] / fastest["bare"], ratios, apart)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--formats", default="extract,entail,generate")
    arguments.add_argument("--steps", type=int, default=60, help="optimizer steps of a repeat")
    arguments.add_argument("--warm", type=int, default=10, help="of these, not timed")
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("--rows", type=int, default=200, help="rows per task")
    arguments.add_argument("--overrides", nargs="*", default=[], help="key=value of unify train")
    options = arguments.parse_args()
    quiet()
    rows: list[list[object]] = []
    missed: list[str] = []
    figures: dict[str, Any] = {}
    for format in options.formats.split(","):
        setting = prepare(
            format, options.steps, options.warm, options.rows, options.overrides
        )
        found = measure(setting, options.repeats)
        size = sum(p.numel() for p in setting.backbone.parameters())
        times = {
            n: Figures(tuple(1000 * v for v in f.values)) for n, f in found.per_step.items()
        }
        rows.append([
            format, f"{size / 1e6:.2f}M", times["whole"].show(1), times["bare"].show(1),
            found.ratios.show(3), f"{found.ratio:.3f}", f"{found.apart:.1e}",
        ])
        figures[format] = {
            "ratio": found.ratio, "ratios": found.ratios.plain(), "apart": found.apart,
            "milliseconds": {n: f.plain() for n, f in times.items()},
        }
        if found.ratio > BAR:
            missed.append(f"{format}: {found.ratio:.3f}x the bare loop, the bar is {BAR:g}x")
        if found.apart > CLOSE:
            missed.append(f"{format}: final weights differ by {found.apart:.1e}")
    head = [
        "", "parameters", "whole ms/step", "bare ms/step", "ratio of medians",
        "ratio of fastest steps", "weights apart",
    ]
    print(table(head, rows))
    finish("overhead", figures, missed, options.json, f"at most {BAR - 1:.0%} over")


if __name__ == "__main__":
    main()
