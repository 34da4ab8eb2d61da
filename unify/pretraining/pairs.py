"""Next sentence prediction: does one text follow the other (BERT: Devlin et al. 2019, 3.1)?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(])")


class Pair(NamedTuple):
    """Two texts, and whether the second one follows the first in its document."""

    first: str
    second: str
    follows: bool


def sentences(text: str) -> list[str]:
    """``text`` cut behind full stops that a capital follows."""
    return [s for s in (p.strip() for p in _END.split(text)) if s]


def next_sentences(texts: Sequence[str], draw: np.random.Generator) -> list[Pair]:
    """One pair per text of two sentences or more: half of them with the next sentence, half with a
    sentence of another such text."""
    documents = [s for s in map(sentences, texts) if len(s) > 1]
    found = []
    for k, own in enumerate(documents):
        at = int(draw.integers(len(own) - 1))
        follows = bool(draw.random() < 0.5) or len(documents) < 2
        second = own[at + 1]
        if not follows:
            other = documents[(k + 1 + int(draw.integers(len(documents) - 1))) % len(documents)]
            second = other[int(draw.integers(len(other)))]
        found.append(Pair(own[at], second, follows))
    return found
