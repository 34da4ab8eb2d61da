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

TEXTS = ("text", "question", "passage", "source", "text_b", "context")
CUT = (*TEXTS, "head", "tail")  # fields that are cut where the window is full

# All that a row of any task shows: its text or both, and of a relation which two it is between.
SHOWN = (
    "{{ text }}{% if text_b %} {{ text_b }}{% endif %}"
    "{% if head %} {{ head }} and {{ tail }}{% endif %}"
)
DEFAULTS = (
    SHOWN + " {{ instruction }} {{ mask }}.",
    "{{ instruction }} {{ mask }}. " + SHOWN,
    "It was {{ mask }}. " + SHOWN,
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
    values: dict[str, Any] = {
        "instruction": instruction, BLANK: _MARK, "text_b": None, "head": None, "tail": None
    }  # fmt: skip
    for name in TEXTS:
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


def shown_of(example: Example) -> tuple[str, ...]:
    """The pieces of text that :data:`SHOWN` shows."""
    return Template(SHOWN).render(fields_of(fields(example))).pieces


def slotted(
    pieces: tuple[Sequence[str], Sequence[str]], coder: Coder, blanks: int, room: int | None = None
) -> Slotted:
    """Pieces of text as tokens that leave room for ``blanks``; the row's own texts are cut at their
    ends where the window is full. Raises RowError where that does not help."""
    layout = coder.layout
    room = (layout.single_room if room is None else room) - blanks
    sides = [_runs(side) for side in pieces]
    ids = [[list(i) for i in coder.ids([text for text, _ in side])] for side in sides]
    own = [i for side, made in zip(sides, ids, strict=True)
           for (_, soft), i in zip(side, made, strict=True) if soft]  # fmt: skip
    # A filter leaves no field to be told by: then the longest run is the text.
    own = own or [max((i for made in ids for i in made), key=len, default=[])]
    fixed = sum(len(i) for made in ids for i in made) - sum(map(len, own))
    cut = shortened(own, room - fixed)
    before, after = ([t for i in made for t in i] for made in ids)
    return Slotted(
        (*layout.single_before, *before), (*after, *layout.single_after), cut
    )


def shortened(texts: Sequence[list[int]], room: int) -> int:
    """Cuts ``texts`` at their ends to ``room`` tokens in all, always the longest one; returns how
    many were cut. Raises RowError where one would be left without a token."""
    cut = max(0, sum(map(len, texts)) - room)
    if cut and room < sum(map(bool, texts)):
        raise RowError(
            "a pattern that fills the window", got=f"{room} tokens left for {len(texts)} texts",
            fix="a shorter pattern, fewer demonstrations, or a longer model.window",
        )  # fmt: skip
    for _ in range(cut):
        max(texts, key=len).pop()
    return cut


def _runs(pieces: Sequence[str]) -> list[tuple[str, bool]]:
    """Texts that may be cut, each by itself, and what stands between them as one, so that a word is
    not cut in two where a field ends. White space goes with the word behind it."""
    joined: list[tuple[str, bool]] = []
    for piece in pieces:
        soft = type(piece) is Field and piece.field in CUT
        text = str.__str__(piece)
        if joined and not soft and not joined[-1][1]:
            text = joined.pop()[0] + text
        joined.append((text, soft))
    found, blank = [], ""
    for text, soft in joined:
        whole = blank + text
        kept = whole.rstrip()
        blank = whole[len(kept) :]
        if kept:
            found.append((kept, soft))
    return found
