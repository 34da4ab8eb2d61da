"""Normal forms of answers: SQuAD's for English, characters for scripts without blanks."""

from __future__ import annotations

import re
import string
import unicodedata

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = set(string.punctuation)
# CJK ideographs and kana, the scripts that are compared by character.
_CHARACTER = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


def normal(text: str) -> str:
    """SQuAD's form (Rajpurkar et al. 2016): lower case, no punctuation, articles, extra blanks.

    Beyond ASCII, where the official script leaves punctuation, Chinese punctuation is dropped
    too as soon as the text holds a character of such a script (CMRC 2018, Cui et al. 2019).
    """
    lowered = text.lower()
    if _CHARACTER.search(lowered):
        kept = (c for c in lowered if not unicodedata.category(c).startswith(("P", "Z")))
        return "".join(c for c in kept if c not in _PUNCTUATION)
    kept = (c for c in lowered if c not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", "".join(kept)).split())


def tokens(text: str) -> list[str]:
    """Words of the normal form; each character of a script without blanks is a word."""
    return _CHARACTER.sub(lambda m: f" {m.group()} ", normal(text)).split()
