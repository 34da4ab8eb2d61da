"""Label words found by machine (LM-BFF: Gao et al. 2021, section 5.1)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from formats.errors import ConfigError

BEGINS = ("\u0120", "\u2581")  # how byte-level and SentencePiece vocabularies mark words
MOST = 20_000  # assignments that are tried


def candidates(log_probs: Tensor, gold: Tensor, labels: int, top: int) -> list[list[int]]:
    """Per label the ``top`` tokens of the highest mean log-probability in the blank over the
    label's rows; ``log_probs [n, words]`` (tokens that may not be chosen: minus infinity)."""
    found = []
    for label in range(labels):
        rows = log_probs[gold == label]
        if not len(rows):
            raise ConfigError(
                "a label without rows to find words by",
                got=label,
                expected="at least one row per label",
            )
        found.append([int(k) for k in rows.mean(0).topk(top).indices])
    return found


def assignments(
    log_probs: Tensor, gold: Tensor, found: Sequence[Sequence[int]], keep: int
) -> list[tuple[int, ...]]:
    """The ``keep`` combinations of candidates (one token per label, no token twice) that label
    most training rows rightly; ties by the summed log-probability of the gold words.

    Where the product is larger than :data:`MOST`, each label's list is cut to the same length.
    """
    labels = len(found)
    each = max(1, math.floor(MOST ** (1 / labels) + 1e-9))
    lists = [list(f[: max(each, 2 if 2**labels <= MOST else 1)]) for f in found]
    if math.prod(len(f) for f in found) <= MOST:
        lists = [list(f) for f in found]
    ranked = []
    for combination in itertools.product(*lists):
        if len(set(combination)) < labels:
            continue
        table = log_probs[:, list(combination)]
        right = int((table.argmax(1) == gold).sum())
        total = float(table.gather(1, gold[:, None]).sum())
        ranked.append((-right, -total, combination))
    return [c for _, _, c in sorted(ranked)[:keep]]


def search(
    log_probs: Tensor, gold: Tensor, labels: int, *, top: int, keep: int,
    dev: Callable[[tuple[int, ...]], float],
) -> tuple[int, ...]:  # fmt: skip
    """The assignment that is best on ``dev`` (an accuracy) among the ``keep`` best on training
    rows; the first of them on ties."""
    kept = assignments(log_probs, gold, candidates(log_probs, gold, labels, top), keep)
    if not kept:
        raise ConfigError("no assignment of different words", got=top, fix="raise learner.top")
    scores = [dev(c) for c in kept]
    return kept[max(range(len(kept)), key=lambda k: scores[k])]


def allowed(tokenizer: object, count: int) -> Tensor:
    """0 for tokens that are whole words of letters, minus infinity for all others: ``[count]``.

    Where the vocabulary marks the beginnings of words, a token without the mark stands within one.
    """
    made = torch.full((count,), -math.inf)
    vocabulary = tokenizer.get_vocab()  # type: ignore[attr-defined]
    marks = any(text[:1] in BEGINS and text[1:].isalpha() for text in vocabulary)
    for text, number in vocabulary.items():
        word = text[1:] if marks else text
        whole = word.isalpha() and word.isascii() and len(word) > 2
        if number < count and whole and (not marks or text[0] in BEGINS):
            made[number] = 0.0
    return made
