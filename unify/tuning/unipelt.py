"""UniPELT (Mao et al. 2022, arXiv 2110.07577): LoRA, prefix and adapter, each behind a gate.

Each gate is sigmoid(w · x + b) of what its part reads: the layer's input (LoRA, prefix), or the
feed-forward's (adapter). The published gates are means over the sequence; ours are each token's
own for LoRA and adapter, so that a causal model does not look ahead. The prefix's is the mean over
the text where a model reads both ways, and over the prefix positions in a causal one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..backbones.base import Backbone
from .adapters import Bottleneck
from .base import Tuning
from .places import Columns, Layer, layers, sizes
from .virtual import Virtual


class Gate(nn.Module):
    """``sigmoid(w · x + b)``: ``[..., width]`` to ``[..., 1]``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weigh = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.weigh(x))


class GatedLowRank(nn.Module):
    """``g(x) (alpha / rank) B A x``, added to columns ``part`` of a projection."""

    def __init__(self, width: int, part: Columns, rank: int, alpha: float, gate: Gate) -> None:
        super().__init__()
        self.a = nn.Linear(width, rank, bias=False)
        self.b = nn.Linear(rank, part.stop - part.start, bias=False)
        nn.init.zeros_(self.b.weight)
        self.part, self.scale, self.gate = part, alpha / rank, gate

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.gate(x) * self.scale * self.b(self.a(x))
        return found

    def after(self, module: nn.Module, args: Any, output: Tensor) -> Tensor:
        more, rest = self(args[0]), output.shape[-1] - self.part.stop
        return output + nn.functional.pad(more, (self.part.start, rest))


class GatedBottleneck(Bottleneck):
    """``g(x) U f(D h)`` behind a block that reads ``x`` and writes ``h``."""

    def __init__(self, width: int, size: int, reads: int) -> None:
        super().__init__(width, size)
        self.gate = Gate(reads)

    def beside(self, module: nn.Module, args: Any, output: Tensor) -> Tensor:
        return output + self.gate(self.read.take()) * self(output)


class GatedRows(nn.Module):
    """One layer's prefix: keys and values times the gate."""

    def __init__(self, length: int, parts: dict[str, Columns], std: float, gate: Gate) -> None:
        super().__init__()
        wide = {kind: part.stop - part.start for kind, part in parts.items()}
        self.rows = nn.ParameterDict(
            {kind: nn.Parameter(torch.randn(length, w) * std) for kind, w in wide.items()}
        )
        self.gate = gate

    def forward(self, kind: str, x: Tensor, over: Tensor) -> Tensor:
        """``[n, length, columns]`` for the layer's input ``x [n, L, width]``; ``over [n, L]`` are
        the positions that the gate is a mean of."""
        weight = over[..., None].to(x.dtype)
        share = (self.gate(x) * weight).sum(1) / weight.sum(1).clamp(min=1)
        return share[:, None] * self.rows[kind]


@dataclass(frozen=True, eq=False)
class Put:
    """A hook that puts one layer's gated keys or values into their projection."""

    virtual: Virtual
    made: GatedRows
    kind: str
    part: Columns
    causal: bool

    def __call__(self, module: nn.Module, args: Any, output: Tensor) -> Tensor | None:
        now = self.virtual.now
        if now.where is None or now.text is None:
            return None
        over = now.text
        if self.causal:
            over = torch.zeros_like(over).index_put(now.where, torch.ones_like(now.slot).bool())  # type: ignore[arg-type]
        rows = self.made(self.kind, args[0], over)
        return self.virtual.put(output, rows, self.part.start, self.part.stop)


class UniPELT(Tuning):
    """LoRA of ``rank`` on query and value, ``length`` prefix positions (of an encoder-decoder: in
    its encoder), and adapters of ``size`` behind the feed-forward."""

    name: ClassVar[str] = "unipelt"

    def __init__(
        self,
        backbone: Backbone,
        *,
        length: int = 10,
        rank: int = 8,
        alpha: float = 16.0,
        size: int = 16,
        std: float = 0.02,
    ) -> None:
        super().__init__(
            backbone, length=length, rank=rank, alpha=alpha, size=size, std=std
        )
        self.virtual = Virtual(backbone, [length])
        self.parts = nn.ModuleList()
        causal = backbone.coder.layout.kind == "causal"
        for layer in layers(backbone.model):
            self._low_rank(backbone.model, layer, rank, alpha)
            self._adapter(backbone.model, layer, size)
            if not layer.decoder:
                self._prefix(backbone.model, layer, length, std, causal)

    def _low_rank(self, model: Any, layer: Layer, rank: int, alpha: float) -> None:
        width = sizes(model.get_submodule(layer.parts["query"].name))[0]
        gate = Gate(width)
        for kind in ("query", "value"):
            part = layer.parts[kind]
            made = GatedLowRank(width, part, rank, alpha, gate)
            model.get_submodule(part.name).register_forward_hook(made.after)
            self.parts.append(made)

    def _adapter(self, model: Any, layer: Layer, size: int) -> None:
        first, second = (model.get_submodule(layer.parts[k].name) for k in ("first", "second"))
        made = GatedBottleneck(sizes(second)[1], size, sizes(first)[0])
        first.register_forward_pre_hook(made.reads)
        second.register_forward_hook(made.beside)
        self.parts.append(made)

    def _prefix(self, model: Any, layer: Layer, length: int, std: float, causal: bool) -> None:
        kinds = {kind: layer.parts[kind] for kind in ("key", "value")}
        width = sizes(model.get_submodule(kinds["key"].name))[0]
        made = GatedRows(length, kinds, std, Gate(width))
        for kind, part in kinds.items():
            hook = Put(self.virtual, made, kind, part, causal)
            model.get_submodule(part.name).register_forward_hook(hook)
        self.parts.append(made)
