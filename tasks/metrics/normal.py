"""SQuAD's form of an answer (Rajpurkar et al. 2016), and the overlap of two."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


class Form(NamedTuple):
    """How a language compares answers: ``normal`` for exact match, and an F1 of two texts."""

    normal: Callable[[str], str]
    f1: Callable[[str, str], float]


def normal(text: str) -> str:
    """Lower case, without ASCII punctuation, English articles and extra blanks."""
    bare = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def f1(given: str, gold: str) -> float:
    """Of the words of both, as multisets; two texts without words are equal (SQuAD 2.0)."""
    one, two = normal(given).split(), normal(gold).split()
    if not one or not two:
        return float(one == two)
    common = sum((Counter(one) & Counter(two)).values())
    return 2 * common / (len(one) + len(two))


SQUAD = Form(normal, f1)
