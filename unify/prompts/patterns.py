"""Patterns: a text with a blank in it (PET: Schick and Schütze 2021a, arXiv 2001.07676, 2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from formats.base import option_words
from formats.errors import ConfigError, RowError
from formats.examples import Example, RelationClassification
from formats.layout import Coder
from formats.templates import Field, Template, fields_of

BLANK = "mask"  # the field that stands for the blank
_MARK = "\ue000"  # a private character, never read by a model

DEFAULTS = (
    "{{ text }}{% if text_b %} {{ text_b }}{% endif %} {{ instruction }} {{ mask }}.",
    "{{ instruction }} {{ mask }}. {{ text }}{% if text_b %} {{ text_b }}{% endif %}",
    "It was {{ mask }}. {{ text }}{% if text_b %} {{ text_b }}{% endif %}",
)


class Slotted(NamedTuple):
    """Token ids on both sides of the blank, within their frame, and how many were cut."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    cut: int = 0


@dataclass(frozen=True)
class Pattern:
    """A template that reads ``{{ mask }}`` once, beside text, text_b, question, context, head,
    tail, instruction and options, as far as an example has them."""

    source: str

    def __post_init__(self) -> None:
        if BLANK not in Template(self.source).names():
            raise ConfigError(
                "a pattern without a blank", got=self.source, expected="{{ mask }} in it"
            )

    def sides(self, example: Example, instruction: str = "") -> tuple[list[str], list[str]]:
        """The pieces of text before and behind the blank. Raises RowError."""
        pieces = Template(self.source).render(fields_of(fields(example, instruction))).pieces
        where = [i for i, p in enumerate(pieces) if type(p) is Field and p.field == BLANK]
        if len(where) != 1:
            raise RowError(
                "a pattern that writes its blank not once",
                got=len(where),
                expected="the blank exactly once",
                row=example.id,
            )
        return [*pieces[: where[0]]], [*pieces[where[0] + 1 :]]


def fields(example: Example, instruction: str = "") -> dict[str, Any]:
    """What a pattern may read of ``example``."""
    values: dict[str, Any] = {"instruction": instruction, BLANK: _MARK, "text_b": None}
    for name in ("text", "question", "passage", "source", "text_b", "context"):
        if hasattr(example, name):
            values[name] = getattr(example, name)
    if "question" in values and "text" not in values:
        values["text"] = values.get("context") or values["question"]
        values["text_b"] = values["question"] if values.get("context") else None
    if isinstance(example, RelationClassification):
        values["head"] = example.head.of(example.text)
        values["tail"] = example.tail.of(example.text)
    values["options"] = option_words(example)
    return values


def slotted(
    pieces: tuple[Sequence[str], Sequence[str]], coder: Coder, blanks: int, room: int | None = None
) -> Slotted:
    """Pieces of text as tokens that leave room for ``blanks``; the longest piece is cut at its end
    where the window is full. Raises RowError where that does not help."""
    layout = coder.layout
    room = (layout.single_room if room is None else room) - blanks
    sides = [_joined(side) for side in pieces]
    ids = [[list(i) for i in coder.ids(side)] for side in sides]
    total = sum(len(i) for side in ids for i in side)
    cut = max(0, total - room)
    if cut:
        longest = max((i for side in ids for i in side), key=len)
        if len(longest) <= cut:
            raise RowError("a pattern that fills the window", got=total, expected=f"<= {room}")
        del longest[-cut:]
    before, after = ([t for i in side for t in i] for side in ids)
    return Slotted(
        (*layout.single_before, *before), (*after, *layout.single_after), cut
    )


def _joined(pieces: Sequence[str]) -> list[str]:
    """Runs of short pieces as one, so that a word is not cut in two where a field ends; the
    longest piece stays by itself, for it may be cut."""
    texts = [str.__str__(p) for p in pieces]
    if not texts:
        return []
    longest = max(range(len(texts)), key=lambda k: len(texts[k]))
    runs = ["".join(texts[:longest]).rstrip(), texts[longest].strip(),
            "".join(texts[longest + 1 :])]  # fmt: skip
    return [r for r in runs if r]
