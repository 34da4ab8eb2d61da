"""Python's garbage collector, kept from walking over what is no garbage."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def young_only() -> Iterator[None]:
    """No automatic garbage collection: each of Python's would walk over all that the libraries
    hold, again and again. Around imports it saves a fifth of them; around work as long as the
    work itself, which collects what is young by itself."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def no_last_look() -> None:
    """For a process of its own: when it ends, Python does not search all that torch and
    transformers hold for garbage, which takes a second."""
    atexit.register(gc.freeze)
