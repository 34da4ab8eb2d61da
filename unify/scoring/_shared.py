"""Keys and values that many rows attend to, held once, at batch 1."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer


def cache_name(model: Any) -> str:
    """The argument of ``model`` that takes keys and values: transformers renamed it in 5.24."""
    takes = inspect.signature(model.forward).parameters
    return "cache" if "cache" in takes else "past_key_values"


def with_cache(model: Any, cache: Cache) -> dict[str, Cache]:
    """``cache`` as an argument of ``model``."""
    return {cache_name(model): cache}


class _Layer(DynamicLayer):
    """One layer's prefix ``[1, heads, P, size]`` with room behind it.

    ``update`` returns prefix and new tokens without keeping the new ones. A single row is written
    into the room, so that the prefix is not copied; several rows expand it.
    """

    def __init__(self, keys: Tensor, values: Tensor, length: int) -> None:
        super().__init__()
        self.dtype, self.device = keys.dtype, keys.device
        self.room = (keys, values)
        self.keys, self.values = keys[:, :, :length], values[:, :, :length]
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        assert self.keys is not None and self.values is not None
        rows, _, new, _ = key_states.shape
        old = self.keys.shape[2]
        if rows == 1 and old + new <= self.room[0].shape[2]:
            for room, states in zip(self.room, (key_states, value_states), strict=True):
                room[:, :, old : old + new] = states
            return self.room[0][:, :, : old + new], self.room[1][:, :, : old + new]
        wide = (rows, -1, -1, -1)
        return (
            torch.cat([self.keys.expand(wide), key_states], 2),
            torch.cat([self.values.expand(wide), value_states], 2),
        )


class Shared:
    """The keys and values of one path of the tree, ``length`` tokens long."""

    def __init__(self, layers: list[tuple[Tensor, Tensor]], length: int) -> None:
        self.layers, self.length = layers, length

    @classmethod
    def of(cls, cache: Cache, room: int) -> Shared:
        """What ``cache`` holds (batch 1), with ``room`` tokens of space behind it."""
        kept = held(cache)
        layers = [(_with_room(keys, room), _with_room(values, room)) for keys, values in kept]
        return cls(layers, kept[0][0].shape[2] if kept else 0)

    def cache(self) -> Cache:
        """A transformers cache to read from; whatever a model adds is forgotten."""
        return Cache(layers=[_Layer(k, v, self.length) for k, v in self.layers])

    def growing(self) -> Cache:
        """A transformers cache that begins with these and keeps what a model adds."""
        cache = fresh()
        for k, (keys, values) in enumerate(self.layers):
            cache.update(keys[:, :, : self.length], values[:, :, : self.length], k)
        return cache


def fresh() -> Cache:
    """An empty cache that keeps every token, whatever window the model attends to."""
    return Cache(layer_class_to_replicate=DynamicLayer)


def held(cache: Cache) -> list[tuple[Tensor, Tensor]]:
    """Per layer its keys and values ``[rows, heads, tokens, size]``. Raises TypeError for layers
    that remember in another way."""
    out = []
    for layer in cache.layers:
        if not isinstance(layer, DynamicLayer) or layer.keys is None or layer.values is None:
            raise TypeError(f"a cache layer that holds no keys: {type(layer).__name__}")
        out.append((layer.keys, layer.values))
    return out


def _with_room(states: Tensor, room: int) -> Tensor:
    b, h, n, d = states.shape
    wide = states.new_empty(b, h, n + room, d)
    wide[:, :, :n] = states
    return wide
