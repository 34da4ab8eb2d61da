"""Requests that wait, answered together by one worker thread."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any


class Full(Exception):
    """As many requests wait as may."""


@dataclass
class Job:
    """``asked`` goes to the worker's function with those of the same ``key``."""

    key: str
    asked: Any
    deadline: float
    future: Future[Any] = field(default_factory=Future)


class Batcher:
    """``answer(key, asked)`` gives one outcome per element of ``asked``, a value or an exception.

    A batch is taken as soon as ``batch`` requests of a key wait, or ``wait`` seconds after the
    first of them came. What is past its deadline, or given up by its client, is not asked.
    """

    def __init__(
        self,
        answer: Callable[[str, list[Any]], Sequence[Any]],
        *,
        room: int,
        batch: int,
        wait: float,
    ) -> None:
        self._answer, self._batch, self._wait = answer, batch, wait
        self._queue: queue.Queue[Job | None] = queue.Queue(room)
        self.sizes: list[int] = [0, 0]  # batches, and requests in them
        self._thread = threading.Thread(target=self._work, name="answers", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def submit(self, job: Job) -> Future[Any]:
        """Raises Full."""
        try:
            self._queue.put_nowait(job)
        except queue.Full:
            raise Full from None
        return job.future

    def close(self) -> None:
        """Ends the worker after what waits; whoever is still not answered gets an exception."""
        self._queue.put(None)
        self._thread.join()

    def _take(self) -> tuple[list[Job], bool]:
        """The next jobs, and whether there may be more."""
        first = self._queue.get()
        if first is None:
            return [], False
        jobs, until = [first], time.monotonic() + self._wait
        while len(jobs) < self._batch:
            left = until - time.monotonic()
            try:  # who waits already joins even when time is up
                job = self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return jobs, False
            jobs.append(job)
        return jobs, True

    def _work(self) -> None:
        more = True
        while more:
            jobs, more = self._take()
            now = time.monotonic()
            live = [j for j in jobs if j.deadline > now and j.future.set_running_or_notify_cancel()]
            for late in (j for j in jobs if j.deadline <= now):
                if not late.future.done():
                    late.future.cancel()
            for key in dict.fromkeys(j.key for j in live):
                self._together(key, [j for j in live if j.key == key])

    def _together(self, key: str, jobs: list[Job]) -> None:
        self.sizes[0] += 1
        self.sizes[1] += len(jobs)
        try:
            outcomes = list(self._answer(key, [j.asked for j in jobs]))
            assert len(outcomes) == len(jobs)
        except Exception as error:  # whatever it is, nobody may wait for ever
            outcomes = [error] * len(jobs)
        for job, outcome in zip(jobs, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                job.future.set_exception(outcome)
            else:
                job.future.set_result(outcome)
