"""The published MetaICL's layout of episodes, token by token, for comparison with its figures.

Facts from Min et al. 2022 (arXiv 2110.15943) and the authors' data code. Every segment is tokenized
by itself and nothing marks begin or end. An example keeps at most ``per_example`` tokens: its input
loses what is too much on the right. A whole sequence keeps ``most`` tokens: the context loses what
is too much on the left, wherever that cuts a demonstration. Tasks without options get nothing
between input and output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .episodes import Direction
from .errors import RowError

MOST, PER_EXAMPLE = 1024, 256  # tokens
_SPARE = 2  # tokens that an example leaves free

Ids = list[int]
Encode = Callable[[str], Ids]


@dataclass(frozen=True)
class Row:
    """An input, its output, and the outputs to choose from (none: the output is written)."""

    input: str
    output: str
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.options and self.output not in self.options:
            raise RowError(
                "an output that is no option",
                got=self.output,
                expected=", ".join(self.options),
                field="output",
            )


@dataclass(frozen=True)
class Marks:
    """What stands in front of a row's input and of its output."""

    input: str
    output: str


def marks(row: Row, direction: Direction, first: bool) -> Marks:
    """``first``: nothing stands before the row."""
    labelled = any(row.options)
    if direction == "direct":
        before = "" if first else "\n\n\n" if row.input else "\n\n"
        return Marks(before, "\n" if labelled else "")
    return Marks("\n" if labelled and row.input else "", "" if first else "\n\n\n")


def demonstration(
    row: Row, encode: Encode, direction: Direction, first: bool, per_example: int = PER_EXAMPLE
) -> tuple[Ids, Ids]:
    """What is given and what is predicted of a labelled row, in reading order."""
    put = marks(row, direction, first)
    output = encode(put.output + row.output)
    given = encode(put.input + row.input)[: max(0, per_example - _SPARE - len(output))]
    return (given, output) if direction == "direct" else (output, given)


def context(
    rows: Sequence[Row], encode: Encode, direction: Direction, per_example: int = PER_EXAMPLE
) -> Ids:
    """The demonstrations, joined."""
    joined: Ids = []
    for number, row in enumerate(rows):
        for ids in demonstration(row, encode, direction, number == 0, per_example):
            joined += ids
    return joined


def training(
    rows: Sequence[Row],
    encode: Encode,
    direction: Direction,
    *,
    most: int = MOST,
    per_example: int = PER_EXAMPLE,
) -> tuple[Ids, Ids]:
    """``(context, scored)`` of a training episode, whose last row is the query."""
    shown = context(rows[:-1], encode, direction, per_example)
    given, scored = demonstration(rows[-1], encode, direction, len(rows) == 1, per_example)
    return _within([*shown, *given], scored, most)


def requests(
    query: Row,
    shown: Sequence[int],
    encode: Encode,
    direction: Direction,
    *,
    most: int = MOST,
    per_example: int = PER_EXAMPLE,
) -> list[tuple[Ids, Ids]]:
    """``(context, scored)`` per option of ``query`` behind the demonstrations ``shown``; an
    option's score is the mean log-probability of ``scored``.

    The input is cut as if the longest option were its output.
    """
    put = marks(query, direction, first=not shown)
    options = [encode(put.output + option) for option in query.options or (query.output,)]
    longest = max(map(len, options))
    given = encode(put.input + query.input)[: max(0, per_example - _SPARE - longest)]
    pairs = ((given, o) if direction == "direct" else (o, given) for o in options)
    return [_within([*shown, *lead], scored, most) for lead, scored in pairs]


def _within(given: Ids, scored: Ids, most: int) -> tuple[Ids, Ids]:
    return given[max(0, len(given) + len(scored) - most) :], scored
