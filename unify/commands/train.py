"""unify train [key=value ...] [-m]

Trains one model across the seen tasks of a suite, evaluates it on the unseen ones, prints the
table, and writes runs/<name>/ (config.yaml, model/, predictions/, report.html, report.json).

  suite=sample            conf/suite: which tasks are seen and unseen
  suite.held_out=true     score the seen tasks too, on a split that they do not train on
  format=extract          generate | extract | entail
  model=tiny_encoder      conf/model: what is trained (model=hf model.name=<id or folder>)
  learner=multitask       conf/learner: how it learns
  trainer=cpu             conf/trainer: steps, device, precision
  data.batch_size=32      conf/data: mixture, rows per optimizer step
  name=first seed=0       the run's folder and seed
  init=<run>              start from another run's weights
  from=<run>              repeat a run with its own configuration
  allow_leaks=true        train although unseen tasks leak (the report says so)
  -m format=generate,extract,entail    several runs, one comparison
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ..config import Plain, compose, sweep


def run(arguments: Sequence[str]) -> int:
    overrides = [a for a in arguments if a not in ("-m", "--multirun")]
    if len(overrides) < len(arguments):
        return many(overrides)
    origin = next((o.partition("=")[2] for o in overrides if o.startswith("from=")), None)
    config = repeat(origin, overrides) if origin else compose("train", overrides)
    one(config, Path("runs") / str(config["name"]))
    return 0


def one(config: Plain, folder: Path) -> Any:
    """One run, its table and where its report lies."""
    from ..report import show
    from ..train import train

    report = train(config, folder)
    show(report)
    print(f"\nreport: {folder / 'report.html'}")
    return report


def repeat(origin: str, overrides: Sequence[str]) -> Plain:
    """The configuration of run ``origin``, with values (not groups) overridden."""
    from formats.errors import UnknownName

    from .. import runs
    from ..config import assignments, keys_of

    config = runs.read_config(runs.find(origin))
    config["name"] = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    config["from"] = origin
    known = keys_of(config)
    for override in overrides:
        values, _ = assignments([override])
        key = override.partition("=")[0]
        if key not in known:
            raise UnknownName("config key", key, known)
        into: Any = config
        *path, last = key.split(".")
        value: Any = values
        for part in path:
            into, value = into[part], value[part]
        into[last] = value[last]
    return config


def many(overrides: list[str]) -> int:
    """A sweep: every combination is a run of its own under runs/<name>/, then one table."""
    from ..report import Comparison, read_json, show, write_comparison

    given = next((o.partition("=")[2] for o in overrides if o.startswith("name=")), None)
    name = given or datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    if given is None:
        overrides = [*overrides, f"name={name}"]
    sweep("train", overrides, job)
    folder = Path("runs") / name
    swept = [o.partition("=")[0] for o in overrides if "," in o.partition("=")[2]]
    reports = {}
    for path in sorted(folder.glob("*/report.json"), key=lambda p: int(p.parent.name)):
        reports[label(path.parent, swept)] = read_json(path)
    if not reports:
        print("no run of the sweep finished", file=sys.stderr)
        return 1
    comparison = Comparison.of(name, reports)
    write_comparison(comparison, folder)
    show(comparison)
    print(f"\nreport: {folder / 'report.html'}")
    return 0


def job(config: Plain, folder: Path) -> None:
    """One run of a sweep; a refusal of ours ends this run, not the sweep."""
    from formats.errors import UnifyError

    try:
        one(config, folder)
    except UnifyError as error:
        print(f"unify train: {folder}: {error}", file=sys.stderr)


def label(folder: Path, swept: Sequence[str]) -> str:
    """The values of the swept keys, as this run had them."""
    from .. import runs

    config = runs.read_config(folder)
    parts = []
    for key in swept:
        value: Any = config
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, dict):
            value = value.get("name") or value.get("architecture")
        parts.append(str(value))
    return ", ".join(parts) or folder.name
