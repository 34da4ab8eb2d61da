"""Processes that watch each other: real ones, which stop, die, fail or end well."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch.distributed

from unify import watch

FORK = multiprocessing.get_context("fork")


def one(rank: int, pipe: Any, behave: Callable[[int], None]) -> None:
    """A process that does what ``behave`` does, watched and watching."""
    watch.PATIENCE, watch.BEAT = 1.0, 0.1
    os.environ["MASTER_ADDR"] = "127.0.0.1"

    def shared(port: int) -> int:
        if rank:
            return int(pipe.recv())
        pipe.send(port)
        return port

    with watch.watched(rank, 2, shared):
        time.sleep(0.5)  # both have met
        behave(rank)


def codes(behave: Callable[[int], None]) -> list[int | None]:
    """Exit codes of two such processes; one that is stopped is killed at the end."""
    ends = FORK.Pipe()
    both = [FORK.Process(target=one, args=(rank, ends[rank], behave)) for rank in (0, 1)]
    for process in both:
        process.start()
    until = time.monotonic() + 20
    while sum(p.is_alive() for p in both) > 1 and time.monotonic() < until:
        time.sleep(0.05)
    for process in both:
        process.join(3)
        process.kill()
        process.join()
    return [p.exitcode for p in both]


def stopped(which: int) -> Callable[[int], None]:
    def behave(rank: int) -> None:
        if rank == which:
            os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(15)

    return behave


@pytest.mark.parametrize("which", [0, 1])
def test_a_process_that_falls_silent_is_left(
    which: int, capfd: pytest.CaptureFixture[str]
) -> None:
    begun = time.monotonic()
    found = codes(stopped(which))
    assert found[1 - which] == watch.LOST and found[which] == -signal.SIGKILL
    assert time.monotonic() - begun < 10
    said = capfd.readouterr().err
    assert f"no sign of life from process {which} for 1 s" in said
    assert "the same command goes on from the newest checkpoint" in said


def test_a_process_that_died_is_left(capfd: pytest.CaptureFixture[str]) -> None:
    def behave(rank: int) -> None:
        if rank == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(15)

    assert codes(behave) == [-signal.SIGKILL, watch.LOST]
    assert "process 0 is gone" in capfd.readouterr().err


def test_one_that_fails_is_left_and_keeps_its_own_error() -> None:
    def behave(rank: int) -> None:
        if rank == 1:
            raise ValueError("its own")
        time.sleep(15)

    assert codes(behave) == [watch.LOST, 1]


@pytest.mark.parametrize("slow", [0, 1])
def test_a_slow_one_may_end_later(slow: int) -> None:
    """Longer than the others' patience, but alive; and ended ones are not missed."""

    def behave(rank: int) -> None:
        if rank == slow:
            time.sleep(0.8)

    assert codes(behave) == [0, 0]


def test_those_asked_to_stop_leave_with_their_own_code() -> None:
    def behave(rank: int) -> None:
        time.sleep(0.3 * rank)
        raise SystemExit(143)

    assert codes(behave) == [143, 143]


def test_errors_of_a_lost_peer_are_told_from_others() -> None:
    peer = RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]")
    assert watch.lost(peer) and watch.lost(torch.distributed.DistNetworkError("Connection reset"))
    assert not watch.lost(RuntimeError("shapes differ")) and not watch.lost(ValueError("gloo"))
