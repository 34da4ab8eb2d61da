"""What every way of tuning a frozen backbone has in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from torch import nn

from formats.errors import ConfigError

from ..backbones.base import Backbone

Hook = Callable[..., Any]


class Tuning(nn.Module):
    """Small parts that are trained while the model's own weights stay as they are.

    A tuning is made for one backbone: it hooks its parts into the model's modules, found by name,
    so that training, scoring, generation and shared prefixes need not know of it. It becomes
    ``backbone.tuning``; ``trained`` are the names (of the backbone's parameters) that are trained
    and saved, the head's among them.
    """

    name: ClassVar[str]
    mark: ClassVar[str | None] = None  # what names of parameters within the model contain

    def __init__(self, backbone: Backbone, **settings: Any) -> None:
        super().__init__()
        self.settings: dict[str, Any] = settings
        self.trained: tuple[str, ...] = ()

    def own(self, backbone: Backbone) -> Iterable[nn.Parameter]:
        """Parameters within the model that are trained besides those of the tuning itself."""
        return ()

    def fold(self) -> None:
        """Takes away what only training needs; predictions stay as they are."""

    def merge(self, backbone: Backbone) -> None:
        """Puts the tuning into the model's weights. Raises ConfigError where that is not exact."""
        raise ConfigError(
            f"the tuning {self.name} does not go into the weights",
            expected="lora, ia3 or bitfit",
            fix="keep the run folder, and serve it: unify serve run=<run>",
        )


def attach(backbone: Backbone, made: Callable[[Backbone], Tuning], also: Iterable[str]) -> None:
    """Freezes ``backbone`` but for its head, what ``made`` adds, and the parameters that the globs
    ``also`` name. Raises ConfigError."""
    for parameter in backbone.model.parameters():
        parameter.requires_grad_(False)
    tuning = made(backbone)
    backbone.tuning = tuning.to(backbone.device)
    for parameter in (*tuning.parameters(), *tuning.own(backbone)):
        parameter.requires_grad_(True)
    named = dict(backbone.named_parameters())
    for name in backbone.fresh:  # nobody else has them
        if f"model.{name}" in named:
            named[f"model.{name}"].requires_grad_(True)
    for pattern in also:
        found = [name for name in named if fnmatchcase(name, pattern)]
        if not found:
            raise ConfigError(
                "no parameter to train by this name",
                got=pattern,
                expected=f"a glob for names like {', '.join(list(named)[:3])}",
                field="tuning.also",
            )
        for name in found:
            named[name].requires_grad_(True)
    tuning.trained = tuple(name for name, p in named.items() if p.requires_grad)
    backbone.train(backbone.training)


def counts(backbone: nn.Module) -> tuple[int, int]:
    """Parameters that are trained, and all."""
    every = list(backbone.parameters())
    return sum(p.numel() for p in every if p.requires_grad), sum(p.numel() for p in every)


def plain_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they are written to a file."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items()}
