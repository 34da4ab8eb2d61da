"""How often each task is drawn: rates over tasks, which sum to 1.

Sizes are numbers of training rows. T5's names are used (Raffel et al. 2020, section 3.5.2).
"""

from __future__ import annotations

from collections.abc import Mapping

from formats.errors import ConfigError, UnknownName

Rates = dict[str, float]


def _checked(sizes: Mapping[str, float]) -> None:
    if not sizes:
        raise ConfigError("a mixture of no task", expected="at least one task")
    for name, size in sizes.items():
        if not size > 0:
            raise ConfigError("a task without rows", task=name, got=size, expected="rows > 0")


def normalised(weights: Mapping[str, float]) -> Rates:
    """``weights`` scaled to sum to 1."""
    _checked(weights)
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def proportional(sizes: Mapping[str, int]) -> Rates:
    """Rates proportional to the number of rows."""
    return normalised(sizes)


def capped(sizes: Mapping[str, int], cap: int) -> Rates:
    """Proportional, where no task counts for more than ``cap`` rows (T5's limit K)."""
    if cap < 1:
        raise ConfigError("a cap below one row", got=cap, expected="cap >= 1", field="cap")
    return normalised({name: min(size, cap) for name, size in sizes.items()})


def temperature(sizes: Mapping[str, int], t: float, cap: int | None = None) -> Rates:
    """``p_i ∝ r_i^(1/t)`` of proportional (or capped) rates; 1 keeps them, large t evens out."""
    if not t > 0:
        raise ConfigError("a temperature of zero or less", got=t, expected="t > 0", field="t")
    rates = capped(sizes, cap) if cap is not None else proportional(sizes)
    return normalised({name: rate ** (1 / t) for name, rate in rates.items()})


def equal(sizes: Mapping[str, int]) -> Rates:
    """The same rate for each task."""
    return normalised(dict.fromkeys(sizes, 1.0))


def by_group(rates: Mapping[str, float], groups: Mapping[str, str]) -> Rates:
    """Every group (task type, say) gets the same share; ``rates`` divide it within the group."""
    totals: dict[str, float] = {}
    for name, rate in normalised(rates).items():
        totals[groups[name]] = totals.get(groups[name], 0.0) + rate
    return normalised({name: rate / totals[groups[name]] for name, rate in rates.items()})


def explicit(sizes: Mapping[str, int], weights: Mapping[str, float]) -> Rates:
    """The given weights, one for each task and for no other name."""
    for name in weights:
        if name not in sizes:
            raise UnknownName("task", name, sizes, field="weights")
    missing = [name for name in sizes if name not in weights]
    if missing:
        raise ConfigError("tasks without a weight", got=missing, field="weights",
                          fix="give each task of the mixture a weight")  # fmt: skip
    return normalised({name: weights[name] for name in sizes})
