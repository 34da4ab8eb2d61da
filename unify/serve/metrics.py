"""Counts of the service in Prometheus' text form."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator

BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds


class Metrics:
    """Requests by path and status, and how long the answered ones took."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._within: Counter[float] = Counter()
        self._seconds = 0.0
        self._answered = 0

    def add(self, path: str, status: int, seconds: float) -> None:
        with self._lock:
            self._requests[path, status] += 1
            if path == "/ask" and status == 200:
                self._answered += 1
                self._seconds += seconds
                self._within.update(b for b in BOUNDS if seconds <= b)

    def text(self, waiting: int, batches: int, batched: int) -> str:
        """``waiting`` requests, ``batches`` so far and the requests in them."""
        with self._lock:
            return "\n".join(self._lines(waiting, batches, batched)) + "\n"

    def _lines(self, waiting: int, batches: int, batched: int) -> Iterator[str]:
        yield "# TYPE unify_requests_total counter"
        for (path, status), count in sorted(self._requests.items()):
            yield f'unify_requests_total{{path="{path}",status="{status}"}} {count}'
        yield "# TYPE unify_answer_seconds histogram"
        for bound in BOUNDS:
            yield f'unify_answer_seconds_bucket{{le="{bound:g}"}} {self._within[bound]}'
        yield f'unify_answer_seconds_bucket{{le="+Inf"}} {self._answered}'
        yield f"unify_answer_seconds_sum {self._seconds:.6f}"
        yield f"unify_answer_seconds_count {self._answered}"
        yield "# TYPE unify_waiting gauge"
        yield f"unify_waiting {waiting}"
        yield "# TYPE unify_batches_total counter"
        yield f"unify_batches_total {batches}"
        yield "# TYPE unify_batched_requests_total counter"
        yield f"unify_batched_requests_total {batched}"
