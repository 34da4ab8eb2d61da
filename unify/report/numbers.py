"""Numbers as people read them: points with one decimal, spans of time, shares."""

from __future__ import annotations

import math
from typing import Any

NONE = "–"  # what stands where there is no number


def finite(value: Any) -> float | None:
    """``value`` as a float, or ``None`` if there is no number to show."""
    if value is None or isinstance(value, (str, bytes)):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def points(value: Any, sign: bool = False) -> str:
    """A score in 0..1 (a correlation in -1..1) as points with one decimal: 0.6343 -> ``63.4``.

    ``sign`` writes a plus before gains. A rounded zero has no minus.
    """
    number = finite(value)
    if number is None:
        return NONE
    rounded = round(number * 100, 1) + 0.0  # -0.0 + 0.0 is 0.0
    return f"{rounded:+.1f}" if sign and rounded else f"{rounded:.1f}"


def half_width(low: Any, high: Any) -> str:
    """Half the interval's width in points: ``±2.1``."""
    bottom, top = finite(low), finite(high)
    if bottom is None or top is None:
        return ""
    return f"±{points((top - bottom) / 2)}"


def interval(low: Any, high: Any) -> str:
    """Both ends in points: ``61.2 to 65.9``."""
    if finite(low) is None or finite(high) is None:
        return NONE
    return f"{points(low)} to {points(high)}"


def count(value: Any) -> str:
    """A whole number with thousands parted: ``12,345``."""
    number = finite(value)
    return NONE if number is None else f"{round(number):,}"


def share(value: Any) -> str:
    """A fraction as percent; small shares keep a second decimal."""
    number = finite(value)
    if number is None:
        return NONE
    return f"{number:.1%}" if number >= 0.01 or number == 0 else f"{number:.2%}"


def decimal(value: Any) -> str:
    """Four significant digits, without an exponent where people would not write one."""
    number = finite(value)
    if number is None:
        return NONE
    return f"{number:,.0f}" if abs(number) >= 10_000 else f"{number:.4g}"


def duration(seconds: Any) -> str:
    """``8.4 s``, ``3 min 20 s``, ``2 h 05 min``."""
    number = finite(seconds)
    if number is None:
        return NONE
    if number < 59.95:
        return f"{number:.1f} s"
    whole = round(number)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(number / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def plural(number: int, noun: str) -> str:
    """``1 task``, ``12 tasks``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def cell(value: Any) -> str:
    """What stands in a table of any columns: fractions with three decimals, nothing for None."""
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)
