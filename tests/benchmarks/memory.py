"""Memory of opening a suite, preparing, training batches and evaluating, for N and 10 N rows.

What counts is anonymous memory (/proc/self/smaps_rollup): what a process holds for itself. Pages
of memory-mapped files are the system's cache and are not counted. Each size runs in a process of
its own, with an empty cache; per phase the largest value seen is kept. The C library is told to
give large blocks back at once (MALLOC_MMAP_THRESHOLD_), so that what it keeps is not counted.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from _bench import finish, parser, table

SEEN = ("sample_craft_state", "sample_farming_goods_card", "sample_mining_kinds")
UNSEEN = ("sample_sea_state",)
PHASES = ("open", "prepare", "batches", "evaluate")
SHARE, MEGABYTES = 0.10, 30.0


def anonymous() -> float:
    """Anonymous memory of this process in MB."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no Anonymous line in smaps_rollup")


class Peaks:
    """The largest value per phase, read every 50 ms."""

    def __init__(self) -> None:
        self.found: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        done = threading.Event()
        seen = [anonymous()]

        def watch() -> None:
            while not done.wait(0.05):
                seen.append(anonymous())

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            gc.collect()
            done.set()
            thread.join()
            self.found[name] = max(*seen, anonymous())


def declare(folder: Path, rows: int) -> tuple[list[str], list[str]]:
    """Task files of sample tasks with ``rows`` training rows in all and as many to evaluate."""
    from tasks import catalogue

    known = catalogue.declarations()
    new: tuple[list[str], list[str]] = ([], [])
    for names, into in ((SEEN, new[0]), (UNSEEN, new[1])):
        for name in names:
            raw: dict[str, Any] = json.loads(json.dumps(known[name].raw))
            each = rows // len(names)
            raw["splits"] = {"train": each, "test": each}
            into.append(f"grown_{name}")
            (folder / f"grown_{name}.yaml").write_text(yaml.safe_dump(raw, allow_unicode=True))
    return new


def child(rows: int, format: str, batches: int, evaluated: int) -> dict[str, float]:
    """The phases' peaks in this process."""
    from pytorch_lightning import Trainer

    from formats import FORMATS
    from tasks import mixture
    from tasks.suites import Suite
    from unify import build
    from unify.config import compose
    from unify.data import MixtureData, Preparation
    from unify.data.module import StepBatches
    from unify.evaluation import Evaluation, evaluate_task
    from unify.quiet import quiet
    from unify.suite_data import features, load_suite

    quiet()
    asked = FORMATS[format]()
    config = compose("train", [f"format={format}"])
    seen, unseen = declare(Path(os.environ["UNIFY_TASKS"]), rows)
    suite = Suite("grown", tuple(seen), tuple(unseen))
    # What is loaded once, whatever the number of rows: libraries, the model, the tokenizer.
    backbone = build.build_backbone(config["model"], asked, Suite("small", SEEN[:1], ()))
    Trainer(logger=False, enable_checkpointing=False, barebones=True)
    peaks = Peaks()
    with peaks.phase("open"):
        ready = load_suite(suite, asked)
    with peaks.phase("prepare"):
        stores = features(ready.seen, asked, backbone.coder, "train", "preparing", train=True)
        test = features(ready.unseen, asked, backbone.coder, "test", "preparing", limit=evaluated)
    with peaks.phase("batches"):
        rates = mixture.proportional({t.name: len(t.store) for t in stores})
        data = MixtureData(stores, rates, backbone.layout, format)
        for batch in islice(
            StepBatches(data.plan, data.train, data.layout, data.format, lambda: 0), batches
        ):
            assert batch.weight
    with peaks.phase("evaluate"):
        task = ready.unseen[0]
        preparation = Preparation(asked, backbone.coder, "test", limit=evaluated)
        with tempfile.TemporaryDirectory() as folder:
            settings = Evaluation(resamples=100, predictions=Path(folder))
            result = evaluate_task(backbone, task, preparation, test[0].store, settings)
    assert result.rows == min(rows, evaluated)
    return peaks.found


def measure(options: argparse.Namespace, rows: int) -> dict[str, float]:
    """A child's figures."""
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as declared:
        environment = {
            **os.environ,
            "UNIFY_CACHE": cache,
            "UNIFY_TASKS": declared,
            "HF_DATASETS_CACHE": cache,
            "OMP_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "2",
            "MALLOC_MMAP_THRESHOLD_": "131072",
            "MALLOC_TRIM_THRESHOLD_": "131072",
        }
        arguments = [
            "--child",
            str(rows),
            "--format",
            options.format,
            "--batches",
            str(options.batches),
            "--evaluate",
            str(rows * options.evaluate),
        ]
        done = subprocess.run(
            [sys.executable, __file__, *arguments],
            env=environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, default=5000)
    arguments.add_argument("--format", default="extract")
    arguments.add_argument("--batches", type=int, default=200, help="training steps")
    arguments.add_argument(
        "--evaluate", type=int, default=1, help="1: as many rows are evaluated; 0: none is"
    )
    arguments.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.child:
        found = child(options.child, options.format, options.batches, options.evaluate)
        print(json.dumps(found))
        return
    small, large = measure(options, options.rows), measure(options, 10 * options.rows)
    rows, missed = [], []
    for phase in PHASES:
        growth = large[phase] - small[phase]
        share = growth / small[phase]
        rows.append(
            [phase, f"{small[phase]:.0f}", f"{large[phase]:.0f}", f"{growth:+.0f}", f"{share:+.1%}"]
        )
        if growth >= MEGABYTES and share >= SHARE:
            missed.append(f"{phase}: {growth:+.0f} MB for ten times the rows")
    head = ["peak MB", f"{options.rows} rows", f"{10 * options.rows} rows", "growth", "share"]
    print(table(head, rows))
    figures = {"rows": options.rows, "small": small, "large": large, "format": options.format}
    bar = f"growth < {SHARE:.0%} or < {MEGABYTES:g} MB"
    finish("memory", figures, missed, options.json, bar)


if __name__ == "__main__":
    main()
