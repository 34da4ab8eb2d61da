"""Two hosts train and evaluate together; one is lost, the other leaves, both start again.

    python tests/benchmarks/two_hosts.py [--steps 400] [--folder DIR]

A host is a network namespace with one end of a cable and a torchrun of its own (this needs root and
``ip``); elsewhere both are torchruns on this machine, which the table says. The second host is lost
in the middle of training as by a power cut: its cable goes dead first, so that no closed connection
is seen, then its processes are killed. Bars: the first host leaves within a minute; the same
command on both then ends with the losses of two hosts that were left in peace, to 1e-5; the first
twenty of them are those of one process, to 1e-5 (later on roundings grow); an evaluation on both
gives the figures of one. Exits with 1 where one is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MINUTE, CLOSE = 60.0, 1e-5
RUN = (
    "suite.seen=[sample_trade_goods,sample_mining_who]", "suite.unseen=[sample_sea_state]",
    "suite.limits.train=48", "suite.limits.test=24", "trainer.threads=1", "data.batch_size=6",
    "data.validation_rows=8", "evaluation.resamples=20", "model.window=128",
    "model.config.hidden_size=32", "model.config.num_hidden_layers=2",
    "model.config.intermediate_size=48", "model.config.embedding_size=32",
)  # fmt: skip


@dataclass
class Host:
    """A place where a torchrun runs: a network namespace, or this machine (``space`` None)."""

    address: str
    first: bool  # where the processes meet
    space: str | None = None
    process: subprocess.Popen[str] | None = None

    def start(self, port: int, verb: list[str], folder: Path, log: Path) -> None:
        cable = {"GLOO_SOCKET_IFNAME": f"{self.space}-c"} if self.space else {}
        inside = ["ip", "netns", "exec", self.space] if self.space else []
        first = "10.77.0.1" if self.space else "127.0.0.1"
        self.process = subprocess.Popen(
            [*inside, sys.executable, "-m", "torch.distributed.run", "--nnodes=2",
             "--nproc_per_node=1", "--rdzv_backend=c10d", f"--rdzv_endpoint={first}:{port}",
             f"--rdzv_conf=is_host={int(self.first)}", f"--local_addr={self.address}",
             "-m", "unify", *verb],
            cwd=folder, stdout=log.open("w"), stderr=subprocess.STDOUT, text=True,
            start_new_session=True, env={**os.environ, "OMP_NUM_THREADS": "1", **cable},
        )  # fmt: skip

    def lose(self) -> None:
        """The cable first: nobody is told that the processes end."""
        assert self.process is not None
        if self.space:
            ip("-n", self.space, "link", "set", f"{self.space}-c", "down")
        for pid in self._pids():
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def _pids(self) -> list[int]:
        assert self.process is not None
        if self.space:
            return list(map(int, ip("netns", "pids", self.space).split()))
        found = subprocess.run(
            ["ps", "-o", "pid=", "-g", str(self.process.pid)], capture_output=True, text=True
        )
        return list(map(int, found.stdout.split()))


def ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def hosts() -> list[Host]:
    """Two namespaces with a cable between them, or else two names for this machine."""
    names = ("unify-a", "unify-b")
    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", f"{names[0]}-c", "netns", names[0], "type", "veth", "peer",
           "name", f"{names[1]}-c", "netns", names[1])  # fmt: skip
        found = [Host(f"10.77.0.{k}", k == 1, name) for k, name in enumerate(names, 1)]
        for host in found:
            ip("-n", str(host.space), "address", "add", f"{host.address}/24", "dev",
               f"{host.space}-c")  # fmt: skip
            plug(host)
        return found
    except (OSError, subprocess.CalledProcessError) as error:
        clean()
        print(f"no network namespaces here ({error}): two torchruns on one machine", flush=True)
        return [Host("127.0.0.1", True), Host("127.0.0.1", False)]


def plug(host: Host) -> None:
    if host.space:
        for link in ("lo", f"{host.space}-c"):
            ip("-n", host.space, "link", "set", link, "up")


def clean() -> None:
    for name in ("unify-a", "unify-b"):
        subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def together(both: list[Host], verb: list[str], folder: Path, name: str) -> None:
    port = free_port()
    for k, host in enumerate(both):
        host.start(port, verb, folder, folder / f"{name}.{k}.log")


def ended(both: list[Host], folder: Path, name: str, within: float = 300) -> None:
    until = time.monotonic() + within
    for k, host in enumerate(both):
        assert host.process is not None
        code = host.process.wait(max(1, until - time.monotonic()))
        if code:
            print((folder / f"{name}.{k}.log").read_text()[-3000:])
            raise SystemExit(f"{name}: host {k} left with {code}")


def report(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "runs" / name / "report.json").read_text())
    return found


def apart(folder: Path, name: str, other: str, steps: int | None = None) -> float:
    """The largest difference of a loss between two runs; infinite where steps differ."""
    ours, theirs = (report(folder, n)["losses"][:steps] for n in (name, other))
    if [s for s, _ in ours] != [s for s, _ in theirs]:
        return float("inf")
    return max(abs(a - b) for (_, a), (_, b) in zip(ours, theirs, strict=True))


def lose_one(both: list[Host], train: list[str], folder: Path, every: int) -> tuple[float, str]:
    """Seconds until the first host has left the lost one, and the last checkpoint."""
    together(both, train, folder, "lost")
    saved, until = folder / "runs" / "hosts" / "checkpoints", time.monotonic() + 240
    while not (saved / f"step-{every}.ckpt").exists():
        if time.monotonic() > until or any(h.process and h.process.poll() for h in both):
            print((folder / "lost.0.log").read_text()[-3000:])
            raise SystemExit("no checkpoint came")
        time.sleep(0.02)
    both[1].lose()
    begun = time.monotonic()
    assert both[0].process is not None
    try:
        both[0].process.wait(4 * MINUTE)
    except subprocess.TimeoutExpired:
        both[0].lose()
    seconds = time.monotonic() - begun
    last = max(saved.glob("step-*.ckpt"), key=lambda p: int(p.stem.partition("-")[2]))
    return seconds, last.name


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    every = max(1, given.steps // 4)
    run = [*RUN, f"trainer.max_steps={given.steps}", f"trainer.checkpoint_every={every}",
           f"trainer.val_check_interval={every}"]  # fmt: skip
    pair = ["trainer=ddp_cpu", "trainer.devices=1", "trainer.num_nodes=2", *run]
    train = ["train", "name=hosts", *pair]
    test = ["evaluate", "run=runs/hosts", "suite.unseen=[sample_sea_state]",
            "suite.limits.test=24", "evaluation.resamples=20"]  # fmt: skip
    alone = [sys.executable, "-m", "unify"]
    quiet: dict[str, Any] = {"cwd": folder, "check": True, "stdout": subprocess.DEVNULL}
    subprocess.run([*alone, "train", "name=one", *run], **quiet)
    both = hosts()
    try:
        together(both, ["train", "name=peace", *pair], folder, "peace")
        ended(both, folder, "peace")
        left, last = lose_one(both, train, folder, every)
        plug(both[1])
        begun = time.monotonic()
        together(both, train, folder, "again")
        ended(both, folder, "again")
        again, off = time.monotonic() - begun, apart(folder, "hosts", "peace")
        alike = apart(folder, "peace", "one", 20)
        together(both, [*test, "name=both"], folder, "both")
        ended(both, folder, "both")
    finally:
        for host in both:
            if host.process is not None and host.process.poll() is None:
                host.lose()
        clean()
    subprocess.run([*alone, *test, "name=lone"], **quiet)
    scores = [{k: v["value"] for k, v in report(folder, n)["unseen"].items()}
              for n in ("both", "lone")]  # fmt: skip
    place = "two network namespaces" if both[0].space else "two torchruns on one machine"
    line = next((x for x in (folder / "lost.0.log").read_text().splitlines() if "leaves;" in x), "")
    print(f"{place}, one process each, {given.steps} steps")
    print(f"the other host left after          {left:7.1f} s  (bar {MINUTE:g})")
    print(f"  {line}")
    print(f"started again from                 {last}, to its end in {again:.0f} s")
    print(f"a loss differs by at most          {off:7.1g}    (bar {CLOSE:g}) from two in peace")
    print(f"  theirs from one process's        {alike:7.1g}    (bar {CLOSE:g}), first 20 steps")
    print(f"evaluated by both, and by one      {scores[0]}  {scores[1]}")
    if given.folder is None:
        shutil.rmtree(folder)
    return 0 if left < MINUTE and max(off, alike) <= CLOSE and scores[0] == scores[1] else 1


if __name__ == "__main__":
    sys.exit(main())
