"""Where published answers stand in their passage, and what was mended to find them there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from formats.errors import RowError
from formats.examples import Span

WRONG_START = "an answer with a wrong start, which stands once in the passage: taken from there"
NO_START = "an answer without a start, which stands once in the passage: taken from there"
SPELT = "an answer spelt otherwise than its place: the passage's own characters are taken"
UNPLACED = "an answer that does not stand in the passage, among others that do: left out"


def _follows(text: str, written: str) -> bool:
    """Whether the visible characters of ``text`` occur in ``written``, in order."""
    rest = iter(written)
    return bool(text.strip()) and all(c in rest for c in text if not c.isspace())


def place(passage: str, answer: Mapping[str, Any], mended: Counter[str]) -> Span:
    """The span of one answer, ``{text, start, end?}``; what had to be mended is counted.

    - The text stands at ``start``: that is its place.
    - It stands once in the passage: that is its place, whatever ``start`` says.
    - ``end`` is published too, and the text's characters occur in ``passage[start:end]`` in order
      (it was cut into tokens, or leaves words out): the published place is taken.

    Raises RowError for any other answer.
    """
    text: str = answer["text"]
    start: Any = answer.get("start", answer.get("answer_start"))
    end: Any = answer.get("end")
    if text and start is not None and start >= 0 and passage.startswith(text, start):
        return Span(start, start + len(text))
    times = passage.count(text) if text else 0
    if times == 1:
        mended[NO_START if start is None else WRONG_START] += 1
        found = passage.index(text)
        return Span(found, found + len(text))
    given = start is not None and end is not None and 0 <= start < end <= len(passage)
    if times == 0 and given and _follows(text, passage[start:end]):
        mended[SPELT] += 1
        return Span(start, end)
    raise RowError(
        f"an answer that does not stand at its place, and stands {times} times in the passage",
        got=(text, start),
        expected="passage[start:start + len(text)] == text",
        field="answers",
        fix="repair it, announce it under `broken`, or train and evaluate with on_bad_row=skip",
    )


def gold_spans(
    passage: str, answers: Iterable[Mapping[str, Any]], several: bool, mended: Counter[str]
) -> tuple[frozenset[Span], ...]:
    """The alternatives of gold: all answers as one set, or (not ``several``) one set for each.

    Of several annotators' answers one that has no place is left out and counted; a row of which
    nothing is left, or whose one set would lose a part, raises RowError.
    """
    own: Counter[str] = Counter()
    spans: list[Span] = []
    unplaced: RowError | None = None
    for answer in answers:
        try:
            spans.append(place(passage, answer, own))
        except RowError as error:
            if several:
                raise
            unplaced = error
            own[UNPLACED] += 1
    if unplaced is not None and not spans:
        raise unplaced
    mended.update(own)
    if several or not spans:
        return (frozenset(spans),)
    return tuple(dict.fromkeys(frozenset([span]) for span in spans))
