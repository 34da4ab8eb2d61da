"""Python's garbage collector, kept from walking over what is no garbage."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

_ours = False  # whether the whole process is one of ours


def own_process() -> None:
    """For a process that does one thing of ours: what :func:`lasting` made is never searched for
    garbage, nor is anything when the process ends; both take a second with torch and
    transformers."""
    global _ours
    if not _ours:
        atexit.register(gc.freeze)
    _ours = True


@contextmanager
def young_only() -> Iterator[None]:
    """No automatic garbage collection: each of Python's would walk over all that the libraries
    hold, again and again, which takes as long as the work itself. The work within collects what is
    young by itself."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextmanager
def lasting() -> Iterator[None]:
    """:func:`young_only` for what stays until the process ends: modules, and a model's weights."""
    with young_only():
        yield
        if _ours:
            gc.freeze()
