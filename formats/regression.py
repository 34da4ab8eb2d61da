"""A number on a scale, and how texts write it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar

from .errors import RowError
from .spaces import need_text, optional_text

MOST_POINTS = 10_000  # on the scale of a regression
_FINEST = 1e-10  # a quantum below this part of the scale's ends drowns in rounding


@dataclass(frozen=True)
class Regression:
    """A number in ``[low, high]`` for one text or a pair. Answer: a float.

    ``quantum`` is the grid on which texts write the number (STS-B: 0.2); two answers closer than
    half of it are the same.
    """

    kind: ClassVar[str] = "rate"
    id: str
    text: str
    low: float
    high: float
    quantum: float = 1.0
    text_b: str | None = None
    gold: float | None = None

    def __post_init__(self) -> None:
        need_text(self.text, "text")
        optional_text(self.text_b, "text_b")
        width = self.high - self.low
        if not (math.isfinite(width) and self.low < self.high):
            raise RowError(
                "an empty or endless scale",
                got=(self.low, self.high),
                field="scale",
                expected="low < high, both finite",
            )
        if not 0 < self.quantum <= width:
            raise RowError(
                "a quantum outside the scale",
                got=self.quantum,
                field="quantum",
                expected=f"above 0 and at most {width:g}, the width of the scale",
            )
        if width / self.quantum > MOST_POINTS or self.quantum < _FINEST * max(
            abs(self.low), abs(self.high)
        ):
            raise RowError(
                "a quantum too fine for its scale",
                got=self.quantum,
                field="quantum",
                expected=f"at most {MOST_POINTS} points on the scale, clear of rounding errors",
                fix="choose a coarser quantum: the grid on which the number is written",
            )
        if self.gold is None:
            return
        if isinstance(self.gold, bool) or not isinstance(self.gold, (int, float)):
            raise RowError(
                "the value is not a number",
                got=self.gold,
                expected="a float or an integer",
                field="value",
            )
        if not self.low <= self.gold <= self.high:
            raise RowError(
                "a value outside the scale",
                got=self.gold,
                expected=f"within {self.low:g}..{self.high:g}",
                field="value",
            )

    @cached_property
    def grid(self) -> tuple[str, ...]:
        """The scale's points as texts, from low to high; a last half step ends at high."""
        return _grid(self.low, self.high, self.quantum)

    def nearest(self, value: float) -> str:
        """The grid's text for ``value``."""
        return self.grid[max(0, min(len(self.grid) - 1, round((value - self.low) / self.quantum)))]

    def write(self, value: float) -> str:
        """``value`` in plain digits, as many as the quantum needs (no exponent)."""
        return _written(value, self.quantum)

    def clip(self, value: float) -> float:
        """``value`` moved into ``[low, high]``."""
        return min(max(value, self.low), self.high)


def _written(value: float, quantum: float) -> str:
    digits = max(6, 5 - math.floor(math.log10(quantum)))
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


@lru_cache(maxsize=256)
def _grid(low: float, high: float, quantum: float) -> tuple[str, ...]:
    """A scale returns with every row of its task."""
    steps = round((high - low) / quantum)
    points = (min(low + i * quantum, high) for i in range(steps + 1))
    return tuple(_written(p, quantum) for p in points)
