"""A saved run, or a model from elsewhere, on a suite it was not trained for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from formats.base import Format
from formats.errors import ConfigError, UnknownName
from tasks.suites import Suite

from . import build, ranks, runs
from .backbones import Backbone
from .devices import of_trainer
from .precision import numbers_of, round_weights
from .quiet import quiet
from .report import Report, write
from .study import check, study, write_study
from .suite_data import called, data_notes, leak_dict, load_suite, met_notes, need_splits
from .suite_results import contacts, evaluate_suite

TRAINER = ("devices", "accelerator", "precision")
WINDOW = 4096  # tokens that a pretrained model reads at most, where nothing else is said

Asked = tuple[Backbone, Format, Suite, str]


def in_full(config: Mapping[str, Any]) -> dict[str, Any]:
    """``config`` with as large a window as its pretrained model has: the model's files name one
    that is made for training."""
    model = config.get("model")
    if not model or model["source"] != "pretrained":
        return dict(config)
    return {**config, "model": {**model, "window": WINDOW}}


def _of_run(config: Mapping[str, Any], suite: Suite) -> Asked:
    """A saved run, and the suite with what the run was trained on as its seen tasks."""
    if not config["run"]:
        raise ConfigError(
            "run is not set",
            expected="run=…, or model=hf model.name=…",
            fix="add it to the command",
        )
    if config.get("format"):
        raise ConfigError(
            "a run has its own format", got=config["format"]["name"], fix="leave format= out"
        )
    backbone, format, trained, origin = runs.load_run(config["run"])
    return backbone, format, behind(suite, trained, origin), origin.name


def behind(suite: Suite, trained: Mapping[str, Any], origin: Path) -> Suite:
    """``suite`` with what the run ``origin`` (its configuration: ``trained``) was trained on as its
    seen tasks."""
    earlier = build.build_suite(trained.get("suite", {}))
    limits = {**earlier.limits, **suite.limits}
    seen = runs.seen_tasks(origin)
    return replace(suite, seen=seen, limits=limits, train=earlier.train, clean=(), seen_as=())


def _of_model(config: Mapping[str, Any], suite: Suite) -> Asked:
    """The ``model`` section's model as it is, and the suite without seen tasks."""
    if suite.held_out:
        raise ConfigError(
            "held-out rows of tasks that a model from elsewhere was never trained on",
            fix="suite.held_out=false",
        )
    format = build.build_format(config.get("format") or {"name": "generate"})
    torch.manual_seed(config["seed"])  # weights that are built, and heads that are new
    backbone = build.build_backbone(config["model"], format, suite)
    name = config["model"]["name"] or config["model"]["architecture"]
    return backbone, format, replace(suite, seen=(), clean=(), seen_as=()), Path(name).name


def _asked(config: Mapping[str, Any], backbone: Backbone, format: Format) -> dict[str, Any]:
    """The ``evaluation`` section; ``chat: auto`` becomes turns for a chat model from elsewhere."""
    section = dict(config["evaluation"])
    tokenizer = backbone.coder.tokenizer
    talks = getattr(tokenizer, "chat_template", None) is not None
    suits = backbone.layout.kind == "causal" and format.name == "generate"
    if section.get("chat") == "auto":
        plain = section.get("rule") not in ("channel", "perplexity")
        fits = config.get("model") and talks and suits and plain
        section["chat"] = "turns" if fits and section["direction"] == "direct" else "off"
    return section


def _refuse_other(folder: Path) -> None:
    """Raises ConfigError where ``folder`` is no evaluation's: its configuration would be lost."""
    if (folder / runs.CONFIG).exists() and "run" not in runs.read_config(folder):
        raise ConfigError(
            "a folder that another kind of run lies in",
            got=str(folder),
            expected="a new folder, or that of an evaluation to continue",
            fix="give another name=…",
            field="name",
        )


def _whole(what: str, trainer: Mapping[str, Any]) -> ConfigError:
    return ConfigError(what, got=trainer["precision"], expected="32-true",
                       field="trainer.precision")  # fmt: skip


def evaluate(config: Mapping[str, Any], folder: Path) -> Report:
    """As :func:`evaluate_here`, by all processes that the environment names together; the first
    of them writes."""
    for key in config.get("trainer") or {}:
        if key not in TRAINER:
            raise UnknownName("trainer setting", key, TRAINER, field=f"trainer.{key}")
    with ranks.together():
        return evaluate_here(config, folder)


def evaluate_here(config: Mapping[str, Any], folder: Path) -> Report:
    """Scores of ``config['run']`` or ``config['model']`` on the suite's unseen tasks; writes
    ``folder``.

    The leak check is against what the run was trained on, not against the suite's seen tasks; of
    a model from elsewhere nothing is known but ``model.trained_on``. Raises ConfigError.
    """
    begun = time.perf_counter()
    quiet()
    if config["run"] and config.get("model"):
        raise ConfigError("both a run and a model", got=config["run"], fix="leave one of them out")
    _refuse_other(folder)
    trainer = config.get("trainer") or {}
    place, numbers = of_trainer(trainer), numbers_of(str(trainer.get("precision", "32-true")))
    if config["run"] and runs.few_shot(runs.find(config["run"])):
        from .prompts.again import evaluate as again

        if numbers != torch.float32:
            raise _whole("a few-shot method's model is asked in single precision", trainer)
        return again(config, folder, place)
    asked = build.build_suite(config["suite"])
    backbone, format, suite, name = (_of_model if config.get("model") else _of_run)(config, asked)
    backbone.to(place)
    round_weights(backbone, numbers)
    with ranks.first():
        ready = load_suite(suite, format, allow_leaks=config["allow_leaks"])
        if ranks.rank() == 0:
            runs.write_config(folder, config)
    need_splits(ready)
    examples = config["report"]["examples"]
    section = _asked(config, backbone, format)
    settings = build.build_evaluation(
        section,
        config["seed"],
        examples,
        folder / "predictions" if examples else None,
    )
    few = build.build_few_shot(section, format)
    if few is not None and few.steps and numbers != torch.float32:
        raise _whole("gradient steps on rounded weights, most of which would not move", trainer)
    if section.get("study"):
        check(section["study"], few)
    settings.ranking.refuse(backbone, format, few.shots if few else (0,))
    for side in (ready.unseen, ready.seen):
        for task in list(side):
            reason = settings.ranking.refusal(task) or (few.refusal(task) if few else None)
            if reason is not None:
                side.remove(task)
                if side is ready.unseen or suite.held_out:
                    ready.skipped[task.name] = reason
    how = (backbone, ready, format, settings, config["on_bad_row"], few)
    results, prepared = evaluate_suite(*how)
    held_out, tested = evaluate_suite(*how, held_out=True)
    report = Report(
        title=f"{name} on {called(suite, 'unseen')}, as {format.name}",
        unseen=results,
        held_out=held_out,
        seen=[t.name for t in ready.seen],
        skipped=dict(ready.skipped),
        seconds=time.perf_counter() - begun,
        leaks=[leak_dict(leak) for leak in ready.leaks],
        allowed_leaks=bool(config["allow_leaks"]),
        contact=contacts(
            (config.get("model") or {}).get("trained_on", ()),
            [*ready.unseen, *ready.held_out],
        ),
        data_notes=[
            *([{"notes": f"computed on {place}, {trainer.get('precision', '32-true')}"}]
              if place.type != "cpu" or numbers != torch.float32 else []),
            *([{"notes": f"asked in the model's chat template: {few.chat}"}]
              if few and few.chat != "off" else []),
            *data_notes(
                {"test": [*prepared, *tested]},
                [*ready.unseen, *ready.held_out],
            ),
            *met_notes(ready),
        ],
        config=(folder / runs.CONFIG).read_text(encoding="utf-8"),
        versions=runs.versions(),
        kind="evaluate",
    )
    if ranks.rank():
        return report
    write(report, folder, examples=examples)
    if section.get("study"):
        assert few is not None
        write_study(study(section["study"], few, results), folder)
    return report
