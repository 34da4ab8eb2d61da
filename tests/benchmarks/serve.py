"""Many clients at one service: `python tests/benchmarks/serve.py run=<run> [clients=200]`.

Starts `unify serve` as a process of its own. Every client asks, one request after the other, for
``seconds``; a few send garbage and oversized requests besides. Prints how many were answered, how
many got an honest 503, how long answers took, and whether the process lived through it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections import Counter

import httpx
import numpy as np
import psutil

TEXT = "Tobin sells oakseed, Mara sells frostcloth, and Lena sells goldfruit."
ASKS = (
    {"type": "classify", "text": TEXT, "labels": ["goldfruit", "frostcloth"], "text_b": "Mara"},
    {"type": "answer", "text": TEXT, "question": "Who sells oakseed?"},
    {"type": "tag", "text": TEXT, "types": ["person", "goods"]},
)
HOSTILE = (b"{", b"[" * 20_000, b'{"type": "classify", "text": "' + b"x" * 400_000 + b'"}', b"\xff")


async def client(
    number: int,
    session: httpx.AsyncClient,
    until: float,
    codes: Counter[str],
    times: list[float],
) -> None:
    turn = number
    while time.monotonic() < until:
        begun = time.monotonic()
        try:
            if number % 20 == 0:
                kind = {"content-type": "application/json"}
                reply = await session.post(
                    "/ask", content=HOSTILE[turn % len(HOSTILE)], headers=kind
                )
                codes[f"hostile {reply.status_code}"] += 1
            else:
                reply = await session.post("/ask", json=ASKS[turn % len(ASKS)])
                codes[str(reply.status_code)] += 1
                if reply.status_code == 200:
                    assert "answer" in reply.json()
                    times.append(time.monotonic() - begun)
                elif reply.status_code == 503:
                    await asyncio.sleep(1.0)  # as Retry-After says
        except (httpx.HTTPError, AssertionError) as error:
            codes[type(error).__name__] += 1
        turn += 1


async def load(url: str, clients: int, seconds: float) -> tuple[Counter[str], list[float]]:
    codes: Counter[str] = Counter()
    times: list[float] = []
    room = httpx.Limits(max_connections=None)  # a connection per client
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=room, verify=False) as session:
        until = time.monotonic() + seconds
        await asyncio.gather(*(client(i, session, until, codes, times) for i in range(clients)))
    return codes, times


def main() -> int:
    given = dict(a.split("=", 1) for a in sys.argv[1:])
    clients, seconds = int(given.pop("clients", 200)), float(given.pop("seconds", 20))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "unify", "serve", f"port={port}"]
    process = subprocess.Popen([*command, *(f"{k}={v}" for k, v in given.items())])
    try:
        for _ in range(1200):
            try:
                httpx.get(f"{url}/health")
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        codes, times = asyncio.run(load(url, clients, seconds))
        alive = process.poll() is None and httpx.get(f"{url}/health").status_code == 200
        memory = psutil.Process(process.pid).memory_info().rss / 2**20
        metrics = httpx.get(f"{url}/metrics").text
    finally:
        process.terminate()
        process.wait(20)
    found = dict(line.split(" ") for line in metrics.splitlines() if line[0] != "#")
    batches = max(1.0, float(found["unify_batches_total"]))
    together = float(found["unify_batched_requests_total"]) / batches
    print(json.dumps({
        "clients": clients,
        "replies": dict(sorted(codes.items())),
        "answers per second": round(len(times) / seconds, 1),
        "seconds per answer, median and 95%": [
            round(float(np.percentile(times, q)), 3) for q in (50, 95)
        ] if times else None,
        "requests per batch": round(together, 1),
        "MiB at the end": round(memory),
        "alive": alive,
    }, indent=1))  # fmt: skip
    honest = set(codes) <= {"200", "503", "hostile 400", "hostile 413", "hostile 422"}
    return 0 if alive and honest and times else 1


if __name__ == "__main__":
    sys.exit(main())
