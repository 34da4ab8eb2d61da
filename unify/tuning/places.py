"""Where a transformer's layers have their projections, found by name, whatever the architecture.

The names are those that libraries of the BERT, GPT, Llama and T5 families have in common; a family
with other names is one more glob per row of ``ROLES``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from formats.errors import ConfigError

ROLES: dict[str, tuple[str, ...]] = {
    "query": ("*.self.query", "*.query_proj", "*.q_lin", "*.q_proj", "*Attention.q"),
    "key": ("*.self.key", "*.key_proj", "*.k_lin", "*.k_proj", "*Attention.k"),
    "value": ("*.self.value", "*.value_proj", "*.v_lin", "*.v_proj", "*Attention.v"),
    "fused": ("*.attn.c_attn", "*.attn.Wqkv"),  # query, key and value, one after the other
    "out": (
        "*.attention.output.dense", "*.attn.c_proj", "*.attn.Wo", "*.o_proj", "*.out_proj",
        "*.out_lin", "*Attention.o",
    ),
    "first": (
        "*.intermediate.dense", "*.mlp.c_fc", "*.mlp.Wi", "*.up_proj", "*.wi", "*.wi_1", "*.fc1",
        "*.lin1",
    ),
    "second": (
        "*.output.dense", "*.mlp.c_proj", "*.mlp.Wo", "*.down_proj", "*.wo", "*.fc2", "*.lin2",
    ),
}  # fmt: skip
_CROSS = ("*.EncDecAttention.*", "*.encoder_attn.*", "*.crossattention.*")


@dataclass(frozen=True)
class Columns:
    """Columns ``start:stop`` of what the linear layer ``name`` puts out."""

    name: str
    start: int
    stop: int


@dataclass
class Layer:
    """One transformer layer: its projections by role, and those of its cross-attention.

    ``first`` reads the feed-forward block's input and ``second`` makes its output.
    """

    name: str
    decoder: bool  # of an encoder-decoder
    parts: dict[str, Columns] = field(default_factory=dict)
    cross: dict[str, Columns] = field(default_factory=dict)


def linear(module: nn.Module) -> bool:
    """A linear layer, or GPT-2's, whose weight lies the other way round."""
    return isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"


def sizes(module: Any) -> tuple[int, int]:
    """Columns that a linear layer reads and writes."""
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    return module.weight.shape[0], module.weight.shape[1]


def role(name: str) -> str | None:
    """The role of the linear layer ``name``, or None."""
    found = (r for r, globs in ROLES.items() if any(fnmatchcase(f".{name}", g) for g in globs))
    return next(found, None)


def layers(model: Any) -> list[Layer]:
    """The layers of ``model``, in order. Raises ConfigError where none is known by its names."""
    found: dict[str, Layer] = {}
    two = bool(getattr(model.config, "is_encoder_decoder", False))
    for name, module in model.named_modules():
        kind = role(name) if linear(module) else None
        steps = name.split(".")
        number = next((k for k, step in enumerate(steps) if step.isdigit()), None)
        if kind is None or number is None:
            continue
        stem = ".".join(steps[: number + 1])
        layer = found.setdefault(stem, Layer(stem, two and "decoder" in steps[:number]))
        cross = any(fnmatchcase(name, g) for g in _CROSS)
        into = layer.cross if cross else layer.parts
        wide = sizes(module)[1]
        if kind != "fused":
            into[kind] = Columns(name, 0, wide)
            continue
        for k, part in enumerate(("query", "key", "value")):
            into[part] = Columns(name, k * wide // 3, (k + 1) * wide // 3)
    complete = [la for la in found.values() if {"key", "value", "out", "second"} <= set(la.parts)]
    if not complete:
        raise ConfigError(
            "a model whose layers are not known by their names",
            got=type(model).__name__,
            expected="names of the BERT, GPT, Llama or T5 families",
            fix="tuning=full, tuning=prompt, or a glob more in unify/tuning/places.py",
        )
    return complete


def targets(model: Any, roles: tuple[str, ...]) -> Iterator[str]:
    """Names of the linear layers that have one of ``roles``, each once."""
    unknown = [r for r in roles if r not in ROLES]
    if unknown:
        raise ConfigError(
            "no projection by this name", got=unknown, expected=", ".join(ROLES)
        )
    names = (
        part.name
        for layer in layers(model)
        for place in (layer.parts, layer.cross)
        for kind, part in place.items()
        if kind in roles
    )
    yield from dict.fromkeys(names)
