"""unify train [key=value ...] [-m]

Trains one model across the seen tasks of a suite, evaluates it on the unseen ones, prints the
table, and writes runs/<name>/ (config.yaml, model/, predictions/, report.html, report.json).

  suite=sample            conf/suite: which tasks are seen and unseen
  suite.held_out=true     score the seen tasks too, on a split that they do not train on
  format=extract          generate | extract | entail
  model=tiny_encoder      conf/model: what is trained (model=hf model.name=<id or folder>)
  learner=multitask       conf/learner: how it learns
  tuning=lora             conf/tuning: what is trained of the model (learner=lora sets rates, too)
  trainer=cpu             conf/trainer: steps, device, precision
  data.batch_size=32      conf/data: mixture, rows per optimizer step
  name=first seed=0       the run's folder and seed
  task=trec shots=16      few-shot: 16 rows per label by the seed, scored on its test rows
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

from .. import processes
from ..config import Plain, compose
from ._sweep import compared, swept


def run(arguments: Sequence[str]) -> int:
    overrides = [a for a in arguments if a not in ("-m", "--multirun")]
    if len(overrides) < len(arguments):
        return many(overrides)
    origin = next((o.partition("=")[2] for o in overrides if o.startswith("from=")), None)
    config = compose("train", overrides) if origin is None else repeat(origin, overrides)
    config = processes.named(config, any(o.startswith("name=") for o in overrides))
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
    """The configuration of run ``origin``, with values (not groups) overridden. Raises ConfigError,
    UnknownName, RunError."""
    from formats.errors import ConfigError, UnknownName

    from .. import runs
    from ..config import assignments, check_origins, check_value, keys_of

    check_origins(overrides)
    config = runs.read_config(runs.find(origin))
    config["name"] = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    config["from"] = origin
    for override in overrides:
        key, equals, text = override.partition("=")
        if key not in (known := keys_of(config)):
            raise UnknownName("config key", key, known)
        if not equals:
            raise ConfigError("an override without a value", got=override, expected=f"{key}=…")
        value = assignments([f"value={text}"])[0]["value"]
        into: Any = config
        *path, last = key.split(".")
        for part in path:
            into = into[part]
        if isinstance(into[last], dict) and not isinstance(value, dict):
            raise ConfigError(
                "a repeated run keeps its sections",
                got=value,
                expected=f"values of it, as {key}.{next(iter(into[last]), '…')}=…",
                fix="to change sections, start a run without from=",
                field=key,
            )
        check_value(key, value, into[last])
        into[last] = value
    return config


def many(overrides: list[str]) -> int:
    """A sweep: every combination is a run of its own under runs/<name>/, then one table."""
    folder, reports = swept("train", overrides, job)
    if reports and by_methods(sorted(folder.glob("*/config.yaml")), folder):
        return 0
    return compared(folder, reports)


def by_methods(configs: Sequence[Path], folder: Path) -> bool:
    """Shows (and writes) methods by tasks if the runs followed the few-shot protocol."""
    from ..report.methods import of_folders, write_methods
    from ..report.tables import show

    methods = of_folders([c.parent for c in configs])
    if methods is None:
        return False
    write_methods(methods, folder)
    show(methods)
    return True


def job(config: Plain, folder: Path) -> None:
    """One run of a sweep; a refusal of ours ends this run, not the sweep."""
    from formats.errors import ConfigError, UnifyError

    try:
        if processes.several(config["trainer"]):
            raise ConfigError(
                "a sweep of runs that have several processes each",
                got=config["trainer"].get("devices"),
                expected="trainer.devices=1 in a sweep",
                fix="one unify train per run; unify table runs/* is the summary",
            )
        one(config, folder)
    except UnifyError as error:
        print(f"unify train: {folder}: {error}", file=sys.stderr)
