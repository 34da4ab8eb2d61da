"""Chinese answers, as CMRC 2018 compares them (Cui et al. 2019), and Chinese words for ROUGE."""

from __future__ import annotations

import functools
import re
from difflib import SequenceMatcher
from typing import Any

from .normal import Form

# What the evaluation of CMRC 2018 (v5) takes for punctuation. Its list names the ellipsis as a
# pair of characters, which matches none.
_PUNCTUATION = str.maketrans("", "", "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_IDEOGRAPH = re.compile("([\u4e00-\u9fa5])")
_WORD = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]|[^\\W\u3400-\u9fff\uf900-\ufaff]+")


@functools.cache
def _english() -> Any:
    from nltk.tokenize import NLTKWordTokenizer

    return NLTKWordTokenizer()


def normal(text: str) -> str:
    """Lower case without punctuation; blanks inside stay, as in the official script."""
    return text.lower().strip().translate(_PUNCTUATION)


def segments(text: str) -> list[str]:
    """Ideographs one by one, and the words between them (NLTK's, without sentence splitting)."""
    found: list[str] = []
    for part in _IDEOGRAPH.split(normal(text)):
        if _IDEOGRAPH.fullmatch(part):
            found.append(part)
        elif part:
            found.extend(_english().tokenize(part))
    return found


def f1(given: str, gold: str) -> float:
    """Of the longest run of segments that both have, over the segments of each."""
    one, two = segments(given), segments(gold)
    if not one or not two:
        return float(one == two)
    run = SequenceMatcher(None, one, two, autojunk=False).find_longest_match().size
    return 2 * run / (len(one) + len(two))


CMRC = Form(normal, f1)


class Words:
    """The tokenizer that rouge-score is given: an ideograph is a word, and so is a run of other
    letters and digits."""

    def tokenize(self, text: str) -> list[str]:
        return _WORD.findall(text.lower())
