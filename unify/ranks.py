"""One evaluation on several processes: who computes which rows, and how all come to know them.

Every process decodes and measures all rows; what a model computes is dealt out. Processes are
those of ``torchrun``, or started by ``unify evaluate trainer.devices=N``.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import numpy as np

from .kept import Kept

T = TypeVar("T")


def _group() -> Any:
    import torch.distributed as dist

    return dist if dist.is_available() and dist.is_initialized() else None


def size() -> int:
    """How many processes evaluate together."""
    group = _group()
    return int(group.get_world_size()) if group else 1


def rank() -> int:
    """This process's number; 0 writes."""
    group = _group()
    return int(group.get_rank()) if group else 0


def shared(value: T) -> T:
    """What process 0 was given."""
    group = _group()
    if group is None:
        return value
    box = [value]
    group.broadcast_object_list(box, src=0)
    return box[0]


def gathered(value: T) -> list[T]:
    """What each process was given, in their order."""
    group = _group()
    if group is None:
        return [value]
    found: list[Any] = [None] * size()
    group.all_gather_object(found, value)
    return found


def own(rows: np.ndarray, numbers: Sequence[int]) -> list[int]:
    """Those of the feature rows ``numbers`` that this process computes; ``rows`` names each one's
    row, whose windows stay together."""
    places = {row: k for k, row in enumerate(dict.fromkeys(int(rows[i]) for i in numbers))}
    return [i for i in numbers if places[int(rows[i])] % size() == rank()]


class _Leading(Kept):
    """Process 0's file, whose rows the others are told."""

    def result(self) -> dict[str, Any] | None:
        return shared(super().result())

    def begin(self) -> list[dict[str, Any]]:
        return shared(super().begin())


class _Following(Kept):
    """Another process's: nothing is written."""

    def result(self) -> dict[str, Any] | None:
        return shared(None)

    def begin(self) -> list[dict[str, Any]]:
        return shared([])

    def rewrite(self, rows: Sequence[Mapping[str, Any]]) -> None:
        pass

    def append(self) -> AbstractContextManager[None]:
        return nullcontext()

    def finish(self, result: Mapping[str, Any]) -> None:
        pass


def kept(path: Any, rows_of: str, result_of: str) -> Kept:
    """A :class:`~unify.kept.Kept` that one process writes and all know."""
    if size() == 1:
        return Kept(path, rows_of, result_of)
    return (_Following if rank() else _Leading)(path, rows_of, result_of)


@contextmanager
def together() -> Iterator[None]:
    """Joins the processes that the environment names (RANK, WORLD_SIZE, as torchrun sets them);
    they share this machine's threads."""
    if int(os.environ.get("WORLD_SIZE", 1)) < 2:
        yield
        return
    import torch
    import torch.distributed as dist

    from .watch import watched

    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // int(os.environ["WORLD_SIZE"])))
    dist.init_process_group("gloo")
    try:
        with watched(rank(), size(), shared):
            yield
    finally:
        dist.destroy_process_group()
        torch.set_num_threads(threads)


@contextmanager
def first() -> Iterator[None]:
    """Process 0 goes first, the others behind it: what is cached is made once."""
    group = _group()
    if group and rank():
        group.barrier()
    yield
    if group and not rank():
        group.barrier()


@contextmanager
def started(count: int, arguments: Sequence[str]) -> Iterator[None]:
    """``count - 1`` more processes of ``unify <arguments>``, of which this one is the first; none
    where ``torchrun`` has started them."""
    if count < 2 or "RANK" in os.environ:
        yield
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-m", "unify", *arguments]
    others = [
        subprocess.Popen(
            command, env={**os.environ, **common, "RANK": str(k), "LOCAL_RANK": str(k)},
            stdout=subprocess.DEVNULL,
        )
        for k in range(1, count)
    ]  # fmt: skip
    before = dict(os.environ)
    os.environ.update(common, RANK="0", LOCAL_RANK="0")
    try:
        yield
        for other in others:
            other.wait()
    finally:
        os.environ.clear()
        os.environ.update(before)
        for other in others:
            if other.poll() is None:
                other.terminate()
