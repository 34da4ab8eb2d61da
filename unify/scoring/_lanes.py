"""Subtrees laid side by side in rows, and who attends to whom there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ._tree import Node
from .requests import Ids


class Lanes(NamedTuple):
    """A batch of rows; ``at`` tells where each node's first token stands, counted through it.

    ``ids``, ``positions`` are ``[rows, length]``; ``seen [rows, length, shared + length]`` is
    true where a token may look.
    """

    ids: np.ndarray
    positions: np.ndarray
    seen: np.ndarray
    at: list[tuple[Node, int]]


def fill(items: Sequence[Node], width: int, budget: int) -> Iterator[list[list[Node]]]:
    """Batches of lanes of subtrees, longest first; a lane takes up to ``width`` tokens (or one
    subtree, if that is longer), a batch up to ``budget`` padded ones (or one lane)."""
    batch: list[list[Node]] = []
    longest = used = 0
    for item in sorted(items, key=lambda n: -n.total):
        if batch and used + item.total <= min(longest, budget):
            batch[-1].append(item)
            used += item.total
            continue
        wide = max(width, item.total)
        if batch and (len(batch) + 1) * longest > budget:
            yield batch
            batch = []
        if not batch:
            longest = wide
        batch.append([item])
        used = item.total
    if batch:
        yield batch


def lay(lanes: Sequence[Sequence[Node]], sequences: Sequence[Ids], shared: int) -> Lanes:
    """Each node stands once, behind its parent; a token sees the ``shared`` prefix, its ancestors
    and what is before it in its own node. Padding sees itself, so that no row is empty."""
    length = max(sum(n.total for n in lane) for lane in lanes)
    ids = np.zeros((len(lanes), length), np.int64)
    positions = np.zeros_like(ids)
    seen = np.zeros((len(lanes), length, shared + length), bool)
    seen[:, :, :shared] = True
    seen[:, np.arange(length), shared + np.arange(length)] = True
    places: list[tuple[Node, int]] = []
    for row, lane in enumerate(lanes):
        at = 0
        for item in lane:
            above: dict[int, int] = {}  # node -> its place in this row
            for node in item.subtree():
                stop = at + len(node)
                ids[row, at:stop] = sequences[node.source][node.start : node.end]
                positions[row, at:stop] = np.arange(node.start, node.end)
                block = seen[row, at:stop]
                block[:, shared + at : shared + stop] = np.tri(len(node), dtype=bool)
                if node is not item:
                    assert node.parent is not None
                    # What the parent's last token sees, this node sees.
                    last = above[id(node.parent)] + len(node.parent) - 1
                    block[:, shared : shared + at] = seen[row, last, shared : shared + at]
                above[id(node)] = at
                places.append((node, row * length + at))
                at = stop
    return Lanes(ids, positions, seen, places)


def within(seen: np.ndarray, positions: np.ndarray, shared: int, window: int) -> np.ndarray:
    """``seen`` less what lies ``window`` or more tokens back."""
    rows = len(positions)
    keys = np.concatenate([np.tile(np.arange(shared), (rows, 1)), positions], 1)
    return seen & (positions[:, :, None] - keys[:, None, :] < window)


def additive(seen: np.ndarray, like: Tensor) -> Tensor:
    """``[rows, 1, length, keys]``: 0 where seen, the type's least number elsewhere. Additive
    because attention kernels would turn booleans into this in every layer."""
    allowed = torch.from_numpy(seen).to(like.device)
    mask = torch.zeros(allowed.shape, dtype=like.dtype, device=like.device)
    return mask.masked_fill_(~allowed, torch.finfo(like.dtype).min)[:, None]
