"""Which row is the i-th that training sees: a pure function of (seed, i).

Draws come in blocks of about ``block`` draws. In block ``b`` task ``k`` gets
``floor((b+1)·r_k·D + u_k) - floor(b·r_k·D + u_k)`` of them, with a seeded offset ``u_k``, so that
rates hold to within one draw at the end of each block, however small they are. The order within a
block is shuffled. The c-th draw of a task is row ``c mod n`` of its permutation number ``c div n``:
within a pass over a task no row comes twice and none is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from formats.errors import ConfigError

from .permute import mix, permute, uniform

# Words that keep the uses of one seed apart.
_OFFSET, _ORDER, _ROWS = 1, 2, 3


@dataclass(frozen=True)
class Sampler:
    """Attributes:
    sizes: rows per task.
    rates: share of the draws per task; scaled to sum to 1.
    seed: any integer in 0 .. 2**63 - 1.
    block: draws per block, on average.
    """

    sizes: tuple[int, ...]
    rates: tuple[float, ...]
    seed: int = 0
    block: int = 1024

    def __post_init__(self) -> None:
        if not self.sizes or len(self.sizes) != len(self.rates):
            raise ConfigError(
                "sizes and rates differ in number",
                got=(len(self.sizes), len(self.rates)),
                expected="one rate per task, and at least one task",
            )
        if min(self.sizes) < 1 or not min(self.rates) > 0 or self.block < 1 or self.seed < 0:
            raise ConfigError(
                "an impossible mixture",
                got=(self.sizes, self.rates, self.block, self.seed),
                expected="sizes >= 1, rates > 0, block >= 1 and seed >= 0",
            )

    @cached_property
    def _share(self) -> np.ndarray:
        """Draws per block and task ``[tasks]``, not rounded."""
        rates = np.array(self.rates, dtype=float)
        return rates / rates.sum() * self.block

    @cached_property
    def _offset(self) -> np.ndarray:
        return uniform(self.seed, _OFFSET, np.arange(len(self.sizes)))

    def before(self, block: int) -> np.ndarray:
        """Draws ``[tasks]`` that came before ``block``."""
        return np.floor(block * self._share + self._offset).astype(np.int64)

    def _block_of(self, draw: int) -> int:
        """The block that holds draw number ``draw``; O(tasks) per step of a bisection."""
        # Rounding moves a block's start by at most the number of tasks.
        slack = len(self.sizes) // self.block + 2
        low = max(0, draw // self.block - slack)
        high = draw // self.block + slack
        while low < high:
            middle = (low + high + 1) // 2
            if int(self.before(middle).sum()) <= draw:
                low = middle
            else:
                high = middle - 1
        return low

    def _block(self, block: int) -> tuple[np.ndarray, np.ndarray]:
        """Task and number within the task, ``[draws of the block]`` each."""
        first, after = self.before(block), self.before(block + 1)
        tasks = np.repeat(np.arange(len(self.sizes)), after - first)
        # Sorting hashes shuffles; ties are as good as impossible and still deterministic.
        order = np.argsort(mix(self.seed, _ORDER, block, np.arange(len(tasks))), kind="stable")
        shuffled = tasks[order]
        numbers = np.empty(len(tasks), dtype=np.int64)
        # A task's draws keep their order, so that a pass ends before the next one starts.
        numbers[np.argsort(shuffled, kind="stable")] = np.arange(len(tasks)) - np.repeat(
            np.cumsum(after - first) - (after - first) - first, after - first
        )
        return shuffled, numbers

    def draws(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Task numbers and row numbers ``[stop - start]`` of draws ``start .. stop-1``."""
        if not 0 <= start <= stop:
            raise ConfigError("no range of draws", got=(start, stop), expected="0 <= start <= stop")
        parts: list[tuple[np.ndarray, np.ndarray]] = []
        block = self._block_of(start)
        at = int(self.before(block).sum())
        while at < stop:
            tasks, numbers = self._block(block)
            cut = slice(max(start - at, 0), stop - at)
            parts.append((tasks[cut], numbers[cut]))
            at += len(tasks)
            block += 1
        if not parts:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        tasks, numbers = (np.concatenate(p) for p in zip(*parts, strict=True))
        sizes = np.array(self.sizes, dtype=np.int64)[tasks]
        keys = mix(self.seed, _ROWS, tasks, numbers // sizes)
        return tasks, permute(numbers % sizes, sizes, keys)


def sampler(
    sizes: dict[str, int], rates: dict[str, float], seed: int = 0, block: int = 1024
) -> tuple[tuple[str, ...], Sampler]:
    """Task names in the order of the sampler's task numbers, and the sampler."""
    names: Sequence[str] = tuple(sizes)
    if set(names) != set(rates):
        raise ConfigError("rates of other tasks", got=sorted(rates), expected=", ".join(names))
    return tuple(names), Sampler(
        tuple(sizes[n] for n in names), tuple(rates[n] for n in names), seed, block
    )
