"""From configuration to objects. The one place where configuration touches code."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import formats
from formats.base import Format
from formats.errors import ConfigError, UnknownName
from tasks import mixture

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from tasks.suites import Suite
    from tasks.task import Task

    from .backbones import Backbone
    from .evaluation import Evaluation
    from .few_shot import FewShot
    from .guard import Guard
    from .learners import Multitask

Config = Mapping[str, Any]


def _known(cls: Callable[..., Any], given: Mapping[str, Any], where: str) -> dict[str, Any]:
    fields = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in given:
        if key not in fields:
            raise UnknownName("setting", key, fields, field=where)
    return {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}


SEEN_BOUNDS = "seen"


def with_bounds(config: Config, seen: Sequence[Task], limit: int | None) -> dict[str, Any]:
    """``config`` with what ``format.bounds: seen`` stands for: the lengths of answer spans in the
    training rows (``limit`` per task at most) of the ``seen`` tasks; ``seen 0.99`` covers so many
    of the spans. Raises ConfigError."""
    settings = dict(config["format"])
    if _to_learn(settings):
        from tasks.span_statistics import span_bounds

        share = settings["bounds"].removeprefix(SEEN_BOUNDS).strip() or "1"
        try:
            quantile = float(share)
        except ValueError:
            raise ConfigError(
                "bounds that cannot be read",
                got=settings["bounds"],
                expected="seen, or seen 0.99",
                field="format.bounds",
            ) from None
        settings["bounds"] = span_bounds(seen, quantile=quantile, limit=limit)
    return {**config, "format": settings}


def _to_learn(settings: Config) -> bool:
    bounds = settings.get("bounds")
    return isinstance(bounds, str) and bounds.startswith(SEEN_BOUNDS)


def build_format(config: Config) -> Format:
    """``{name: entail, max_words: 4}`` -> ``Entail(max_words=4)``."""
    settings = dict(config)
    name = settings.pop("name")
    if _to_learn(settings):
        del settings["bounds"]  # which come with the seen rows
    if name not in formats.FORMATS:
        raise UnknownName("format", name, formats.FORMATS)
    cls = formats.FORMATS[name]
    return cls(**_known(cls, settings, f"format.{name}"))


def format_config(format: Format) -> dict[str, Any]:
    """The plain values that :func:`build_format` reads."""
    return {"name": format.name, **dataclasses.asdict(format)}  # type: ignore[call-overload]


def build_backbone(config: Config, format: Format, suite: Suite) -> Backbone:
    """A backbone from the ``model`` section; ``suite`` gives the texts that a tokenizer is trained
    on when the model is built here rather than loaded."""
    from . import backbones

    common = {
        "format": format.name,
        "head": config["head"],
        "window": config["window"],
        "head_options": config["head_options"],
        "max_target": config["max_target"],
    }
    if config["source"] == "pretrained":
        return backbones.load_pretrained(config["name"], revision=config.get("revision"), **common)
    tokenizer = suite_tokenizer(config, suite)
    return backbones.build(
        architecture=config["architecture"],
        config=config["config"],
        tokenizer=tokenizer,
        init=config["init"],
        **common,
    )


def build_tokenizer(config: Config, suite: Suite) -> Any:
    """The tokenizer of the ``model`` section alone, without the model."""
    if config["source"] == "pretrained":
        from transformers import AutoTokenizer

        from .backbones.factory import located

        return AutoTokenizer.from_pretrained(
            located(config["name"]), revision=config.get("revision"), trust_remote_code=False
        )
    return suite_tokenizer(config, suite)


TOKENIZER_TEXTS = 100_000  # at most so many texts train a tokenizer


def suite_tokenizer(config: Config, suite: Suite) -> Any:
    """A suite's tokenizer, trained once and kept in the cache."""
    import hashlib
    import tempfile

    from transformers import PreTrainedTokenizerFast

    from tasks.sources import cache_root

    from .backbones import tokenizer as module
    from .suite_data import suite_key, suite_texts

    size, window = config["tokenizer"]["vocab_size"], config["window"]
    facts = (suite_key(suite), size, window, inspect.getsource(module))
    digest = hashlib.sha256(repr(facts).encode()).hexdigest()[:20]
    folder = cache_root() / "tokenizers" / digest
    if not (folder / "tokenizer.json").exists():
        made = module.train_tokenizer(suite_texts(suite, TOKENIZER_TEXTS), size, window)
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=folder.parent))
        made.save_pretrained(beside)
        with contextlib.suppress(OSError):  # another process may have been first
            beside.rename(folder)
    return PreTrainedTokenizerFast.from_pretrained(folder)


def build_learner(config: Config, backbone: Backbone) -> Multitask:
    """A learner by name; a dotted path names one from elsewhere."""
    from .learners import LEARNERS, Optimization

    settings = dict(config)
    name = settings.pop("name")
    optimization = dict(settings.pop("optimization"))
    optimum = Optimization(**_known(Optimization, optimization, "learner.optimization"))
    if name not in LEARNERS:
        raise UnknownName("learner", name, LEARNERS)
    return LEARNERS[name](backbone, optimum, **settings)  # type: ignore[no-any-return]


def tune(config: Config, backbone: Backbone, seen: Sequence[Task]) -> None:
    """Makes ``backbone`` (in place) what the ``tuning`` section asks for: most of it frozen, small
    parts trained. A prompt that begins as words and names none begins as the labels of ``seen``; a
    structural one has their names and domains as values."""
    from .tuning import attach

    settings = dict(config)
    if settings.get("init") == "words" and not settings["words"]:
        labels = [n for t in seen if t.labels for n in t.labels.names]
        settings["words"] = list(dict.fromkeys(labels))
    if "values" in settings:
        about = [t.prompt.about for t in seen]
        own = {name: [a[name] for a in about if a.get(name)] for name in ("task", "domain")}
        found = {name.title(): list(dict.fromkeys(values)) for name, values in own.items()}
        settings["values"] = {**found, **(settings["values"] or {})}
    attach(backbone, settings)


def build_suite(config: Config) -> Suite:
    """The ``suite`` section; its selectors (names, globs, clusters) become task names."""
    from tasks import suites

    settings = dict(config)
    name = settings.pop("name", None) or "suite"
    try:
        return suites.made(name, settings)
    except UnknownName as error:
        raise error.at(field="suite") from None


def build_rates(
    config: Config, sizes: Mapping[str, int], kinds: Mapping[str, str]
) -> mixture.Rates:
    """The tasks' shares of the draws; ``sizes`` counts rows per task, ``kinds`` names its type."""
    kind = config["rates"]
    if kind == "types":
        return mixture.by_group(mixture.capped(sizes, config["cap"]), kinds)
    if isinstance(kind, Mapping):
        return mixture.explicit(sizes, dict(kind))
    if kind == "proportional":
        return mixture.proportional(sizes)
    if kind == "capped":
        return mixture.capped(sizes, config["cap"])
    if kind == "temperature":
        return mixture.temperature(sizes, config["temperature"], config["cap"])
    raise UnknownName("mixture", str(kind), ("proportional", "capped", "temperature", "types"))


def build_stage(
    config: Config, rates: mixture.Rates, kinds: Mapping[str, str], trainer: Config
) -> tuple[int, mixture.Rates] | None:
    """The first stage of training, if ``data.first`` asks for one: its number of optimizer steps,
    and the rates of the task types that it is made of."""
    first = config["first"]
    if not first["types"]:
        return None
    chosen = {n: r for n, r in rates.items() if kinds[n] in first["types"]}
    if not chosen:
        return None
    return round(first["share"] * trainer["max_steps"]), mixture.normalised(chosen)


def build_evaluation(config: Config, seed: int, examples: int, folder: Path | None) -> Evaluation:
    from .evaluation import Evaluation
    from .ranking import Ranking

    ranked = {f.name: config[f.name] for f in dataclasses.fields(Ranking) if f.name in config}

    return Evaluation(
        tokens=config["tokens"],
        resamples=config["resamples"],
        seed=seed,
        examples=examples,
        predictions=folder,
        shared=config.get("shared", True),
        metrics=tuple(config.get("metrics") or ()),
        cache=Path(config["cache"]) if config.get("cache") else None,
        ranking=Ranking(**ranked),
    )


def build_few_shot(config: Config, format: Format) -> FewShot | None:
    """The k-shot part of the ``evaluation`` section; None where it asks for zero-shot alone."""
    from .few_shot import FewShot

    fields = [f.name for f in dataclasses.fields(FewShot)]
    asked = {k: config[k] for k in fields if k in config}
    if asked.get("chat") == "auto":  # a model from elsewhere decided before
        asked["chat"] = "off"
    if config.get("rule") == "channel":
        asked["direction"] = "channel"
    few = FewShot(**_known(FewShot, asked, "evaluation"))
    if few.plain:
        return None
    if format.name != "generate":
        raise ConfigError(
            "demonstrations in another format",
            got=format.name,
            expected="generate: a model=hf with format=generate, or a run that was trained so",
            fix="leave the demonstrations out: evaluation.shots=[0]",
        )
    return few


def build_loggers(config: Config, folder: Path, step: int = 0) -> list[Any]:
    """The loggers of a run that goes on behind ``step``."""
    from pytorch_lightning.loggers import TensorBoardLogger

    from .metrics_log import MetricsLog

    loggers: list[Any] = []
    if config["csv"]:
        loggers.append(MetricsLog(folder / "logs" / "metrics.csv"))
    if config["tensorboard"]:
        purge: dict[str, Any] = {"purge_step": step} if step else {}
        loggers.append(TensorBoardLogger(str(folder), name="tensorboard", version="", **purge))
    return loggers


# What the ``trainer`` section says beside the arguments of Lightning's trainer.
OWN_TRAINER = (
    "early_stopping", "checkpoint_every", "keep_checkpoints", "val_check_interval", "threads",
    "on_bad_loss", "explode", "checkpoint_activations",
)  # fmt: skip


def build_guard(config: Config) -> Guard:
    """What watches the loss, from the ``trainer`` section."""
    from .guard import Guard

    return Guard(config.get("on_bad_loss", "raise"), config.get("explode", 100.0))


def build_trainer(
    config: Config,
    folder: Path,
    loggers: Sequence[Any],
    callbacks: Sequence[pl.Callback],
    accumulate: int,
) -> pl.Trainer:
    """A Lightning trainer that counts optimizer steps; checkpoints go to ``folder``."""
    import pytorch_lightning as pl
    from lightning_fabric.utilities.exceptions import MisconfigurationException
    from pytorch_lightning.callbacks import EarlyStopping

    from .callbacks import Watch
    from .checkpoints import WholeCheckpoints
    from .precision import trained_in
    from .saver import Saver

    more: list[pl.Callback] = [Watch()]
    every = config["val_check_interval"]
    if config["early_stopping"]:
        if not every:
            raise ConfigError(
                "early stopping without validation", fix="set trainer.val_check_interval"
            )
        more.append(EarlyStopping("val/loss", patience=config["early_stopping"]))
    # The last one: what it saves is what the others leave behind a step.
    keep = config.get("keep_checkpoints", 2)
    more.append(Saver(folder / "checkpoints", config["checkpoint_every"], keep))
    kwargs = {k: v for k, v in config.items() if k not in OWN_TRAINER}
    if "precision" in kwargs:
        accelerator = str(kwargs.get("accelerator", "auto"))
        kwargs["precision"] = trained_in(kwargs["precision"], accelerator)
    if kwargs.get("strategy") == "fsdp":
        from .sharded import Sharded

        kwargs["strategy"] = Sharded()
    kwargs["plugins"] = [*(kwargs.get("plugins") or ()), WholeCheckpoints()]
    known = inspect.signature(pl.Trainer.__init__).parameters
    for key in kwargs:
        if key not in known:
            names = (*OWN_TRAINER, *known)
            raise UnknownName("trainer setting", key, names, field=f"trainer.{key}")
    try:
        return pl.Trainer(
            **kwargs,
            max_epochs=-1,
            accumulate_grad_batches=accumulate,
            val_check_interval=every * accumulate if every else None,
            limit_val_batches=None if every else 0,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            enable_checkpointing=False,  # Lightning's own; Saver is ours
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=10,
            logger=list(loggers),
            callbacks=[*callbacks, *more],
            default_root_dir=folder,
            use_distributed_sampler=False,
        )
    except (TypeError, MisconfigurationException) as error:
        raise ConfigError(
            "a trainer setting that Lightning does not take",
            got=str(error),
            fix="see pytorch_lightning.Trainer",
        ) from None
