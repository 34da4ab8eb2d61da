"""When a run is saved: every so many steps, at its end, and when something stops it.

A checkpoint stands between two optimizer steps, behind the validation that may follow a step, so
that a resumed run repeats nothing and leaves nothing out.
"""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from formats.errors import RunError, UnifyError

from . import checkpoints
from .callbacks import random_state
from .guard import BadLoss
from .metrics_log import MetricsLog
from .progress import say

TERMINATED = 143  # 128 + SIGTERM, which schedulers take for "stopped from outside, start it again"
_TRACKED = ("ready", "started", "processed", "completed")
_SAVED_ON = (KeyboardInterrupt, torch.OutOfMemoryError, UnifyError, OSError)


class Saver(pl.Callback):
    """Writes ``folder/step-<n>.ckpt`` every ``every`` optimizer steps and keeps the last ``keep``.

    A checkpoint that cannot be written does not end the training: it is said, and tried again at
    the next tenth of ``every``; only the last one must succeed (RunError). SIGTERM saves behind the
    step (or validation) that it meets, and leaves with exit code 143.
    """

    def __init__(self, folder: Path, every: int, keep: int = 2) -> None:
        self.folder, self.every, self.keep = folder, every, keep
        self.saved = -1  # the step of the newest checkpoint
        self._failing = False
        self._asked_to_stop = False
        self._between: dict[str, Any] | None = None  # random state, while no weight has moved
        self._stopped_early = False

    def state_dict(self) -> dict[str, Any]:
        return {"stopped": self._stopped_early}

    def _note(self, number: int, frame: object) -> None:
        self._asked_to_stop = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Steps are endless and a checkpoint stands between two of them: there is no epoch to go
        # back into, and no validation to finish.
        trainer.fit_loop.epoch_loop.restarting = False
        # Lightning's own handler, which stands here, stops in the middle of a step. When the fit
        # ends it puts back what was there before it.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._note)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        done = trainer.fit_loop.epoch_loop.batch_progress.current.completed
        if done % trainer.accumulate_grad_batches:
            return
        self._between = random_state()
        step = trainer.global_step
        if trainer.strategy.reduce_boolean_decision(self._asked_to_stop, all=False):
            self._save(trainer)
            if trainer.is_global_zero:
                said = f"SIGTERM: saved behind step {step}; the same command goes on from there"
                say(said)
            raise SystemExit(TERMINATED)
        often = max(1, self.every // 10) if self._failing else self.every
        if step and step != self.saved and step % often == 0:
            self._save(trainer)

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any
    ) -> None:
        self._between = None

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stopped_early = bool(trainer.should_stop)
        if trainer.global_step != self.saved:
            self._between = None
            self._save(trainer, last=True)

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        safe = isinstance(exception, _SAVED_ON) and not isinstance(exception, BadLoss)
        if safe and self._between is not None and trainer.world_size == 1:
            self._save(trainer)

    def _save(self, trainer: pl.Trainer, last: bool = False) -> None:
        step = trainer.global_step
        if step == self.saved:
            return
        for logger in trainer.loggers:
            logger.save()
        trainer.save_checkpoint(self.folder / f"step-{step}.ckpt")
        error = getattr(trainer.strategy.checkpoint_io, "error", None)
        if error is None:
            self.saved, self._failing = step, False
            if trainer.is_global_zero:
                checkpoints.prune(self.folder, self.keep, step)
            return
        trouble = RunError(
            f"the checkpoint behind step {step} cannot be written",
            file=str(self.folder),
            got=error.strerror or error,
            expected="free space, and leave to write",
            fix="make room; then the same command goes on from the newest checkpoint",
        )
        if last:
            raise trouble
        if not self._failing:
            say(f"{trouble}\n  (training goes on; it is tried again)")
        self._failing = True

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        _count(checkpoint, trainer.global_step * trainer.accumulate_grad_batches)
        if self._between is not None and "Randomness" in checkpoint["callbacks"]:
            checkpoint["callbacks"]["Randomness"] = self._between
        for logger in trainer.loggers:
            if isinstance(logger, MetricsLog):
                checkpoint["metrics_rows"] = logger.rows

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        # Written with another number of micro-batches per step, perhaps.
        _count(checkpoint, checkpoint["global_step"] * trainer.accumulate_grad_batches)
        self.saved = int(checkpoint["global_step"])
        trainer.should_stop = bool(checkpoint["callbacks"].get(self.state_key, {}).get("stopped"))
        for logger in trainer.loggers:
            if isinstance(logger, MetricsLog):
                logger.go_on(int(checkpoint.get("metrics_rows", 0)))


def _count(checkpoint: dict[str, Any], batches: int) -> None:
    """Sets Lightning's progress to ``batches`` whole micro-batches."""
    progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    for part in ("total", "current"):
        progress[part].update(dict.fromkeys(_TRACKED, batches))
