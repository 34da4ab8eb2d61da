"""A window of drawn rows dealt out to optimizer steps: like lengths together, tasks mixed."""

from __future__ import annotations

import numpy as np


def deal(
    lengths: np.ndarray, bucket: int, parts: int, seed: int, number: int
) -> list[list[np.ndarray]]:
    """Window ``number``, whose draws have ``lengths`` ``[draws]``, in ``bucket`` steps of ``parts``
    micro-batches: places in the window, draws of like length together."""
    size = len(lengths)
    rng = np.random.default_rng((seed, number, 1))
    # Sorting by length alone would always put the same tasks together: jitter it by a tenth.
    order = np.argsort(lengths * (1 + 0.1 * rng.random(size)), kind="stable")
    steps = order.reshape(bucket, size // bucket)
    steps = steps[rng.permutation(bucket)]
    return [_cut(step[np.argsort(lengths[step])], parts) for step in steps]


def _cut(order: np.ndarray, parts: int) -> list[np.ndarray]:
    """``order`` in ``parts`` runs whose sizes differ by one at most; empty runs are left out."""
    return [run for run in np.array_split(order, parts) if len(run)]
