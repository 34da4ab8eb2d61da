"""Optimizer and schedule from plain arguments."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from formats.errors import ConfigError

SCHEDULES = ("constant", "linear", "cosine")


@dataclass(frozen=True)
class Optimization:
    """AdamW with warm-up, plateau and decay.

    ``warmup`` and ``hold`` are shares of all optimizer steps: the rise, and the plateau after it
    before the decay begins; ``floor`` is the share of ``lr`` that is left at the end. Parameters
    of one dimension (biases, norms) get no weight decay. ``head_lr`` is for the head alone.
    ``frozen`` names parameters (globs) that stay as they are: ``*word_embeddings*`` makes the steps
    of a small pretrained encoder cheaper, half of whose parameters those are.
    """

    lr: float = 1e-3
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8
    schedule: str = "linear"
    warmup: float = 0.05
    hold: float = 0.0
    floor: float = 0.0
    head_lr: float | None = None
    frozen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.lr <= 0:
            raise ConfigError(
                "a learning rate that is not positive", got=self.lr, expected="a number above 0"
            )
        if self.schedule not in SCHEDULES:
            raise ConfigError("unknown schedule", got=self.schedule, expected=", ".join(SCHEDULES))
        if not (self.warmup >= 0 and self.hold >= 0 and self.warmup + self.hold < 1):
            raise ConfigError(
                "warm-up and plateau leave no step to decay",
                got=(self.warmup, self.hold),
                expected="shares of the steps that sum to less than 1",
            )

    def factor(self, step: int, steps: int) -> float:
        """The share of ``lr`` at optimizer step ``step`` of ``steps``."""
        warm = self.warmup * steps
        if step < warm:
            return (step + 1) / (warm + 1)
        if self.schedule == "constant":
            return 1.0
        flat = warm + self.hold * steps
        done = min(1.0, max(0.0, (step - flat) / max(1.0, steps - flat)))
        left = 1 - done if self.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))
        return self.floor + (1 - self.floor) * left

    def _freeze(self, module: nn.Module) -> None:
        """Raises ConfigError for a pattern that names no parameter."""
        named = dict(module.named_parameters())
        for pattern in self.frozen:
            found = [name for name in named if fnmatchcase(name, pattern)]
            if not found:
                raise ConfigError(
                    "no parameter to freeze by this name",
                    got=pattern,
                    expected=f"a glob for names like {', '.join(list(named)[:3])}",
                    field="learner.optimization.frozen",
                )
            for name in found:
                named[name].requires_grad_(False)

    def configure(self, module: nn.Module, steps: int) -> dict[str, Any]:
        """What ``LightningModule.configure_optimizers`` returns, for ``steps`` optimizer steps."""
        self._freeze(module)
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                # A head within the pretrained model is not new.
                outside = f".{name}".partition(".model.")[0] + "."
                key = (parameter.ndim >= 2, ".head." in outside)
                groups.setdefault(key, []).append(parameter)
        settings = [
            {
                "params": parameters,
                "weight_decay": self.weight_decay if matrix else 0.0,
                "lr": self.head_lr if head and self.head_lr else self.lr,
            }
            for (matrix, head), parameters in groups.items()
        ]
        optimizer = torch.optim.AdamW(settings, lr=self.lr, betas=self.betas, eps=self.eps)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self.factor(step, steps)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }
