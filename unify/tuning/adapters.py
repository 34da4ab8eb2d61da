"""Bottleneck adapters and AdapterBias, hooked behind the blocks of each layer.

| tuning           | what it adds                                       | source                   |
|------------------|----------------------------------------------------|--------------------------|
| adapter          | h + U f(D h) after attention and feed-forward      | Houlsby 2019, 1902.00751 |
| parallel_adapter | FFN(x) + s U f(D x) beside the feed-forward        | He 2022, 2110.04366      |
| adapter_bias     | h + a(h) v after the feed-forward, a(h) one number | Fu 2022, 2205.00305      |

All begin as nothing: U and v are zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from formats.errors import ConfigError

from ..backbones.base import Backbone
from .base import Tuning
from .places import Columns, Layer, layers

ACTIVATIONS: dict[str, Any] = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}


class Bottleneck(nn.Module):
    """``scale · U f(D x)`` of width ``size``."""

    def __init__(self, width: int, size: int, activation: str = "gelu", scale: float = 1.0) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ConfigError(
                "unknown activation", got=activation, expected=", ".join(ACTIVATIONS)
            )
        self.down, self.up = nn.Linear(width, size), nn.Linear(size, width)
        self.act, self.scale = ACTIVATIONS[activation](), scale
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)
        self.read: Kept = Kept()

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.up(self.act(self.down(x)))
        return found if self.scale == 1.0 else self.scale * found

    def after(self, module: nn.Module, args: Any, output: Tensor) -> Tensor:
        """A hook that adds the adapter of a block's output to it."""
        return output + self(output)

    def reads(self, module: nn.Module, args: Any) -> None:
        """A hook that notes a block's input, for :meth:`beside`."""
        self.read.value = args[0]

    def beside(self, module: nn.Module, args: Any, output: Tensor) -> Tensor:
        """A hook that adds the adapter of the block's input to its output."""
        return output + self(self.read.take())


class Kept:
    """A value on its way from one hook to another; never copied with its owner."""

    def __init__(self) -> None:
        self.value: Tensor | None = None

    def take(self) -> Tensor:
        assert self.value is not None
        value, self.value = self.value, None
        return value

    def __reduce__(self) -> tuple[type[Kept], tuple[()]]:
        return Kept, ()


class Adapter(Tuning):
    """Houlsby's serial bottlenecks; ``places`` of ``out`` (attention) and ``second``."""

    name: ClassVar[str] = "adapter"

    def __init__(
        self,
        backbone: Backbone,
        *,
        size: int = 16,
        activation: str = "gelu",
        places: Iterable[str] = ("out", "second"),
    ) -> None:
        places = list(places)
        super().__init__(backbone, size=size, activation=activation, places=places)
        self.parts = nn.ModuleList()
        for layer in layers(backbone.model):
            for part in asked(layer, places):
                made = Bottleneck(part.stop, size, activation)
                backbone.model.get_submodule(part.name).register_forward_hook(made.after)
                self.parts.append(made)


def asked(layer: Layer, places: Iterable[str]) -> list[Columns]:
    """The projections of ``layer`` by role; those of its cross-attention with ``out``."""
    found = []
    for place in places:
        if place not in ("out", "second"):
            raise ConfigError("no place for an adapter", got=place, expected="out, second")
        found += [layer.parts[place]]
        if place in layer.cross:
            found += [layer.cross[place]]
    return found


class ParallelAdapter(Tuning):
    """Bottlenecks that read what the feed-forward reads and add to what it writes."""

    name: ClassVar[str] = "parallel_adapter"

    def __init__(
        self,
        backbone: Backbone,
        *,
        size: int = 32,
        activation: str = "relu",
        scale: float = 4.0,
    ) -> None:
        super().__init__(backbone, size=size, activation=activation, scale=scale)
        self.parts = nn.ModuleList()
        for layer in layers(backbone.model):
            first, second = layer.parts["first"], layer.parts["second"]
            made = Bottleneck(second.stop, size, activation, scale)
            backbone.model.get_submodule(first.name).register_forward_pre_hook(made.reads)
            backbone.model.get_submodule(second.name).register_forward_hook(made.beside)
            self.parts.append(made)


class Shift(nn.Module):
    """``a(h) v``: one vector for all tokens, one number for each."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.vector = nn.Parameter(torch.zeros(width))
        self.weigh = nn.Linear(width, 1)

    def forward(self, h: Tensor) -> Tensor:
        """``[..., width]`` to the same."""
        found: Tensor = self.weigh(h) * self.vector
        return found

    def after(self, module: nn.Module, args: Any, output: Tensor) -> Tensor:
        return output + self(output)


class AdapterBias(Tuning):
    """A token-dependent shift of each feed-forward's output."""

    name: ClassVar[str] = "adapter_bias"

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone)
        self.parts = nn.ModuleList()
        for layer in layers(backbone.model):
            part = layer.parts["second"]
            made = Shift(part.stop)
            backbone.model.get_submodule(part.name).register_forward_hook(made.after)
            self.parts.append(made)
