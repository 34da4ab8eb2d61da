"""Prefixes: trained keys and values at every layer (Li and Liang 2021, 2101.00190; P-tuning v2 of
Liu et al. 2022, 2110.07602, is the same without re-parameterisation, on encoders too).

Each virtual position's key and value are replaced by trained ones in every layer, so that the text
attends to them: softmax(q · [P_K; K]) [P_V; V].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..backbones.base import Backbone
from .base import Tuning
from .places import Columns, layers
from .virtual import Virtual


@dataclass(frozen=True, eq=False)
class Put:
    """A hook that puts the prefix's columns from ``start`` into one projection."""

    owner: Prefix
    part: Columns
    start: int

    def __call__(self, module: nn.Module, args: Any, output: Tensor) -> Tensor | None:
        now = self.owner.virtual.now
        if now.where is None:
            return None
        rows = now.rows[..., self.start : self.start + self.part.stop - self.part.start]
        return self.owner.virtual.put(output, rows, self.part.start, self.part.stop)


class Prefix(Tuning):
    """Keys and values of ``length`` positions in each layer (of an encoder-decoder: its encoder).

    ``reparam`` is the width of the MLP that makes them from one vector per position while
    training; None trains them themselves. They begin with the spread ``std``.
    """

    name: ClassVar[str] = "prefix"

    def __init__(
        self,
        backbone: Backbone,
        *,
        length: int = 20,
        reparam: int | None = 512,
        std: float = 0.02,
    ) -> None:
        super().__init__(backbone, length=length, reparam=reparam, std=std)
        self.virtual = Virtual(backbone, [length])
        width = 0
        for layer in layers(backbone.model):
            if layer.decoder:
                continue
            for kind in ("key", "value"):
                part = layer.parts[kind]
                module = backbone.model.get_submodule(part.name)
                module.register_forward_hook(Put(self, part, width))
                width += part.stop - part.start
        source = self.virtual.width if reparam else width
        self.table = nn.Parameter(torch.randn(length, source) * (1.0 if reparam else std))
        self.mlp: nn.Module | None = None
        if reparam:
            last = nn.Linear(reparam, width)
            nn.init.normal_(last.weight, 0.0, std / reparam**0.5)
            nn.init.zeros_(last.bias)
            self.mlp = nn.Sequential(nn.Linear(source, reparam), nn.Tanh(), last)
        self.virtual.rows = self.begin

    def begin(self, words: Tensor) -> None:
        """Makes the rows of this pass; the positions themselves are read by nobody."""
        self.virtual.now.rows = self.rows()

    def rows(self) -> Tensor:
        """Keys and values ``[length, sum of all projections' columns]``."""
        return self.table if self.mlp is None else self.mlp(self.table)

    def fold(self) -> None:
        if self.mlp is None:
            return
        with torch.no_grad():
            rows = self.mlp(self.table)
        self.mlp = None
        self.table = nn.Parameter(rows.detach().clone())
        self.settings["reparam"] = None
