"""iPET: the labelled set grows, each model labelled by others (Schick and Schütze 2021a, 3.4)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from formats.errors import ConfigError


def teachers(models: int, own: int, draw: np.random.Generator, share: float = 0.25) -> list[int]:
    """A random ``share`` (one at least) of the models other than ``own``."""
    others = [k for k in range(models) if k != own]
    if not others:
        raise ConfigError("one model alone has no others", got=models, expected=">= 2")
    count = max(1, round(share * len(others)))
    return sorted(int(k) for k in draw.choice(others, count, replace=False))


def sizes(labelled: int, generations: int = 3, factor: int = 5) -> list[int]:
    """How many rows each generation trains on: ``factor`` times those of the one before."""
    return [labelled * factor**k for k in range(1, generations + 1)]


def shares(gold: Sequence[int], labels: int, total: int) -> list[int]:
    """How many rows of each label make ``total`` with the ratio of ``gold``; what rounding leaves
    goes to the largest remainders."""
    counts = np.bincount(np.asarray(gold, np.int64), minlength=labels)
    exact = counts * total / max(1, counts.sum())
    floor = np.floor(exact).astype(int)
    for k in np.argsort(-(exact - floor), kind="stable")[: total - int(floor.sum())]:
        floor[k] += 1
    return [int(x) for x in floor]


def drawn(
    probabilities: np.ndarray, wanted: Sequence[int], draw: np.random.Generator
) -> list[tuple[int, int]]:
    """``(row, label)`` pairs: of the rows that ``probabilities [rows, labels]`` give label ``y``,
    ``wanted[y]`` are drawn without repetition, each in proportion to that probability. Fewer where
    there are fewer."""
    best = probabilities.argmax(1)
    found = []
    for label, count in enumerate(wanted):
        rows = np.flatnonzero(best == label)
        count = min(count, len(rows))
        if not count:
            continue
        sure = probabilities[rows, label]
        # Gumbel keys: the top ones are a draw without repetition in proportion to `sure`.
        keys = np.log(np.maximum(sure, 1e-300)) + draw.gumbel(size=len(rows))
        found += [(int(rows[k]), label) for k in np.argsort(-keys, kind="stable")[:count]]
    return sorted(found)


def grown(
    gold: Sequence[int], labels: int, probabilities: np.ndarray, size: int,
    draw: np.random.Generator,
) -> list[tuple[int, int]]:  # fmt: skip
    """What joins the labelled rows so that there are ``size`` with the same ratio of labels."""
    have = np.bincount(np.asarray(gold, np.int64), minlength=labels)
    wanted = [max(0, s - int(h)) for s, h in zip(shares(gold, labels, size), have, strict=True)]
    if not math.isclose(float(probabilities.sum()), len(probabilities), rel_tol=1e-3):
        raise ConfigError(
            "rows of probabilities that do not sum to one", expected="rows that sum to 1"
        )
    return drawn(probabilities, wanted, draw)
