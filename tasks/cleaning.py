"""A suite without its leaks: the seen tasks that touch an unseen one are taken out.

Unseen tasks stay, so that a published split and its clean form are evaluated on the same tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from . import published
from .suites import Suite
from .unseen import Leak, check


@dataclass(frozen=True)
class Cleaned:
    """``suite`` after cleaning; ``removed`` has the leaks of each seen task that was taken out."""

    suite: Suite
    removed: dict[str, list[Leak]]


def without(suite: Suite, leaks: Sequence[Leak]) -> Cleaned:
    """``suite`` without the seen tasks of ``leaks``, by whichever name they are meant."""
    removed: dict[str, list[Leak]] = {}
    for leak in leaks:
        removed.setdefault(leak.seen, []).append(leak)
    known = published.table()

    def task(name: str) -> str | None:
        return known[name].task if name in suite.seen_as else name.partition("@")[0]

    # Rows have leaks by our names, declarations by the published ones: each stands for the other.
    gone = {task(name) for name in removed} - {None}
    kept = replace(
        suite,
        seen=tuple(n for n in suite.seen if n.partition("@")[0] not in gone),
        seen_as=tuple(n for n in suite.seen_as if n not in removed and known[n].task not in gone),
        clean=(),
    )
    return Cleaned(kept, removed)


def cleaned(suite: Suite, texts: bool = True) -> Cleaned:
    """``suite`` as its ``clean`` asks: without any seen task of which the check knows a leak of
    those kinds. Without ``texts`` the rows are not read. Raises DataError."""
    leaks = check(suite, texts and not {"rows", "ngrams"}.isdisjoint(suite.clean))
    return without(suite, [leak for leak in leaks if leak.kind in suite.clean])
