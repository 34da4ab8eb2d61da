"""From log-probabilities to what options are ranked by."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from formats.errors import ConfigError

from .requests import Coded, Ids, Request, Score


def whole(score: Score) -> float:
    """Log-probability of the whole continuation."""
    return score.logprob


def per_token(score: Score) -> float:
    """Log-probability per token (Brown et al. 2020, section 2.4)."""
    return score.logprob / score.tokens


def per_byte(score: Score) -> float:
    """Log-probability per UTF-8 byte, which no tokenizer changes."""
    if not score.bytes:
        raise ConfigError(
            "bytes of a continuation that was given as token ids",
            fix="give the continuation as text",
        )
    return score.logprob / score.bytes


RULES: dict[str, Callable[[Score], float]] = {
    "sum": whole,
    "mean": per_token,
    "byte": per_byte,
}


def direct(context: str, options: Sequence[str], after: str = "") -> list[Request]:
    """p(y|x): every option after the same context."""
    return [Request(context, option, after) for option in options]


def channel(contexts: Sequence[str], text: str) -> list[Request]:
    """p(x|y) (Min et al. 2022, noisy channel, section 3.2): the same text after each option's own
    context."""
    return [Request(context, text) for context in contexts]


def pmi(conditional: Sequence[Score], domain: Sequence[Score]) -> list[float]:
    """log p(y|x) - log p(y|premise) per option (Holtzman et al. 2021, DC-PMI, section 4).

    ``domain`` scores the same options after a premise that says no more than the task does."""
    return [c.logprob - d.logprob for c, d in zip(conditional, domain, strict=True)]


def perplexity(scores: Sequence[Score]) -> float:
    """Of all tokens together: exp of the mean negative log-probability."""
    return math.exp(-sum(s.logprob for s in scores) / sum(s.tokens for s in scores))


def statement(ids: Ids, before: Ids, window: int, size: int = 0) -> list[Coded]:
    """Requests that score every token of ``ids`` once, in windows.

    ``before`` (at least one token) begins the first window. Each later window holds the
    ``window`` tokens before its last, of which only those not scored yet count. ``size`` is the
    text's bytes, told with the first window."""
    if not before or window <= len(before):
        raise ConfigError("a window without room", got=window, expected=f"> {len(before)}")
    first = window + 1 - len(before)
    out = [Coded((*before, *ids[:first]), len(before), size)]
    done = first
    while done < len(ids):
        end = min(len(ids), done + window)
        start = max(0, end - window - 1)
        out.append(Coded(ids[start:end], done - start))
        done = end
    return out
