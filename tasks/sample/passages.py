"""Passages of the sample world, for tasks that plain text makes (:mod:`tasks.plain_text`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..plain_text import rows as made
from ..plain_text import sentences
from . import HELD_OUT, TASKS
from . import rows as sample_rows

_TEXTS = 3  # texts of the world that make a passage


def rows(ask: str, split: str, n: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """``n`` rows of ``ask`` over passages about one domain each, in turn; the domains that are kept
    out of training are left out."""
    flavors = ("who", "what", "state", "goods")
    plain = [t for t in TASKS if t.flavor in flavors and t.cluster not in HELD_OUT]
    streams = [sample_rows(t.name, split, _TEXTS * n, seed) for t in plain]
    found = []
    for number in range(n):
        stream = streams[number % len(streams)]
        texts = [next(stream) for _ in range(_TEXTS)]
        found.append([s for row in texts for s in sentences(row.get("text") or row["passage"])])
    for number, row in enumerate(made(found, ask, seed)):
        if number == n:
            return
        yield row
