"""Option probabilities corrected for what the prompt alone prefers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from formats.errors import ConfigError

CONTENT_FREE = ("N/A", "[MASK]", "")  # Zhao et al. 2021, section 5

Table = NDArray[np.float64]


def probabilities(logprobs: ArrayLike) -> Table:
    """``[rows, options]`` log-probabilities to probabilities that sum to one per row."""
    values = np.asarray(logprobs, np.float64)
    e = np.exp(values - values.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _normed(table: Table) -> Table:
    return table / table.sum(-1, keepdims=True)


def contextual(p: ArrayLike, free: ArrayLike) -> Table:
    """Contextual calibration: W = diag(p_cf)^-1, b = 0 (Zhao et al. 2021, section 5).

    ``p [rows, options]``; ``free [strings, options]``, what the same prompt says to content-free
    inputs, averaged to p_cf. Rows of the result sum to one (the order of options is W p's)."""
    return _over(p, np.atleast_2d(np.asarray(free, np.float64)))


def batch(p: ArrayLike, strength: float = 1.0) -> Table:
    """Batch calibration: p(y|x) over its mean over the batch (Zhou et al. 2023, eq. 6).

    ``p [rows, options]``, all rows of one prompt; ``strength`` 1 is the published method, 0
    leaves ``p`` as it is (section 3.3). Needs no label."""
    table = np.asarray(p, np.float64)
    return _over(table, table, strength)


def in_logs(logprobs: ArrayLike, prior: ArrayLike) -> Table:
    """The logarithm of :func:`contextual` (or, with the rows themselves as ``prior``, of
    :func:`batch`), without probabilities that could come to zero.

    ``logprobs [rows, options]`` and ``prior [strings, options]`` need not be normalised."""
    own, free = _log_normed(logprobs), _log_normed(prior)
    if own.shape[-1] != free.shape[-1]:
        raise ConfigError(
            "scores and their prior have other options",
            got=free.shape[-1],
            expected=str(own.shape[-1]),
        )
    return _log_normed(own - np.logaddexp.reduce(free, 0))


def _log_normed(values: ArrayLike) -> Table:
    table = np.atleast_2d(np.asarray(values, np.float64))
    return table - np.logaddexp.reduce(table, -1, keepdims=True)


def _over(p: ArrayLike, prior: Table, strength: float = 1.0) -> Table:
    table = np.asarray(p, np.float64)
    if table.shape[-1] != prior.shape[-1]:
        raise ConfigError(
            "probabilities and their prior have other options",
            got=prior.shape[-1],
            expected=str(table.shape[-1]),
        )
    mean = prior.mean(0)
    if not (mean > 0).all():
        raise ConfigError(
            "a prior probability of zero", got=mean.tolist(), expected="probabilities above 0"
        )
    return _normed(table / mean**strength)
