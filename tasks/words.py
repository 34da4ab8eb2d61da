"""Rows that list their words, and a tag for each: the layout of most tagging sets in JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from formats.errors import RowError

from .readers.tags import each_token, tags_to_spans, well_formed


def places_of(words: Sequence[Any], text: str) -> list[tuple[int, int]]:
    """The half-open character offsets of ``words`` in ``text``, where they stand one after the
    other. Raises RowError for one that does not."""
    found: list[tuple[int, int]] = []
    at = 0
    for number, word in enumerate(words):
        begin = text.find(word, at) if isinstance(word, str) and word else -1
        if begin < 0:
            raise RowError(
                "a token that does not stand in the text behind the others",
                got=word, expected=f"token {number} in {text[at : at + 40]!r}", field="tokens",
                fix='text: "{tokens: }" makes the text of the tokens',
            )  # fmt: skip
        at = begin + len(word)
        found.append((begin, at))
    return found


def spans_of(tags: Sequence[Any], places: Sequence[tuple[int, int]]) -> list[Any]:
    """The spans ``{start, end, type}`` that ``tags`` mark on the tokens at ``places``; where they
    are spans already, these.

    Tags with marks of borders (``B-PER``, ``O``) are read by :func:`~tasks.readers.tags.
    tags_to_spans`; where one has none (parts of speech), each token is a span. Raises RowError.
    """
    if not tags or not any(isinstance(tag, str | int) for tag in tags):
        return list(tags)
    if len(tags) != len(places):
        raise RowError(
            f"{len(tags)} tags for {len(places)} tokens", got=list(tags),
            expected="one tag for each token", field="spans",
        )  # fmt: skip
    if not all(isinstance(tag, str) for tag in tags):
        raise RowError(
            "tags that are numbers", got=list(tags), expected="their names, such as B-PER and O",
            field="spans", fix="write the names into the file, or give the task an adapter",
        )  # fmt: skip
    read = tags_to_spans if all(well_formed(tag) for tag in tags) else each_token
    return [
        {"start": places[first][0], "end": places[end - 1][1], "type": type}
        for first, end, type in read(tags)
    ]
