"""Progress for people: a live bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

QUIET_SECONDS = 10.0  # off a terminal, seconds between two lines


def say(text: str, end: str = "\n") -> None:
    """Prints to stderr; a log file on a full disk is no reason to stop."""
    with suppress(OSError):
        print(text, end=end, file=sys.stderr, flush=True)


class Advance(Protocol):
    """Call it with how many units were done, and a note that may have changed."""

    def __call__(self, n: int = 1, note: str = "") -> None: ...


def clock(seconds: float) -> str:
    """``75`` -> ``1:15``."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


@contextmanager
def progress(title: str, total: int, unit: str = "rows") -> Iterator[Advance]:
    """Shows ``title`` with a rate and the time left while the block runs."""
    live = sys.stderr.isatty()
    begun = last = time.monotonic()
    done = 0
    words = ""

    def line() -> str:
        spent = time.monotonic() - begun
        rate = done / spent if spent > 0 else 0.0
        left = (total - done) / rate if rate > 0 and total > done else 0.0
        tail = f", {clock(left)} left" if left else ""
        note = f"  {words}" if words else ""
        return f"{title}: {done}/{total} {unit}, {rate:.3g} {unit}/s, {clock(spent)}{tail}{note}"

    def advance(n: int = 1, note: str = "") -> None:
        nonlocal done, last, words
        done += n
        words = note or words
        now = time.monotonic()
        if live and now - last > 0.1:
            say(f"\r\x1b[2K{line()}", end="")
            last = now
        elif not live and now - last > QUIET_SECONDS:
            say(line())
            last = now

    try:
        yield advance
    finally:
        if live:
            say("\r\x1b[2K", end="")
        if time.monotonic() - begun > 2:
            say(line())
