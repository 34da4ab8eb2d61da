"""Keyed permutations of ``0 .. n-1`` in O(1) memory: Feistel networks with cycle walking.

(Black and Rogaway 2002.) A network permutes the next even power of two above ``n``; a result
outside ``0 .. n-1`` is fed in again until it falls inside, which keeps it a permutation.
"""

from __future__ import annotations

import numpy as np

_ROUNDS = 6
_GOLDEN = 0x9E3779B97F4A7C15


def mix(*words: np.ndarray | int) -> np.ndarray:
    """64 well-mixed bits of integer arrays of one shape (splitmix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        state = np.zeros((), dtype=np.uint64)
        for word in words:
            z = (state ^ np.asarray(word).astype(np.uint64)) + np.uint64(_GOLDEN)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = np.asarray(z ^ (z >> np.uint64(31)))
    return state


def uniform(*words: np.ndarray | int) -> np.ndarray:
    """A number in [0, 1) keyed by integers."""
    return (mix(*words) >> np.uint64(11)).astype(float) / 2.0**53


def _half_bits(sizes: np.ndarray) -> np.ndarray:
    """Bits of one half of the network: the least h >= 1 with 4^h >= size."""
    # frexp of size - 1 counts its bits exactly below 2^53.
    bits = np.frexp((sizes - 1).astype(float))[1]
    return np.maximum((bits + 1) // 2, 1).astype(np.uint64)


def permute(index: np.ndarray, sizes: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Element ``index[i]`` of the permutation of ``0 .. sizes[i]-1`` that ``keys[i]`` names.

    All arrays are ``[n]`` integers with ``0 <= index < sizes < 2**53``.
    """
    half = _half_bits(np.asarray(sizes))
    mask = (np.uint64(1) << half) - np.uint64(1)
    value = np.asarray(index).astype(np.uint64)
    bound = np.asarray(sizes).astype(np.uint64)
    keys = np.asarray(keys).astype(np.uint64)
    left_over = np.arange(len(value))
    while len(left_over):
        h, m, k = half[left_over], mask[left_over], keys[left_over]
        left, right = value[left_over] >> h, value[left_over] & m
        for number in range(_ROUNDS):
            left, right = right, left ^ (mix(k, right, number) & m)
        value[left_over] = (left << h) | right
        left_over = left_over[value[left_over] >= bound[left_over]]
    return value.astype(np.int64)
