"""What a metric sees of a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from formats.errors import ConfigError
from formats.examples import Answer, Example


@dataclass(frozen=True)
class Record:
    """One row: its example (with id and gold), what was answered, and what a few metrics need too.

    ``scores`` has one number per option of the example, in the options' own order, higher for
    what the model holds likelier; only their order within an option, over rows, and within a row
    matters. ``group`` names the rows that belong together.
    """

    example: Example
    answer: Answer
    scores: tuple[float, ...] | None = None
    group: str | None = None


def records(
    examples: Sequence[Example],
    answers: Sequence[Answer],
    scores: Sequence[Sequence[float] | None] | None = None,
    groups: Sequence[str] | None = None,
) -> list[Record]:
    """One record per example; raises ConfigError on unequal lengths."""
    n = len(examples)
    for what, given in (("answers", answers), ("scores", scores), ("groups", groups)):
        if given is not None and len(given) != n:
            raise ConfigError(
                f"{what} that do not belong to the examples",
                got=f"{n} examples, {len(given)} {what}",
                expected="one per example",
            )
    nothing: list[None] = [None] * n
    scored = [None if s is None else tuple(s) for s in scores or nothing]
    rows = zip(examples, answers, scored, groups or nothing, strict=True)
    return [Record(*row) for row in rows]
