"""A training run: suite -> features -> learner -> evaluation -> report."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from formats.errors import ConfigError, RunError
from tasks.suites import Suite

from . import backbones, build, checkpoints, processes, runs, sharded
from .callbacks import Curve, Randomness
from .data import TaskFeatures
from .devices import of_trainer
from .fitting import fit
from .origin import seen_before, start
from .prompts import protocol, recipes
from .quiet import quiet
from .report import Report, write
from .suite_data import called, data_notes, features, leak_dict, load_suite, met_notes, need_splits
from .suite_results import answerable, contacts, evaluate_suite


def limits(suite: Suite, data: Mapping[str, Any]) -> dict[str, int | None]:
    """Rows per task and split that a run reads."""
    return {"train": suite.limit("train"), "validation": data["validation_rows"]}


def train(config: Mapping[str, Any], folder: Path) -> Report:
    """Trains, evaluates, writes the run folder, and returns the report.

    ``config`` is the plain train configuration. An unfinished ``folder`` with checkpoints is
    resumed. Raises UnifyError.
    """
    import pytorch_lightning as pl

    begun = time.perf_counter()
    quiet()
    if runs.finished(folder):
        raise RunError(
            "a finished run stands here",
            file=str(folder),
            fix="give another name=…, or from=<run> to repeat it",
        )
    config = protocol.applied(config)
    if config["learner"]["name"] in recipes.RECIPES:
        return recipes.run(config, folder)
    place = of_trainer(config["trainer"])
    runs.write_config(folder, config)
    torch.set_num_threads(config["trainer"]["threads"] or torch.get_num_threads())
    pl.seed_everything(config["seed"], workers=True, verbose=False)

    format = build.build_format(config["format"])
    suite = build.build_suite(config["suite"])
    if not suite.seen:
        raise ConfigError("a suite without seen tasks", got=suite.name, fix="set suite.seen")
    data = config["data"]
    curve, guard = Curve(), build.build_guard(config["trainer"])
    saved = folder / "checkpoints"

    def trainer(parts: int) -> pl.Trainer:
        """A trainer of ``parts`` micro-batches per optimizer step."""
        step = checkpoints.step_of(next(iter(checkpoints.listed(saved)), None))
        loggers = build.build_loggers(config["logger"], folder, step)
        watched = [curve, guard, Randomness()]
        return build.build_trainer(config["trainer"], folder, loggers, watched, parts)

    trainer(data["accumulate"])  # before the data: it may refuse its settings
    before = seen_before(config)
    ready = load_suite(suite, format, allow_leaks=config["allow_leaks"], before=before)
    need_splits(ready)
    everything = (*ready.seen, *ready.unseen)
    runs.same_data(folder, everything)
    config = build.with_bounds(config, ready.seen, suite.limit("train"))
    format = build.build_format(config["format"])
    runs.write_config(folder, config)
    backbone = start(config, ready, format)
    build.tune(config.get("tuning") or {"name": "full"}, backbone, ready.seen)
    if config["trainer"].get("checkpoint_activations"):
        backbone.save_memory()
    ready.seen = answerable(backbone, format, ready.seen, ready.skipped)

    common: dict[str, Any] = {
        "train": True,
        "on_bad_row": config["on_bad_row"],
        "templates": data["templates"],
    }
    rows = limits(suite, data)
    own = {t.name: suite.train_split(t.name) for t in ready.seen}
    learner = build.build_learner(config["learner"], backbone)
    in_shares = config["trainer"].get("strategy") == "fsdp"
    if in_shares:
        sharded.refuse(learner)
    ways = [learner.ways(task, own[task.name]) for task in ready.seen]
    asked = [way for several in ways for way in several]
    splits = {
        way.name: own[task.name]
        for task, several in zip(ready.seen, ways, strict=True)
        for way in several
    }
    seen = features(
        asked,
        format,
        backbone.coder,
        splits,
        "preparing rows",
        limit=rows["train"],
        **common,
    )
    held = features(
        [first for first, *_ in ways],
        format,
        backbone.coder,
        {name: "validation" for name, split in own.items() if split != "validation"},
        "preparing validation rows",
        limit=rows["validation"],
        **common,
    )
    sizes = {t.name: len(t.store) for t in seen if t.name in own}
    kinds = {t.name: t.kind for t in ready.seen}
    rates = build.build_rates(data, sizes, kinds)
    spread = learner.spread(rates)
    stage = build.build_stage(data, rates, kinds, config["trainer"])

    def module(parts: int) -> pl.LightningDataModule:
        return learner.data(
            asked,
            seen,
            spread,
            format,
            validation=held,
            batch_size=data["batch_size"],
            parts=parts,
            bucket=data["bucket"],
            seed=config["seed"],
            stage=stage,
        )

    size = data["batch_size"]
    parts = fit(learner, trainer, module, saved, parts=data["accumulate"], batch_size=size)
    processes.alone()
    if in_shares:
        backbone = start(config, ready, format)
        build.tune(config.get("tuning") or {"name": "full"}, backbone, ready.seen)
        sharded.restore(backbone, checkpoints.newest(saved))
    runs.same_data(folder, everything)  # no score on other rows than were checked for leaks
    trained = sum(p.numel() for p in backbone.parameters() if p.requires_grad)
    backbones.save(backbone, folder / runs.MODEL)
    backbone.zero_grad(set_to_none=True)
    backbone.to(place)  # the trainer has given it back

    settings = build.build_evaluation(
        config["evaluation"],
        config["seed"],
        config["report"]["examples"],
        folder / "predictions" if config["report"]["examples"] else None,
    )
    few = build.build_few_shot(config["evaluation"], format)
    how = (backbone, ready, format, settings, config["on_bad_row"], few)
    results, prepared = evaluate_suite(*how)
    held_out, tested = evaluate_suite(*how, held_out=True)
    report = Report(
        title=f"{called(suite, 'seen')} as {format.name}",
        unseen=results,
        held_out=held_out,
        seen=[t.name for t in ready.seen],
        skipped=dict(ready.skipped),
        seconds=time.perf_counter() - begun,
        losses=curve.losses,
        validation=curve.validation,
        mixture=mixture_table(seen, spread),
        leaks=[leak_dict(leak) for leak in ready.leaks],
        allowed_leaks=bool(config["allow_leaks"]),
        contact=contacts(
            config["model"]["trained_on"],
            [*ready.unseen, *ready.held_out],
        ),
        data_notes=[
            *learner.notes(),
            *guard.notes(),
            *smaller(data["accumulate"], parts),
            *data_notes(
                {"train": seen, "validation": held, "test": [*prepared, *tested]},
                [*ready.seen, *ready.unseen],
            ),
            *met_notes(ready),
        ],
        config=(folder / runs.CONFIG).read_text(encoding="utf-8"),
        versions=runs.versions(),
        kind="train",
    )
    runs.write_facts(
        folder,
        seconds=report.seconds,
        seen=sorted({t.name for t in ready.seen} | set(before)),
        tokens=curve.tokens,
        seed=config["seed"],
        parameters=sum(p.numel() for p in backbone.parameters()),
        trained=trained,
        data={t.name: t.fingerprint() for t in (*ready.seen, *ready.unseen)},
        versions=runs.versions(),
    )
    write(report, folder, examples=config["report"]["examples"])
    return report


def smaller(asked: int, parts: int) -> list[dict[str, Any]]:
    """For the report: that memory ran out, and what came of it."""
    if parts == asked:
        return []
    line = f"memory ran out: {parts} micro-batches per optimizer step instead of {asked}"
    return [{"task": "training", "notes": [line]}]


def mixture_table(seen: Sequence[TaskFeatures], rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """Per task its rate, the share of its rows among all, and their mean length in tokens."""
    total = sum(len(t.store) for t in seen)
    return [
        {
            "task": t.name,
            "rate": rates[t.name],
            "fraction": len(t.store) / total,
            "rows": len(t.store),
            "mean_length": float(t.store.column("length").mean()),
        }
        for t in seen
    ]
