"""Processes that work together notice that one of them is gone, and leave instead of waiting.

A peer that dies closes its connection, which ends a collective at once in gloo. Nothing ends it
where a machine loses its power or its network, where a process is stopped, or in a backend that
only waits: half an hour, by default. So every process says every few seconds that it lives, in a
store of its own beside the collectives, and leaves where another one has been silent for
:data:`PATIENCE` seconds. Long work of one process (a checkpoint, evaluation) is no silence.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from formats.errors import RunError

from .progress import say

PATIENCE = 45.0  # seconds
BEAT = 2.0  # seconds between two signs of life
LOST = 75  # EX_TEMPFAIL of sysexits.h: start it again
_DONE = 1 << 40  # more signs of life than any process gives: it ended well

_held: list[Any] = []  # stores of this process, which others may still ask


def leave(why: str) -> None:
    """Ends this process at once, whatever its other threads wait for, with exit code LOST."""
    say(f"{why}: this process leaves; the same command goes on from the newest checkpoint")
    with suppress(OSError):
        sys.stdout.flush()
    os._exit(LOST)


def lost(error: BaseException) -> bool:
    """Whether ``error`` is a collective's that failed for another process is gone."""
    from torch.distributed import DistError

    said = str(error).lower()
    return isinstance(error, DistError) or (
        isinstance(error, RuntimeError) and ("gloo" in said or "connection closed by peer" in said)
    )


class Signs:
    """Signs of life of all processes, and when each was last heard."""

    def __init__(self, store: Any, rank: int, world: int) -> None:
        self.store, self.rank = store, rank
        self.counts = dict.fromkeys(set(range(world)) - {rank}, 0)
        self.heard = dict.fromkeys(self.counts, time.monotonic())
        self.ended = threading.Event()

    def beat(self) -> None:
        """Gives signs of life and looks for those of the others, until the end."""
        while not self.ended.wait(BEAT):
            try:
                self.store.add(str(self.rank), 1)
                for peer, before in self.counts.items():
                    count = self.store.add(str(peer), 0)
                    if count != before or count >= _DONE:
                        self.counts[peer], self.heard[peer] = count, time.monotonic()
            except RuntimeError:  # process 0 holds the store
                if not self.ended.wait(BEAT):
                    leave("process 0 is gone")

    def judge(self) -> None:
        """Leaves where one is silent, or the store itself does not answer."""
        while not self.ended.wait(BEAT):
            now = time.monotonic()
            silent = [peer for peer, last in self.heard.items() if now - last > PATIENCE]
            if silent:
                which = ", ".join(map(str, silent))
                leave(f"no sign of life from process {which} for {PATIENCE:.0f} s")

    def done(self) -> None:
        """Ends the watch and tells the others that this process needs none any more. Process 0,
        which holds the store, waits until all have said so."""
        self.ended.set()
        until = time.monotonic() + PATIENCE
        with suppress(RuntimeError):
            self.store.add(str(self.rank), _DONE)
            while self.rank == 0 and time.monotonic() < until:
                if all(self.store.add(str(peer), 0) >= _DONE for peer in self.counts):
                    break
                time.sleep(0.05)

    def failed(self, error: BaseException) -> None:
        """Ends the watch: a process that ``error`` stops falls silent, unless it was asked to
        stop; where another one is the cause, this one leaves."""
        if lost(error):
            leave(f"another process is gone ({str(error).partition('. ')[0]})")
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            self.done()
        self.ended.set()


def begin(rank: int, world: int, shared: Callable[[int], int]) -> Signs:
    """Begins to watch; ``shared`` gives every process what process 0 gives it."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    host, wait = os.environ["MASTER_ADDR"], timedelta(seconds=PATIENCE)
    store = None
    if rank == 0:
        store = TCPStore(host, 0, is_master=True, wait_for_workers=False, timeout=wait)
    port = shared(store.port if store is not None else 0)
    try:
        store = store or TCPStore(host, port, is_master=False, timeout=wait)
    except RuntimeError as error:
        raise RunError(
            f"process {rank} cannot reach process 0",
            got=f"{host}:{port}: {str(error).splitlines()[0]}",
            expected="machines that reach each other on all ports",
            fix="open the ports between them, or name the cable: GLOO_SOCKET_IFNAME, MASTER_ADDR",
        ) from None
    _held.append(store)
    signs = Signs(store, rank, world)
    for work in (signs.beat, signs.judge):
        threading.Thread(target=work, daemon=True, name="unify-watch").start()
    return signs


@contextmanager
def watched(rank: int, world: int, shared: Callable[[int], int]) -> Iterator[None]:
    """Within, this process leaves where another one is gone."""
    signs = begin(rank, world, shared)
    try:
        yield
    except BaseException as error:
        signs.failed(error)
        raise
    signs.done()
