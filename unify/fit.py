"""Goes on training a loaded model on the user's own rows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from formats.errors import UnsupportedCell

from .callbacks import Curve
from .data import MixtureData, Preparation, TaskFeatures, prepare
from .learners import Multitask, Optimization
from .own import task_from_rows

if TYPE_CHECKING:
    from .unified import Unified


def fit(
    model: Unified,
    rows: Iterable[Mapping[str, Any]],
    kind: str,
    declaration: Mapping[str, Any],
    *,
    steps: int,
    batch_size: int,
    lr: float,
    seed: int,
) -> list[tuple[int, float]]:
    """Trains ``model`` in place and returns its (optimizer step, loss) curve."""
    import pytorch_lightning as pl

    from .quiet import quiet

    quiet()
    pl.seed_everything(seed, workers=True, verbose=False)
    backbone, format = model.backbone, model.format
    device = backbone.device
    with tempfile.TemporaryDirectory() as folder:
        task = task_from_rows(rows, Path(folder), kind, declaration)
        reason = format.refusal(task.type) or backbone.refusal(task.type, format.name)
        if reason:
            raise UnsupportedCell(
                f"{task.type.__name__} cannot be asked as {format.name}: {reason}",
                fix="use a run of another format or model",
            )
        preparation = Preparation(format, backbone.coder, "data", train=True)
        store = prepare(task, preparation, Path(folder))
        data = MixtureData(
            [TaskFeatures(task.name, store)],
            {task.name: 1.0},
            backbone.layout,
            format.name,
            batch_size=batch_size,
            seed=seed,
        )
        curve = Curve()
        trainer = pl.Trainer(
            max_steps=steps,
            max_epochs=-1,
            accelerator="cpu" if device.type == "cpu" else "auto",
            devices=1 if device.index is None else [device.index],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            limit_val_batches=0,
            gradient_clip_val=1.0,
            callbacks=[curve],
        )
        backbone.train()
        trainer.fit(Multitask(backbone, Optimization(lr=lr)), datamodule=data)
        backbone.to(device).eval()  # where the trainer leaves it is its own affair
    return curve.losses
