"""When bare answers are labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from ._found import usable_labels

MOST_LABELS = 50
ROWS_PER_LABEL = 10
LONGEST = 60  # characters of a label


def closed_set(answers: Sequence[str], shown: Collection[str] = ()) -> tuple[str, ...]:
    """The labels, sorted, when ``answers`` (one per row) form a small closed set, else nothing.

    The rule: 2 to 50 different answers of at most 60 characters and one line, at least ten rows
    per answer on average, each answer on two rows or more, and no answer outside of them among
    those that the task's own examples show.
    """
    counts = Counter(a for a in answers if a.strip())
    closed = (
        2 <= len(counts) <= MOST_LABELS
        and len(answers) >= ROWS_PER_LABEL * len(counts)
        and min(counts.values()) >= 2
        and all(len(a) <= LONGEST and "\n" not in a for a in counts)
        and all(a in counts for a in shown)
    )
    labels = tuple(sorted(counts))
    return labels if closed and usable_labels(labels) else ()
