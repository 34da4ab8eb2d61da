"""Splits that a dataset does not publish, made from one that it does: seeded and recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Derive:
    """``parts`` (name -> fraction of rows) replace the split ``base``.

    Rows with an equal ``group`` column stay together, so that neither a paragraph nor a doubled
    text stands on both sides. Without a group every row is its own.
    """

    base: str
    parts: Mapping[str, float]
    seed: int = 0
    group: str | None = None

    def note(self) -> str:
        shares = ", ".join(f"{name} {share:g}" for name, share in self.parts.items())
        by = f" by {self.group}" if self.group else ""
        return f"{shares} derived from the published {self.base}{by}, seed {self.seed}"


def assign(keys: Sequence[object], parts: Mapping[str, float], seed: int) -> dict[str, np.ndarray]:
    """Row numbers of each part, ascending; together they are all rows.

    Groups (equal keys) are walked in the order of a keyed hash and fill one part after the other,
    so that the fractions hold up to one group, and no generator's state matters.
    """
    groups: dict[object, list[int]] = {}
    for row, key in enumerate(keys):
        groups.setdefault(key, []).append(row)
    order = sorted(
        groups, key=lambda k: hashlib.sha256(f"{seed}/{k}".encode("utf-8", "replace")).digest()
    )
    names = list(parts)
    ends = np.cumsum([parts[name] for name in names]) * len(keys)
    out: dict[str, list[int]] = {name: [] for name in names}
    at, taken = 0, 0
    for key in order:
        while at < len(names) - 1 and taken >= round(ends[at]):
            at += 1
        out[names[at]].extend(groups[key])
        taken += len(groups[key])
    return {name: np.sort(np.array(rows, dtype=np.int64)) for name, rows in out.items()}
