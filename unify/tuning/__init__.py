"""Ways of tuning a frozen backbone: soft prompts, prefixes, adapters, LoRA and their kin."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any

from formats.errors import ConfigError, UnknownName

from ..backbones.base import Backbone
from .adapters import Adapter, AdapterBias, ParallelAdapter
from .base import Tuning, counts
from .base import attach as _attach
from .bitfit import BitFit
from .injected import IA3, LoRA
from .instance import InstancePrompt
from .prefix import Prefix
from .prompt import Prompt, PTuning
from .structural import StructuralPrompt
from .unipelt import UniPELT

FULL = "full"
TUNINGS: dict[str, type[Tuning]] = {
    c.name: c
    for c in (
        Prompt, PTuning, InstancePrompt, StructuralPrompt, Prefix, LoRA, IA3, Adapter,
        ParallelAdapter, AdapterBias, BitFit, UniPELT,
    )
}  # fmt: skip

__all__ = ["FULL", "TUNINGS", "Tuning", "attach", "counts", "merge", "options"]


def attach(backbone: Backbone, settings: Mapping[str, Any]) -> Tuning | None:
    """``{name: lora, rank: 8}``: freezes ``backbone`` (in place) but for its head and the parts of
    that tuning; ``name: full`` leaves it as it is. ``also`` are globs of the model's own
    parameters that are trained too.

    A backbone that is tuned this way already goes on with its parts. Raises ConfigError.
    """
    rest = dict(settings)
    name, also = rest.pop("name"), rest.pop("also", ())
    if name == FULL:
        return backbone.tuning
    if name not in TUNINGS:
        raise UnknownName("tuning", name, (FULL, *TUNINGS))
    if backbone.tuning is not None:
        if backbone.tuning.name == name:
            return backbone.tuning
        raise ConfigError(
            f"a backbone that is tuned by {backbone.tuning.name} already",
            got=name,
            fix=f"tuning={backbone.tuning.name}, or init= a run without tuning",
        )
    known = options(name)
    for key in rest:
        if key not in known:
            raise UnknownName("setting", key, known, field=f"tuning.{name}")
    _attach(backbone, partial(TUNINGS[name], **rest), also)
    assert backbone.tuning is not None
    backbone.tuning.settings["also"] = list(also)
    return backbone.tuning


def options(name: str) -> dict[str, Any]:
    """The settings of the tuning ``name`` and their defaults."""
    found: dict[str, Any] = {}
    for cls in reversed(TUNINGS[name].__mro__):
        if issubclass(cls, Tuning) and cls is not Tuning:
            parameters = inspect.signature(cls.__init__).parameters.values()
            found |= {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    return found


def merge(backbone: Backbone) -> None:
    """Puts the tuning into the model's weights, which then need it no more, and thaws them.
    Raises ConfigError where that is not exact."""
    if backbone.tuning is None:
        return
    backbone.tuning.merge(backbone)
    backbone.tuning = None
    for parameter in backbone.parameters():
        parameter.requires_grad_(True)
