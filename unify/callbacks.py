"""Trainer callbacks: progress with rates, the loss curve, and the state Lightning leaves out."""

from __future__ import annotations

import math
import random
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from formats.collate import Batch

from . import watch
from .progress import Advance, progress


class Curve(pl.Callback):
    """Keeps ``(step, loss)`` of training and validation, and shows progress with rates."""

    def __init__(self) -> None:
        self.losses: list[tuple[int, float]] = []
        self.validation: list[tuple[int, float]] = []
        self.tokens = 0
        self._part = 0  # tokens of a step that is not done yet
        self._stack = ExitStack()
        self._advance: Advance | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        total = trainer.max_steps if trainer.max_steps > 0 else 0
        self._stack = ExitStack()
        self._advance = self._stack.enter_context(progress("training", total, "steps"))
        if trainer.global_step:
            self._advance(trainer.global_step)
        self._seen, self._part = trainer.global_step, 0

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        self._part += batch.tokens
        if trainer.global_step == self._seen:
            return
        step = self._seen = trainer.global_step
        self.tokens, self._part = self.tokens + self._part, 0
        loss = float(pl_module.latest)  # type: ignore[arg-type]  # see Multitask.note
        if math.isfinite(loss):  # a skipped step has none
            self.losses.append((step, loss))
        if self._advance is not None:
            self._advance(1, f"loss {loss:.3f}")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking and "val/loss" in trainer.callback_metrics:
            self.validation.append(
                (trainer.global_step, float(trainer.callback_metrics["val/loss"]))
            )

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stack.close()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._stack.close()

    def state_dict(self) -> dict[str, Any]:
        return {"losses": self.losses, "validation": self.validation, "tokens": self.tokens}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.losses = [(int(s), float(v)) for s, v in state_dict["losses"]]
        self.validation = [(int(s), float(v)) for s, v in state_dict["validation"]]
        self.tokens = int(state_dict["tokens"])


def random_state() -> dict[str, Any]:
    """The state of every random generator, in plain values and tensors."""
    kind, keys, place, has_gauss, cached = np.random.get_state(legacy=True)
    version, internal, gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [kind, torch.from_numpy(np.asarray(keys, np.int64)), place, has_gauss, cached],
        "python": [version, list(internal), gauss],
    }


class Randomness(pl.Callback):
    """Saves and restores every random generator; the data's order needs none, it follows from the
    step."""

    def state_dict(self) -> dict[str, Any]:
        return random_state()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._waiting = state_dict

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        state = getattr(self, "_waiting", None)
        if state is not None:
            self._restore(state)
        if trainer is not None and trainer.global_rank:  # each process drops out other activations
            torch.manual_seed(
                torch.initial_seed() + 1_000_003 * trainer.global_rank + trainer.global_step
            )

    def _restore(self, state: dict[str, Any]) -> None:
        torch.set_rng_state(state["torch"].cpu())
        if state["cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all([s.cpu() for s in state["cuda"]])
        kind, keys, place, has_gauss, cached = state["numpy"]
        np.random.set_state((kind, keys.numpy().astype(np.uint32), place, has_gauss, cached))
        version, internal, gauss = state["python"]
        random.setstate((version, tuple(internal), gauss))


class Watch(pl.Callback):
    """While several processes fit together, none waits for one that is gone; see
    :mod:`unify.watch`."""

    signs: watch.Signs | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if trainer.world_size > 1 and self.signs is None:
            share = trainer.strategy.broadcast
            self.signs = watch.begin(trainer.global_rank, trainer.world_size, share)

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        if self.signs is not None:
            self.signs.failed(exception)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if self.signs is not None:
            self.signs.done()
            self.signs = None
