"""Label words (verbalizers): which words of the vocabulary stand for a label, and how much.

A word is scored over as many blanks as it has tokens, never by its first token alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from formats.errors import ConfigError
from formats.examples import LabelSpace
from formats.layout import Coder

SCORES = ("log_odds", "log_prob", "logit")


@dataclass(frozen=True)
class Words:
    """``words[k]`` stand for label ``k``, with ``weights[k]`` (any positive numbers)."""

    words: tuple[tuple[str, ...], ...]
    weights: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        if not self.words or not all(self.words):
            raise ConfigError(
                "a label without words", got=self.words, expected="at least one word per label"
            )
        if not self.weights:
            object.__setattr__(self, "weights", tuple((1.0,) * len(w) for w in self.words))
        if [len(w) for w in self.weights] != [len(w) for w in self.words]:
            raise ConfigError(
                "as many weights as words", got=self.weights, expected=str(self.words)
            )
        if any(x <= 0 for own in self.weights for x in own):
            raise ConfigError(
                "weights that are not positive", got=self.weights, expected="weights above 0"
            )

    @property
    def flat(self) -> list[str]:
        """All words, label by label."""
        return [w for own in self.words for w in own]

    def ids(self, coder: Coder) -> list[tuple[int, ...]]:
        """The tokens of each of :attr:`flat`, as they continue a text."""
        found = [tuple(i) for i in coder.ids([coder.continuation(w) for w in self.flat])]
        for word, ids in zip(self.flat, found, strict=True):
            if not ids:
                raise ConfigError(
                    "a label word without tokens",
                    got=word,
                    fix="choose a word that the tokenizer knows",
                )
        return found

    def table(self) -> Tensor:
        """``[words, labels]``: each label's weights of its own words, summing to one."""
        made = torch.zeros(len(self.flat), len(self.words))
        at = 0
        for k, own in enumerate(self.weights):
            for weight in own:
                made[at, k] = weight / sum(own)
                at += 1
        return made


def manual(labels: LabelSpace, given: Mapping[str, str | Sequence[str]] | None = None) -> Words:
    """The task's own label words, or those ``given`` by label name. Raises ConfigError."""
    found = []
    for name, word in zip(labels.names, labels.words, strict=True):
        own = (given or {}).get(name, word)
        found.append((own,) if isinstance(own, str) else tuple(map(str, own)))
    unknown = sorted(set(given or {}) - set(labels.names))
    if unknown:
        raise ConfigError("words for a label that is not there", got=unknown[0],
                          expected=", ".join(labels.names))  # fmt: skip
    return Words(tuple(found))


def token_scores(logits: Tensor, ids: Tensor, kind: str = "log_odds") -> Tensor:
    """Scores of tokens ``ids [..., n]`` under ``logits [..., words]``.

    ``log_odds``: log p - log(1 - p); ``log_prob``: log p; ``logit``: as it is.
    """
    if kind not in SCORES:
        raise ConfigError("unknown score", got=kind, expected=", ".join(SCORES))
    chosen = logits.gather(-1, ids)
    if kind == "logit":
        return chosen
    found = chosen - logits.logsumexp(-1, keepdim=True)
    if kind == "log_prob":
        return found
    return found - torch.log(-torch.expm1(found.clamp(max=-1e-6)))


def label_scores(scores: Tensor, table: Tensor) -> Tensor:
    """Scores of words ``[n, words]`` -> of labels ``[n, labels]``: the weighted mean of its own."""
    return scores @ table.to(scores)
