"""Cloze tests (Taylor 1953) out of texts that have none, by rules that leave no choice."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from formats.errors import RowError

BLANK = "_____"
# Letters alone: neither numbers nor marks such as "#Person1#".
_WORD = re.compile(r"(?<![\w#])[^\W\d_]+(?![\w#])")


def longest(text: str, allowed: Iterable[str] | None = None) -> str:
    """The longest word of ``text`` (of equal ones the first) that is in ``allowed``.

    A word is a run of letters; case matters. Raises RowError where there is none.
    """
    known = None if allowed is None else set(allowed)
    fitting = [w for w in _WORD.findall(text) if known is None or w in known]
    if not fitting:
        raise RowError(
            "a text without a word to leave out",
            got=text,
            expected="a word" + ("" if known is None else " that stands in the passage too"),
            field="text",
        )
    return max(fitting, key=len)


def without(text: str, word: str) -> str:
    """``text`` with a blank in every place of ``word``."""
    return _WORD.sub(lambda m: BLANK if m.group() == word else m.group(), text)


def sentence(row: Mapping[str, Any]) -> dict[str, Any]:
    """Free text: the longest word of the column ``text`` is left out, and asked for."""
    word = longest(row["text"])
    return {"source": without(row["text"], word), "targets": [word]}


def summary(row: Mapping[str, Any]) -> dict[str, Any]:
    """Extractive: a word left out of a summary stands in the dialogue (after Hermann et al. 2015).

    It is the longest word of the (first) summary that the dialogue holds as a word; each of its
    places in the dialogue is right.
    """
    passage, text = row["dialogue"], row.get("summary") or row["summary1"]
    word = longest(text, _WORD.findall(passage))
    places = [m.start() for m in _WORD.finditer(passage) if m.group() == word]
    answers = [{"text": word, "start": start} for start in places]
    return {"question": without(text, word), "passage": passage, "answers": answers}
