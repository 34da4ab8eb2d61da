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


def in_quantiles(scores: ArrayLike, shares: ArrayLike | None = None) -> Table:
    """Each label's scores less the threshold that its share of all rows passes: the quantile
    1 - share of its scores (NSP-BERT's samples-contrast for pairs, Sun et al. 2021, 3.3).

    ``scores [rows, labels]``; ``shares [labels]`` sum to one; None: equal. Of two labels that are
    each other's opposite, the share of each is met exactly but for ties."""
    table = np.atleast_2d(np.asarray(scores, np.float64))
    count = table.shape[1]
    asked = np.full(count, 1 / count) if shares is None else np.asarray(shares, np.float64)
    if asked.shape != (count,) or (asked < 0).any() or not np.isclose(asked.sum(), 1):
        raise ConfigError(
            "shares of other labels, or that do not sum to one", got=asked.tolist(),
            expected=f"{count} shares",
        )  # fmt: skip
    thresholds = [np.quantile(table[:, k], 1 - share) for k, share in enumerate(asked)]
    return table - np.array(thresholds)


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
