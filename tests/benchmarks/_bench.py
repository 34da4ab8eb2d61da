"""What the benchmarks share: interleaved timing, small tables, the machine, and the exit code."""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Figures:
    """Repeated measurements of one thing."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def high(self) -> float:
        return max(self.values)

    def show(self, digits: int = 2) -> str:
        """``median (low-high)``."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}-{self.high:.{digits}f})"

    def over(self, other: Figures) -> Figures:
        """Ratios of measurements that were taken side by side."""
        return Figures(tuple(a / b for a, b in zip(self.values, other.values, strict=True)))

    def less(self, other: Figures) -> Figures:
        """Differences of measurements that were taken side by side."""
        return Figures(tuple(a - b for a, b in zip(self.values, other.values, strict=True)))

    def plain(self) -> dict[str, float]:
        return {"median": self.median, "min": self.low, "max": self.high}


def seconds(call: Callable[[], Any]) -> float:
    """Wall-clock seconds of one call, with the garbage of others collected before."""
    gc.collect()
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def side_by_side(calls: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, Figures]:
    """What each of ``calls`` measures, ``repeats`` times, taking turns (A, B, then B, A …)."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    order = list(calls)
    for _ in range(repeats):
        for name in order:
            found[name].append(calls[name]())
        order.reverse()
    return {name: Figures(tuple(values)) for name, values in found.items()}


@dataclass(frozen=True)
class Trained:
    """A finished ``unify train``: its report, and what it took from Python's start to its end."""

    report: Mapping[str, Any]
    seconds: float  # by the clock
    cpu: float  # seconds of all cores together: other jobs on the machine change it little


def train(name: str, overrides: Sequence[str], folder: Path) -> Trained:
    """Runs ``unify train name=<name> <overrides>`` as a process of its own; the run's folder is
    ``folder/runs/<name>``. Exits with its output where it fails."""
    arguments = [f"name={name}", *overrides]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "unify", "train", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seconds, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"unify train {' '.join(arguments)} failed:\n{done.stdout}")
    report = json.loads((folder / "runs" / name / "report.json").read_text(encoding="utf-8"))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Trained(report, seconds, cpu)


def machine() -> str:
    """Cores, processor and versions, in one line."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = os.getloadavg()[0]
    packages = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("torch", "transformers", "tokenizers")
    )
    python = platform.python_version()
    return f"{cores} cores, {model}, load {load:.1f}, python {python}, {packages}"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns of equal width; the first one flush left."""
    cells = [list(map(str, head)), *([str(c) for c in row] for row in rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(head))]
    lines = [
        "  ".join(
            c.ljust(w) if k == 0 else c.rjust(w)
            for k, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def parser(text: str | None) -> argparse.ArgumentParser:
    """Arguments with ``--json``; ``text`` is the module's own first line."""
    made = argparse.ArgumentParser(description=(text or "").strip().splitlines()[0])
    made.add_argument("--json", type=Path, help="write the figures to this file too")
    return made


def finish(
    name: str, figures: Any, missed: Sequence[str], out: Path | None, note: str = ""
) -> None:
    """Prints the machine and the verdict, writes ``out``, and exits: 0 only when no bar is
    missed."""
    here = machine()
    print(f"\n{here}")
    for line in missed:
        print(f"missed: {line}")
    if not missed:
        print(f"{name}: the bar is met" + (f" ({note})" if note else ""))
    if out is not None:
        result = {"benchmark": name, "machine": here, "missed": list(missed), "figures": figures}
        out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    sys.exit(1 if missed else 0)
