"""Episodes of several queries as one sequence each: the demonstrations once, a branch per query."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from formats.collate import Batch
from formats.episodes import Laid
from formats.layout import Layout
from formats.store import StoredRow

Parts = tuple[list[int], list[int]]  # what is read, what is predicted


def branches(laid: Laid) -> tuple[list[int], list[Parts]]:
    """What the queries share, and the branches.

    A query without an input begins with the last shared token, since a token of its own branch
    has to predict its first one.
    """
    if all(lead for lead, _ in laid.pairs):
        return laid.context, laid.pairs
    last = laid.context[-1:]
    return laid.context[:-1], [([*last, *lead], scored) for lead, scored in laid.pairs]


def branched(
    rows: Sequence[StoredRow], laid: Sequence[Laid], layout: Layout, dense: bool
) -> Batch:
    """One sequence ``[shared, query 1, query 2 …]`` per episode, padded on the left; ``dense``
    makes every demonstration a target, too. ``weight`` counts target tokens."""
    parts = []
    for one in laid:
        shared, pairs = branches(one)
        target = np.full(len(shared), -100)
        for begin, stop in one.dense if dense else ():
            target[begin:stop] = shared[begin:stop]
        runs = [[np.array(shared)], [target], [np.arange(len(shared))], [np.zeros(len(shared))]]
        for k, (lead, scored) in enumerate(pairs, 1):
            own = np.array([*lead, *scored])
            wanted = np.concatenate([np.full(len(lead), -100), own[len(lead) :]])
            stand = len(shared) + np.arange(len(own))
            for run, piece in zip(runs, (own, wanted, stand, np.full(len(own), k)), strict=True):
                run.append(piece)
        parts.append([np.concatenate(run) for run in runs])
    ids, goals, places, branch = (
        _left(column, value)
        for column, value in zip(zip(*parts, strict=True), (layout.pad, -100, 0, -1), strict=True)
    )
    numbers = torch.arange(len(laid))
    batch = Batch(
        ids,
        (branch >= 0).long(),
        torch.zeros_like(ids),
        numbers,
        torch.zeros_like(numbers),
        float((goals != -100).sum()),
        rows,
    )
    batch.target, batch.places, batch.branch = goals, places, branch
    return batch


def _left(parts: Sequence[np.ndarray], value: int) -> Tensor:
    width = max(map(len, parts))
    out = np.full((len(parts), width), value, np.int64)
    for row, part in zip(out, parts, strict=True):
        row[width - len(part) :] = part
    return torch.from_numpy(out)
