"""Many small tasks of one kind: a hidden mapping from key words to classes, which nothing but
demonstrations can tell.

Task number ``t`` owns ``CLASSES * PER_CLASS`` key words and ``CLASSES`` label words; no other task
has any of them, so that a task that was never trained on has words and labels never read before.
The wide family has ``WIDE`` key words per class, and so fewer tasks of the same words.

Every word is one of the beginnings and one of the endings of :mod:`.names`, all of which the other
tasks use, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from .names import BEGINNINGS, ENDINGS

CLASSES = 3
PER_CLASS, WIDE = 2, 4
CLUSTERS, WIDE_CLUSTERS, PER_CLUSTER = 20, 12, 16
_SEED = 20  # of the words: another seed is another family
_FILLERS = tuple("a and in it of one so that the then to with".split())


@dataclass(frozen=True)
class Mapping:
    """``keys[c]`` are the key words of the class whose label word is ``labels[c]``."""

    name: str
    cluster: str
    labels: tuple[str, ...]
    keys: tuple[tuple[str, ...], ...]


@cache
def mappings(wide: bool = False) -> dict[str, Mapping]:
    """All tasks of the family, or of the wide one, by name."""
    words = [(b + e) for b in BEGINNINGS for e in ENDINGS]
    Random(_SEED + wide).shuffle(words)
    stock = iter(dict.fromkeys(words))
    prefix, clusters, per_class = ("mapping", CLUSTERS, PER_CLASS)
    if wide:
        prefix, clusters, per_class = ("wide_mapping", WIDE_CLUSTERS, WIDE)
    found = {}
    for number in range(clusters * PER_CLUSTER):
        name = f"{prefix}_{number:03d}"
        labels = tuple(next(stock) for _ in range(CLASSES))
        keys = tuple(tuple(next(stock) for _ in range(per_class)) for _ in range(CLASSES))
        found[name] = Mapping(name, f"{prefix}s_{number // PER_CLUSTER:02d}", labels, keys)
    return found


def rows(task: str, split: str, n: int, seed: int = 0, fillers: int = 0) -> list[dict[str, Any]]:
    """``n`` rows: a key word, among at most ``fillers`` words that mean nothing, and its label.

    Row ``i`` depends on ``(seed, task, split, i)`` alone.
    """
    mapping = mappings(task.startswith("wide_"))[task]
    made = []
    for index in range(n):
        rng = Random(f"row {index} of {split} of {task} with seed {seed}")
        chosen = rng.randrange(CLASSES)
        words = rng.choices(_FILLERS, k=rng.randint(0, fillers))
        words.insert(rng.randint(0, len(words)), rng.choice(mapping.keys[chosen]))
        made.append({"text": " ".join(words), "label": mapping.labels[chosen]})
    return made


def variants(wide: bool = False) -> dict[str, dict[str, Any]]:
    """Per task the keys in which it differs from ``conf/task/sample_mappings.yaml``."""
    return {
        name: {
            "cluster": mapping.cluster,
            "lineage": [mapping.cluster],
            "source": {"args": {"task": name}},
            "labels": list(mapping.labels),
        }
        for name, mapping in mappings(wide).items()
    }


def wide_variants() -> dict[str, dict[str, Any]]:
    """The same for ``conf/task/sample_mappings_wide.yaml``."""
    return variants(wide=True)
