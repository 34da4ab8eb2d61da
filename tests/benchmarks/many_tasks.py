"""A mixture of 2,000 tasks, a few of them large: time to open, time to the first batch, memory.

Writes the tasks (a YAML and a CSV file each) and their prepared rows into a temporary folder, and
opens them in a fresh process: declarations, fingerprints, feature files, rates, sampler, batches.
The rows of a large task repeat those of a small one, for what is measured reads them by number.
The process may open 1,024 files, which is what most systems allow.
Not measured: preparing rows the first time, and the leak check, which reads every row.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from memory import anonymous

OPEN, FIRST, MIB = 20.0, 5.0, 1536.0
LABELS = ["good", "bad", "fair"]


def declare(folder: Path, tasks: int) -> list[str]:
    names = []
    for n in range(tasks):
        name = f"many_{n:05d}"
        rows = "".join(f"the thing number {n} of row {i} is fine,{i % 3}\n" for i in range(20))
        (folder / f"{name}.csv").write_text("words,mark\n" + rows)
        said = {
            "type": "TextClassification", "cluster": f"many_{n // 10}", "lineage": [name],
            "source": {"path": str(folder)}, "format": "csv", "splits": {"train": f"{name}.csv"},
            "fields": {"text": "words", "label": "mark"}, "labels": dict(enumerate(LABELS)),
        }  # fmt: skip
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(said))
        names.append(name)
    return names


def backbone() -> Any:
    from unify.backbones import build
    from unify.backbones.tokenizer import train_tokenizer

    texts = [f"the thing number {n} of row {n % 20} is good bad fair fine" for n in range(500)]
    return build(
        architecture="bert", tokenizer=train_tokenizer(texts, 400, 128), format="extract",
        window=128,
        config={"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
                "intermediate_size": 32, "max_position_embeddings": 128},
    )  # fmt: skip


def settle(names: list[str], big: int, rows: int) -> None:
    """Feature files of all tasks, in the cache: ``big`` of them with ``rows`` rows."""
    from dataclasses import replace

    from formats import Extract
    from formats.store import write
    from tasks import catalogue
    from tasks.sources import cache_root
    from unify.data.prepare import Preparation, feature_rows

    preparation = Preparation(Extract(), backbone().coder, "train", train=True)
    facts: dict[str, Any] = {}
    made = list(feature_rows(catalogue.load(names[0]), preparation, facts))
    for k, name in enumerate(names):
        task = catalogue.load(name)
        key = preparation.fingerprint(task)
        path = cache_root() / "features" / f"{name}-train-{key}.arrow"
        count = rows if k < big else len(made)
        write(path, (replace(made[i % len(made)], row=i) for i in range(count)), dict(facts))


def measure(names: list[str], steps: int) -> dict[str, float]:
    """In a process of its own, after the imports."""
    import formats
    from tasks import catalogue, mixture
    from unify.data.module import MixtureData
    from unify.suite_data import features

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    model = backbone()
    before = anonymous()
    begun = now()
    tasks = [catalogue.load(name) for name in names]
    loaded = now()
    prepared = features(tasks, formats.Extract(), model.coder, "train", "opening", train=True)
    sizes = {t.name: len(t.store) for t in prepared}
    rates = mixture.capped(sizes, 1000)
    data = MixtureData(prepared, rates, model.layout, "extract", batch_size=32)
    opened = now()
    stream = iter(data.steps(lambda: 0, 0, 1))
    next(stream)
    first = now()
    most = [anonymous()]
    for _ in range(10):
        for _ in islice(stream, steps // 10):
            pass
        most.append(anonymous())
    done = now()
    marks = (("declarations", begun, loaded), ("open", begun, opened), ("first", opened, first),
             ("step", first, done))  # fmt: skip
    return {
        "rows": float(sum(sizes.values())),
        **{name: b[0] - a[0] for name, a, b in marks},
        **{f"{name} cpu": b[1] - a[1] for name, a, b in marks},
        "before": before, "opened": most[0], "after": max(most), "grown": most[-1] - most[1],
    }  # fmt: skip


def now() -> tuple[float, float]:
    """Seconds on the wall, and of this process's work: beside other jobs they differ."""
    return time.perf_counter(), time.process_time()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--big", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--phase", choices=("settle", "measure"))
    given = parser.parse_args()
    if given.phase:
        names = sorted(p.stem for p in Path(os.environ["UNIFY_TASKS"]).glob("*.yaml"))
        if given.phase == "settle":
            settle(names, given.big, given.rows)
        else:
            print(json.dumps(measure(names, given.steps)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        tasks = Path(folder) / "tasks"
        tasks.mkdir()
        declare(tasks, given.tasks)
        environment = {**os.environ, "UNIFY_TASKS": str(tasks), "UNIFY_CACHE": f"{folder}/cache"}
        for phase in ("settle", "measure"):
            done = subprocess.run(
                [sys.executable, __file__, *sys.argv[1:], f"--phase={phase}"],
                env=environment, stdout=subprocess.PIPE, text=True, check=True,
            )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"{given.tasks} tasks, {found['rows']:,.0f} rows")
    print("                       wall      CPU")
    lines = (("declarations", "declarations", None), ("open", "open, with them", OPEN),
             ("first", "first batch", FIRST))  # fmt: skip
    for name, words, bar in lines:
        told = f"  (bar {bar:g})" if bar else ""
        print(f"{words:<18} {found[name]:6.2f} s {found[name + ' cpu']:6.2f} s{told}")
    wall, cpu = (1000 * found[key] / given.steps for key in ("step", "step cpu"))
    print(f"a step's batch     {wall:6.2f} ms {cpu:5.2f} ms")
    print(
        f"anonymous memory {found['after']:6.0f} MiB at most (bar {MIB:g}; "
        f"{found['before']:.0f} before, {found['opened']:.0f} at the first batch, "
        f"{found['grown']:+.1f} in the last nine tenths of {given.steps} steps)"
    )
    met = found["open"] < OPEN and found["first"] < FIRST and found["after"] < MIB
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
