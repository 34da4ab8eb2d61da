"""Choosing demonstrations. Every function returns places in the pool, in the order of reading."""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formats.errors import ConfigError, UnknownName

# [texts, size], rows of length one: dense, or sparse (scipy's), as bags of words are.
Vectors = NDArray[np.floating[Any]] | Any


def _enough(k: int, size: int) -> None:
    if not 0 <= k <= size:
        raise ConfigError(
            "more demonstrations than there are examples", got=k, expected=f"0 to {size}"
        )


def first(size: int, k: int) -> list[int]:
    """The first ``k`` of the pool."""
    _enough(k, size)
    return list(range(k))


def random_k(size: int, k: int, seed: int) -> list[int]:
    """``k`` different examples, in random order; the same for a seed whatever is drawn beside."""
    _enough(k, size)
    return random.Random(f"demonstrations {seed}").sample(range(size), k)


def balanced(
    labels: Sequence[Hashable], k: int, seed: int, *, per_label: bool = False
) -> list[int]:
    """``k`` examples whose labels differ in number by one at most, in random order.

    With ``per_label``, ``k`` of every label. Raises ConfigError where a label has too few, since
    the result would not be balanced."""
    draw = random.Random(f"demonstrations {seed}")
    pools: dict[Hashable, list[int]] = {}
    for place, label in enumerate(labels):
        pools.setdefault(label, []).append(place)
    names = sorted(pools, key=repr)
    each = dict.fromkeys(names, k if per_label else k // max(1, len(names)))
    if not per_label:
        for name in draw.sample(names, k % len(names) if names else 0):
            each[name] += 1
    chosen: list[int] = []
    for name in names:
        if each[name] > len(pools[name]):
            raise ConfigError(
                f"too few examples of the label {name!r} to balance demonstrations",
                got=len(pools[name]),
                expected=f">= {each[name]}",
                fix="ask for fewer demonstrations, or choose them at random",
            )
        chosen += draw.sample(pools[name], each[name])
    draw.shuffle(chosen)
    return chosen


def _dense(vectors: Vectors) -> NDArray[np.floating[Any]]:
    return vectors.toarray() if hasattr(vectors, "toarray") else vectors


def _products(pool: Vectors, vector: Vectors) -> NDArray[np.floating[Any]]:
    """Of every row of ``pool`` with one vector."""
    return np.asarray(pool @ _dense(vector).ravel())


def nearest(
    queries: Vectors,
    pool: Vectors,
    k: int,
    *,
    last: bool = True,
    own: Sequence[int | None] | None = None,
    search: str = "exact",
) -> list[list[int]]:
    """Per query its ``k`` nearest examples by cosine (Liu et al. 2022, KATE, section 3).

    ``last``: the most similar stands last, next to the query. ``own`` names, per query, its own
    place in the pool, which is left out. Equal distances: the earlier example is nearer.
    ``search``: ``exact``, or ``faiss`` where that package is installed (for large pools)."""
    size = pool.shape[0]
    apart = sum(o is not None for o in own or ())
    _enough(k, size - (1 if apart else 0))
    if search == "faiss":
        return _by_faiss(queries, pool, k, last, own)
    if search != "exact":
        raise UnknownName("search", search, ("exact", "faiss"))
    out = []
    for row in range(queries.shape[0]):
        alike = _products(pool, queries[row]).astype(np.float64)
        if own is not None and own[row] is not None:
            alike[own[row]] = -np.inf
        order = np.argsort(-alike, kind="stable")[:k].tolist()
        out.append(order[::-1] if last else order)
    return out


def _by_faiss(
    queries: Vectors, pool: Vectors, k: int, last: bool, own: Sequence[int | None] | None
) -> list[list[int]]:
    try:
        import faiss
    except ImportError:
        raise ConfigError(
            "search by faiss, which is not installed",
            fix="pip install faiss-cpu, or evaluation.search=exact",
        ) from None
    index = faiss.IndexFlatIP(pool.shape[1])
    index.add(np.ascontiguousarray(_dense(pool), np.float32))
    more = min(pool.shape[0], k + (own is not None))
    _, found = index.search(np.ascontiguousarray(_dense(queries), np.float32), more)
    out = []
    for row, places in enumerate(found.tolist()):
        order = [p for p in places if own is None or p != own[row]][:k]
        out.append(order[::-1] if last else order)
    return out


def diverse(pool: Vectors, k: int, start: int | None = None) -> list[int]:
    """``k`` examples that lie far apart: each next one is the farthest from those chosen
    (Gonzalez 1985, k-center). Begins with ``start``, or with the one nearest to the mean."""
    _enough(k, pool.shape[0])
    if not k:
        return []
    if start is None:
        start = int(np.argmax(_products(pool, np.asarray(pool.mean(0)))))
    chosen = [start]
    closest = _products(pool, pool[start])
    while len(chosen) < k:
        closest[chosen] = np.inf
        chosen.append(int(np.argmin(closest)))
        closest = np.maximum(closest, _products(pool, pool[chosen[-1]]))
    return chosen


def relevant_and_diverse(
    query: Vectors, pool: Vectors, k: int, balance: float = 0.5, *, last: bool = True
) -> list[int]:
    """Maximal marginal relevance (Carbonell and Goldstein 1998): each next example has the largest
    ``balance * similarity to the query - (1 - balance) * similarity to one chosen already``.

    ``query [size]``; ``balance`` 1 is :func:`nearest`."""
    _enough(k, pool.shape[0])
    alike = _products(pool, query).astype(np.float64)
    told: NDArray[np.floating[Any]] = np.zeros(pool.shape[0])
    chosen: list[int] = []
    while len(chosen) < k:
        gain = balance * alike - (1 - balance) * told
        gain[chosen] = -np.inf
        best = int(np.argmax(gain))
        chosen.append(best)
        same = _products(pool, pool[best])
        told = same if len(chosen) == 1 else np.maximum(told, same)
    return chosen[::-1] if last else chosen
