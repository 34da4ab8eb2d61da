"""A loss that is no number, or that explodes: stop and name the rows, or skip the step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from formats.collate import Batch, collate
from formats.errors import RunError, UnknownName

from .sharded import whole

ANSWERS = ("raise", "skip")
_RECENT, _FEW, _SHOWN = 100, 20, 12  # losses looked back on, and at least; rows that are named


class BadLoss(RunError):
    """The loss or the gradient is no number, or has exploded."""


class Guard(pl.Callback):
    """Watches the loss of every micro-batch and the gradient of every optimizer step.

    ``explode``: a loss above so many times the median of the last hundred (of 1, where that is
    less) has exploded; None asks for finite numbers only. ``on_bad_loss``: ``raise`` a BadLoss that
    names tasks and rows, before the weights move; or ``skip`` the whole optimizer step, the
    schedule going on, and count it.
    """

    def __init__(self, on_bad_loss: str = "raise", explode: float | None = 100.0) -> None:
        if on_bad_loss not in ANSWERS:
            raise UnknownName("answer", on_bad_loss, ANSWERS, field="trainer.on_bad_loss")
        self.answer, self.explode = on_bad_loss, explode
        self.skipped = 0
        self.first: list[str] = []  # what the first skipped steps were, as text
        self._recent: list[float] = []
        self._batch: Any = None
        self._bad: list[tuple[Any, float]] = []

    def state_dict(self) -> dict[str, Any]:
        return {"skipped": self.skipped, "first": self.first, "recent": self._recent}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.skipped, self.first = int(state_dict["skipped"]), list(state_dict["first"])
        self._recent = [float(v) for v in state_dict["recent"]]

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._batch = batch

    def on_before_backward(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor
    ) -> None:
        value = float(loss.detach())
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        if scaler is not None:
            value /= scaler.get_scale()
        if isinstance(self._batch, Batch) and self._batch.weight:  # per unit, not per step
            share = max(self._batch.step_weight, 1.0) / self._batch.weight
            value *= share * trainer.accumulate_grad_batches / self._batch.step_parts
            value /= trainer.world_size
        if math.isfinite(value) and not self._exploded(value):
            self._recent = [*self._recent[1 - _RECENT :], value]
        else:
            self._bad.append((self._batch, value))

    def _exploded(self, value: float) -> bool:
        if self.explode is None or len(self._recent) < _FEW:
            return False
        return value > self.explode * max(1.0, median(self._recent))

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any
    ) -> None:
        weights = [p for group in optimizer.param_groups for p in group["params"]]
        bad, self._bad = self._bad, []
        odd = bool(bad)
        if not odd and _unscaled(trainer):
            norm = _norm(weights)
            odd = not bool(torch.isfinite(norm))
            if hasattr(pl_module, "gradient_norm") and not _sharded(trainer):
                pl_module.gradient_norm = norm  # clipping needs it again
        if not trainer.strategy.reduce_boolean_decision(odd, all=False):
            return
        trouble = self._trouble(trainer, pl_module, bad)
        if self.answer == "raise":
            raise trouble
        for weight in weights:
            weight.grad = None  # the optimizer passes over it
        self.skipped += 1
        if len(self.first) < 3:
            rows = trouble.where.get("rows", "")
            self.first.append(f"step {trainer.global_step + 1}: {trouble.what}; {rows}")

    def _trouble(
        self, trainer: pl.Trainer, module: pl.LightningModule, bad: Sequence[tuple[Any, float]]
    ) -> BadLoss:
        if not bad:
            what, batches, got = "the gradient is no number", [self._batch], None
        else:
            got = bad[0][1]
            what = "the loss has exploded" if math.isfinite(got) else "the loss is no number"
            batches = [batch for batch, _ in bad]
        limit = f", below {self.explode:g} times its median" if self.explode else ""
        return BadLoss(
            what,
            step=trainer.global_step + 1,
            rows="; ".join(self._named(trainer, module, b) for b in batches),
            got=got,
            expected=f"a finite loss{limit}",
            fix="lower learner.optimization.lr, repair the rows, or trainer.on_bad_loss=skip",
        )

    def _named(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any) -> str:
        """The rows that are to blame, by task; all rows of the batch where none is alone."""
        tasks = getattr(data_of(trainer), "train", ())
        owners = getattr(batch, "tasks", None)
        if owners is None or not tasks:
            return "of this batch"
        places = range(len(batch.rows))
        blamed = [i for i in places if self._bad_alone(trainer, module, batch.rows[i])]
        found: dict[str, list[int]] = {}
        for i in blamed or places:
            found.setdefault(tasks[int(owners[i])].name, []).append(int(batch.rows[i].row))
        return "; ".join(f"{task} {_listed(rows)}" for task, rows in found.items())

    def _bad_alone(self, trainer: pl.Trainer, module: pl.LightningModule, row: Any) -> bool:
        data = data_of(trainer)
        summed: Any = getattr(module, "summed", None)
        if summed is None or not hasattr(data, "plan") or not hasattr(data, "layout"):
            return False
        if _sharded(trainer):  # its layers need all processes
            return False
        state = torch.get_rng_state()
        try:
            batch = collate([row], data.layout, data.format).to(module.device)
            with torch.no_grad():
                value = float(summed(batch)) / max(batch.weight, 1.0)
        except Exception:  # rows that are no batch on their own, as those of episodes
            return False
        finally:
            torch.set_rng_state(state)
        return not math.isfinite(value) or self._exploded(value)

    def notes(self) -> list[dict[str, Any]]:
        """For the report: how many steps were skipped, and what the first ones were."""
        if not self.skipped:
            return []
        lines = [f"{self.skipped} optimizer steps skipped", *self.first]
        return [{"task": "training", "notes": lines}]


def data_of(trainer: pl.Trainer) -> Any:
    """The trainer's data module."""
    return getattr(trainer, "datamodule", None)


def _listed(rows: Sequence[int]) -> str:
    shown = ", ".join(map(str, rows[:_SHOWN]))
    return f"rows {shown}" + (f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else "")


def _unscaled(trainer: pl.Trainer) -> bool:
    """Whether gradients are what they seem: in 16-mixed a scaler makes and mends infinite ones."""
    return getattr(trainer.precision_plugin, "scaler", None) is None


def _sharded(trainer: pl.Trainer) -> bool:
    return bool(getattr(trainer.strategy, "sharded", False))


def _norm(weights: Sequence[torch.nn.Parameter]) -> Tensor:
    found = [w.grad for w in weights if w.grad is not None]
    norm: Tensor = whole(torch.nn.utils.get_total_norm(found))
    return norm
