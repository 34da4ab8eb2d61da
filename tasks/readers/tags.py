"""Tags of tokens to typed spans: one function for IOB1, IOB2, BIOES, BMES and BILOU."""

from __future__ import annotations

from collections.abc import Sequence

# What the first letter of a tag says, in the letters of BIOES. The schemes agree on their letters:
# BMES(O) writes M for inside and W for a lone token, BILOU writes L for the last and U for a lone.
_MARKS = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S", "W": "S"}

Place = tuple[int, int, str]  # first token, token after the last, type


def well_formed(tag: str) -> bool:
    """Whether ``tag`` is ``O``, or a mark and a type: ``B-PER``."""
    mark, dash, name = tag.partition("-")
    return tag == "O" or (mark in _MARKS and bool(dash and name))


def tags_to_spans(tags: Sequence[str]) -> list[Place]:
    """Spans of a tag sequence, in order, as ``(first token, token after the last, type)``.

    The rule is that of conlleval (Tjong Kim Sang 2000): a span opens at every ``B`` and ``S``, and
    at an ``I`` or ``E`` before which no span of its type is open; it closes after ``E`` and ``S``,
    and before ``O``, another type, ``B`` or ``S``. So an ``I-`` without its ``B-`` opens a span.
    That is how IOB1 (Ramshaw and Marcus 1995) is meant, and on well-formed tags of the other
    schemes it gives their own reading.
    """
    spans: list[Place] = []
    opened, kind = 0, ""
    for i, tag in enumerate([*tags, "O"]):
        letter, _, name = tag.partition("-")
        mark = _MARKS.get(letter, "O")
        if kind and (mark in "BSO" or name != kind):
            spans.append((opened, i, kind))
            kind = ""
        if mark != "O" and not kind:
            opened, kind = i, name
        if kind and mark in "ES":
            spans.append((opened, i + 1, kind))
            kind = ""
    return spans


def each_token(tags: Sequence[str]) -> list[Place]:
    """One span per token: the reading of tags that mark no borders (parts of speech)."""
    return [(i, i + 1, tag) for i, tag in enumerate(tags)]
