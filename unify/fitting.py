"""Fitting to the end: from the newest checkpoint, in smaller micro-batches when memory runs out."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import pytorch_lightning as pl
import torch

from formats.errors import RunError

from . import checkpoints
from .progress import say

MakeTrainer = Callable[[int], pl.Trainer]  # from micro-batches per optimizer step
MakeData = Callable[[int], pl.LightningDataModule]


def fit(
    learner: pl.LightningModule,
    trainer: MakeTrainer,
    data: MakeData,
    folder: Path,
    *,
    parts: int,
    batch_size: int,
) -> int:
    """Trains ``learner`` to the end, from the newest whole checkpoint in ``folder`` on.

    When memory runs out, every optimizer step is cut into twice as many micro-batches, and training
    goes on from the step that failed: a step's rows, and its gradient but for rounding, stay what
    they were. Returns the micro-batches per step at the end. Raises RunError where one row is
    already too much.
    """
    while True:
        last = checkpoints.newest(folder)
        made = trainer(parts)
        try:
            path = str(last) if last else None
            made.fit(learner, datamodule=data(parts), ckpt_path=path, weights_only=True)
            return parts
        except torch.OutOfMemoryError as error:
            said = str(error).splitlines()[0]
            step = made.global_step
        except SystemExit as error:
            if isinstance(error.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None  # Lightning makes an exit code 1 of it
            raise
        # Without a checkpoint the weights have moved, and half of a step is no place to go on from.
        lost = checkpoints.newest(folder) is None
        if lost or made.world_size > 1 or 2 * parts > batch_size:
            raise RunError(
                f"out of memory in step {step + 1}",
                got=f"{batch_size} rows in {parts} micro-batches: {said}",
                expected="micro-batches that fit the device",
                fix=f"data.accumulate={2 * parts}, a smaller model, or a smaller model.window",
            )
        parts *= 2
        say(
            f"out of memory in step {step + 1}: from here on {parts} micro-batches per optimizer "
            f"step, whose {batch_size} rows stay the same"
        )
        del made
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
