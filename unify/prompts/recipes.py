"""A run of a few-shot method: each seen task learned by itself, scored on its held-out rows."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from formats.errors import ConfigError
from formats.examples import Example
from tasks import baselines, metrics
from tasks.metrics import Record
from tasks.subsets import SubsetRows
from tasks.suites import Suite
from tasks.task import Task

from .. import backbones, build, runs
from ..devices import KINDS, device_of, of_trainer
from ..evaluation import TaskResult
from ..learners.optim import Optimization
from ..origin import seen_before, start
from ..precision import trained_in
from ..quiet import quiet
from ..report import Report, write
from ..suite_data import data_notes, load_suite
from . import saved
from .shots import CLOSED, Budget, Method, Shots, text_of

# learner.name -> module and function of this package, imported when it runs.
RECIPES = {
    "linear_head": "methods:linear_head",
    "pet": "methods:pet",
    "ipet": "methods:ipet",
    "lm_bff": "lm_bff:lm_bff",
    "protoverb": "protoverb:protoverb",
    "kpt": "kpt:kpt",
    "weighted_words": "weighted:weighted_words",
    "ptr": "ptr:ptr",
    "autoprompt": "autoprompt:autoprompt",
    "rlprompt": "rlprompt:rlprompt",
    "found_template": "found:found_template",
    "transprompt": "transprompt:transprompt",
}  # fmt: skip
UNLABELLED = 2000  # rows at most


def method(name: str) -> Method:
    module, _, function = RECIPES[name].partition(":")
    found: Method = getattr(import_module(f".{module}", __package__), function)
    return found


def refusal(task: Task) -> str | None:
    """Why a few-shot method cannot learn ``task``, or None."""
    if not issubclass(task.type, CLOSED) or task.labels is None:
        return f"{task.type.__name__}: these methods learn one label of a closed set per row"
    return None


def unlabelled_of(task: Task, train: int, limit: int) -> list[Example]:
    """At most ``limit`` further rows of the split that the training rows come from, without their
    gold: of a few-shot subset all but its labelled texts, else those behind the first ``train``."""
    if isinstance(task.source, SubsetRows):
        known = {
            text_of(e)
            for split in ("train", "validation")
            for e in task.examples(split, on_bad_row="skip")
        }
        stream = task.source.parent.examples("train", on_bad_row="skip")
        found: Iterator[Example] = (e for e in stream if text_of(e) not in known)
    else:
        found = islice(task.examples("train", on_bad_row="skip"), train, None)
    return [replace(e, gold=None) for e in islice(found, limit)]  # type: ignore[type-var]


def rows_of(task: Task, suite: Suite, unlabelled: int) -> tuple[list[Example], ...]:
    """Training, dev, unlabelled and test rows."""
    split, test = suite.train_split(task.name), suite.eval_split(task.name)
    train = list(task.examples(split, limit=suite.limit(split), on_bad_row="skip"))
    dev: list[Example] = []
    if "validation" in task.splits() and test != "validation":
        dev = list(task.examples("validation", limit=len(train), on_bad_row="skip"))
    held = list(task.examples(test, limit=suite.limit(test), on_bad_row="skip"))
    more = unlabelled_of(task, len(train), unlabelled) if split == "train" else []
    return train, dev, more, [e for e in held if e.gold is not None]


class Scorer(Protocol):
    """Who answers a task: what a method learned, or what was read again."""

    @property
    def notes(self) -> Sequence[str]: ...

    def scores(self, examples: Sequence[Example], /) -> Tensor: ...


def measured(task: Task, learned: Scorer, rows: Sequence[Example], seed: int, resamples: int,
             folder: Path | None) -> TaskResult:  # fmt: skip
    """The task's own metric of what was learned, with its interval and the trivial methods."""
    begun = time.perf_counter()
    assert task.labels is not None
    table = learned.scores(rows)
    names = task.labels.names
    records = [
        Record(e, names[int(line.argmax())], tuple(line.tolist()), None)
        for e, line in zip(rows, table, strict=True)
    ]
    metric = metrics.metric(task.metric, task.positive)
    stats = metric.rows(records)
    low, high = metrics.bootstrap(metric, stats, n=resamples, seed=seed)
    trivial = baselines.values(metric, records, seed)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{task.name.replace('/', '_')}.jsonl").open("w") as sink:
            for r in records:
                line = {"id": r.example.id, "answer": r.answer, "gold": r.example.gold,
                        "scores": r.scores}  # fmt: skip
                sink.write(json.dumps(line, ensure_ascii=False) + "\n")
    return TaskResult(
        task.name, task.type.__name__, "cloze", metric.name, metric.reduce(stats), low, high,
        len(records), trivial, time.perf_counter() - begun, {"chosen": list(learned.notes)},
    )  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """A recipe's own settings, apart from its optimization."""

    name: str
    settings: Mapping[str, Any]
    optimization: Optimization

    @classmethod
    def of(cls, learner: Mapping[str, Any]) -> Asked:
        settings = dict(learner)
        name, given = settings.pop("name"), dict(settings.pop("optimization"))
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in given.items()
        }
        return cls(name, settings, Optimization(**values))


ROUNDED = {"32-true": False, "bf16-mixed": True}  # trainer.precision, and whether it is bf16


def one_device(trainer: Mapping[str, Any]) -> tuple[torch.device, bool]:
    """Where the methods train, and whether in mixed precision. Raises ConfigError for a trainer
    that asks for several processes, or for another precision."""
    devices = trainer.get("devices", 1)
    if devices not in (1, "1", "auto") and not (isinstance(devices, list) and len(devices) == 1):
        raise ConfigError(
            "few-shot methods train in one process", got=trainer["devices"], expected="1",
            field="trainer.devices", fix="trainer=cpu, or trainer=gpu",
        )  # fmt: skip
    if (name := str(trainer.get("accelerator", "cpu"))) not in KINDS:
        device_of(name)  # which refuses it
    device = of_trainer(trainer)
    precision = trained_in(str(trainer.get("precision", "32-true")), device.type)
    if precision not in ROUNDED:
        raise ConfigError(
            "few-shot methods train in single or mixed precision", got=precision,
            expected=", ".join([*ROUNDED, "auto"]), field="trainer.precision",
        )  # fmt: skip
    return device, ROUNDED[precision]


def run(config: Mapping[str, Any], folder: Path) -> Report:
    """What ``unify train`` does for a learner of :data:`RECIPES`. Raises UnifyError."""
    import pytorch_lightning as pl

    begun = time.perf_counter()
    quiet()
    device, mixed = one_device(config["trainer"])
    runs.write_config(folder, config)
    torch.set_num_threads(config["trainer"]["threads"] or torch.get_num_threads())
    pl.seed_everything(config["seed"], workers=True, verbose=False)
    asked = Asked.of(config["learner"])
    format = build.build_format(config["format"])
    suite = build.build_suite(config["suite"])
    before = seen_before(config)
    ready = load_suite(suite, format, allow_leaks=config["allow_leaks"], before=before)
    for task in ready.unseen:
        ready.skipped[task.name] = f"{asked.name} learns each task from its own rows"
    backbone = start(config, ready, format)
    build.tune(config.get("tuning") or {"name": "full"}, backbone, ready.seen)
    backbone.to(device)
    backbone.mixed = mixed
    results, learned_tasks, trained = [], [], 0
    met: set[str] = set(before)
    for task in ready.seen:
        reason = refusal(task)
        if reason is not None:
            ready.skipped[task.name] = reason
            continue
        limit = int(asked.settings.get("unlabelled", UNLABELLED))
        train, dev, unlabelled, test = rows_of(task, suite, limit)
        if len(train) < 2:
            raise ConfigError(
                "too few rows to learn from",
                task=task.name,
                got=len(train),
                fix="give more rows, or fewer shots",
            )
        budget = Budget(config["trainer"]["max_steps"], config["data"]["batch_size"],
                        config["seed"], asked.optimization)  # fmt: skip
        shots = Shots(task, train, dev or train, unlabelled, copy.deepcopy(backbone), budget)
        learned = method(asked.name)(shots, asked.settings)
        learned_tasks.append(task)
        met |= {task.name, *learned.met}
        trained = max(trained, learned.trained)
        place = folder / runs.MODEL
        if len(ready.seen) > 1:
            place = place / task.name.replace("/", "_")
        backbones.save(learned.backbone, place)
        assert task.labels is not None  # refusal() would have said so
        saved.write(place, learned.again, task.kind, task.labels, learned.notes, learned.extra)
        kept = folder / "predictions" if config["report"]["examples"] else None
        results.append(
            measured(task, learned, test, config["seed"], config["evaluation"]["resamples"], kept)
        )
    report = Report(
        title=f"{suite.name}: {asked.name}",
        seen=[t.name for t in learned_tasks],
        skipped=dict(ready.skipped),
        seconds=time.perf_counter() - begun,
        held_out=results,
        data_notes=data_notes({}, learned_tasks),
        config=(folder / runs.CONFIG).read_text(encoding="utf-8"),
        versions=runs.versions(),
        kind="train",
    )
    write(report, folder, examples=config["report"]["examples"])
    runs.write_facts(
        folder,
        seconds=report.seconds,
        seen=sorted(met),
        seed=config["seed"],
        parameters=sum(p.numel() for p in backbone.parameters()),
        trained=trained,
        data={t.name: t.fingerprint() for t in learned_tasks},
        versions=runs.versions(),
    )
    return report
