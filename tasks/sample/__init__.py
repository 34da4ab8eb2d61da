"""A small invented world: any number of rows for tasks of every type, made from a seed alone."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any
from zlib import crc32

from .domains import DOMAINS
from .names import SPLITS, pool
from .table import BY_NAME, FLAVORS, HELD_OUT, TASKS, SampleTask

__all__ = ["BY_NAME", "HELD_OUT", "SPLITS", "TASKS", "SampleTask", "rows"]


def rows(task: str, split: str, n: int, seed: int = 0, start: int = 0) -> Iterator[dict[str, Any]]:
    """Rows ``start`` .. ``start + n - 1`` of a task's split.

    Row ``i`` depends on ``(seed, task, split, i)`` alone, so a stream may start anywhere and be
    of any length.
    """
    described = BY_NAME[task]
    domain = next(d for d in DOMAINS if d.name == described.cluster)
    names, writer = pool(domain.number, len(DOMAINS), split), FLAVORS[described.flavor][1]
    stream = crc32(f"{seed}/{task}/{split}".encode()) << 64 | (seed & 0xFFFFFFFF) << 32
    rng = Random()
    for index in range(start, start + n):
        rng.seed(stream + index)
        yield writer(domain, names, rng)
