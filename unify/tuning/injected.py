"""LoRA (Hu et al. 2022, 2106.09685) and IA3 (Liu et al. 2022, 2205.05638), by the library `peft`.

`peft` injects them into the model's own projections, which we name by role. Its prompts and
prefixes are not used: they wrap the model's forward pass and so pass our heads' positions, the
scoring engine and the encoder of an encoder-decoder by (see ``virtual.py``).
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from torch import nn

from formats.errors import ConfigError

from ..backbones.base import Backbone
from .base import Tuning
from .places import targets


def library() -> Any:
    """The module `peft`, imported when it is first needed. Raises ConfigError."""
    try:
        import peft
    except ImportError as error:
        raise ConfigError(
            "this tuning needs the package peft",
            got=str(error),
            fix='pip install "unify-nlp[peft]", or tuning=adapter',
        ) from None
    return peft


def inject(model: nn.Module, config: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that Conv1D weights lie the other way round
        library().inject_adapter_in_model(config, model)


class Injected(Tuning):
    """Parts that live within the model's modules."""

    mark: ClassVar[str]
    config: Any  # of `peft`

    def own(self, backbone: Backbone) -> Iterator[nn.Parameter]:
        for name, parameter in backbone.model.named_parameters():
            if self.mark in name:
                yield parameter

    def merge(self, backbone: Backbone) -> None:
        from peft.tuners.tuners_utils import BaseTunerLayer

        for name, module in list(backbone.model.named_modules()):
            if isinstance(module, BaseTunerLayer):
                module.merge(safe_merge=True)
                parent, _, last = name.rpartition(".")
                setattr(backbone.model.get_submodule(parent), last, module.get_base_layer())


class LoRA(Injected):
    """``W x + (alpha / rank) B A x`` in the projections of ``places``."""

    name: ClassVar[str] = "lora"
    mark: ClassVar[str] = ".lora_"

    def __init__(
        self,
        backbone: Backbone,
        *,
        rank: int = 8,
        alpha: float = 16.0,
        dropout: float = 0.0,
        places: Sequence[str] = ("query", "value"),
    ) -> None:
        super().__init__(
            backbone, rank=rank, alpha=alpha, dropout=dropout, places=list(places)
        )
        names = list(targets(backbone.model, tuple(places)))
        self.config = library().LoraConfig(
            r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=names
        )
        inject(backbone.model, self.config)

    def more(self, backbone: Backbone, name: str) -> None:
        """Another pair of matrices beside the first, which nobody uses unless asked by name."""
        library().inject_adapter_in_model(copy.copy(self.config), backbone.model, name)

    def layers(self, backbone: Backbone) -> list[nn.Module]:
        """The projections that hold the matrices."""
        from peft.tuners.lora import LoraLayer

        return [
            m
            for m in backbone.model.modules()
            if isinstance(m, LoraLayer) and isinstance(m, nn.Module)
        ]


class IA3(Injected):
    """Keys, values and the inner feed-forward activations, each times a trained vector."""

    name: ClassVar[str] = "ia3"
    mark: ClassVar[str] = ".ia3_"

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone)
        inner = list(targets(backbone.model, ("second",)))
        names = [*targets(backbone.model, ("key", "value")), *inner]
        self.config = library().IA3Config(target_modules=names, feedforward_modules=inner)
        inject(backbone.model, self.config)
