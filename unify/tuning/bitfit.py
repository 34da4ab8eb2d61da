"""BitFit: only biases move (Ben Zaken et al. 2022, arXiv 2106.10199)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from formats.errors import ConfigError

from ..backbones.base import Backbone
from .base import Tuning
from .places import linear, role, sizes


class Bias(nn.Module):
    """A bias for a linear layer that has none."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(width))

    def after(self, module: nn.Module, args: Any, output: Tensor) -> Tensor:
        return output + self.bias


class BitFit(Tuning):
    """Trains the model's biases. The layers' projections that have none (T5, Llama) get one of
    zeros with ``add``; those do not go into the weights."""

    name: ClassVar[str] = "bitfit"

    def __init__(self, backbone: Backbone, *, add: bool = True) -> None:
        super().__init__(backbone, add=add)
        self.added = nn.ModuleList()
        for name, module in backbone.model.named_modules() if add else ():
            if linear(module) and role(name) and module.bias is None:
                made = Bias(sizes(module)[1])
                module.register_forward_hook(made.after)
                self.added.append(made)
        if not self.added and not any(True for _ in self.own(backbone)):
            raise ConfigError("a model without biases", got=type(backbone.model).__name__,
                              fix="tuning.add=true")  # fmt: skip

    def own(self, backbone: Backbone) -> Iterator[nn.Parameter]:
        for name, parameter in backbone.model.named_parameters():
            if name.rpartition(".")[2] == "bias":
                yield parameter

    def merge(self, backbone: Backbone) -> None:
        if self.added:
            raise ConfigError(
                "biases that the model has no place for",
                got=type(backbone.model).__name__,
                fix="export the run with its tuning beside the backbone, or tuning.add=false",
            )
