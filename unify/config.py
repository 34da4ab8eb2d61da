"""Hydra at arm's length: overrides in, a plain dict out, and errors that help."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from formats.errors import ConfigError, UnknownName, did_you_mean

Plain = dict[str, Any]


def keys_of(config: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Every dotted key of ``config``."""
    found = []
    for key, value in config.items():
        found.append(f"{prefix}{key}")
        if isinstance(value, Mapping):
            found += keys_of(value, f"{prefix}{key}.")
    return found


# Sections whose keys are the business of a library or of the data: any key may be set there.
OPEN = (
    "model.config", "model.head_options", "model.init", "model.lr", "model.head_lr",
    "suite.seen", "suite.unseen", "suite.limits", "suite.evaluate", "suite.train",
    "suite.held_out", "suite.clean", "suite.base", "suite.cluster", "data.rates", "trainer",
    "tuning.values",
)  # fmt: skip


# Keys that name a run; empty, they would begin without it.
ORIGINS = ("run", "init", "from")

# Short for keys of their own: conf/task is no group of the run's configuration.
SHORT = {"task": "protocol.task", "shots": "protocol.shots"}


def opened(overrides: Sequence[str]) -> list[str]:
    """``model.head_options.size=32`` -> ``++model.head_options.size=32``: set it, new or not."""
    out = []
    for override in overrides:
        key, equals, value = override.partition("=")
        if key in SHORT:
            override = f"{SHORT[key]}{equals}{value}"
        free = any(key == o or key.startswith(o + ".") for o in OPEN) and "." in key
        out.append("++" + override if free else override)
    return out


def compose(name: str, overrides: Sequence[str]) -> Plain:
    """The configuration ``name`` with ``overrides``, resolved, as plain values.

    Raises ConfigError or UnknownName, saying which key or choice was meant.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_module
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    check_origins(overrides)
    GlobalHydra.instance().clear()
    with initialize_config_module("conf", version_base="1.3"):
        try:
            config = hydra_compose(name, overrides=opened(overrides), return_hydra_config=True)
            values = plain(config, config.hydra.overrides.task)
        except (HydraException, OmegaConfBaseException) as error:
            raise _explained(name, overrides, error) from None
    for override in overrides:
        _check_number(name, overrides, override, values)
    return values


def _at(values: Any, key: str) -> Any:
    """``values`` at a dotted key; None where there is none."""
    for part in key.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def check_origins(overrides: Sequence[str]) -> None:
    """Raises ConfigError where a key that names a run is given without one."""
    for key, equals, value in (o.partition("=") for o in overrides):
        if key in ORIGINS and equals and not value.strip("'\" "):
            raise ConfigError(f"{key} names no run", expected=f"{key}=<run>",
                              fix=f"leave {key}= out to begin without it")  # fmt: skip


def check_value(key: str, given: Any, was: Any) -> None:
    """Raises ConfigError where ``given`` cannot stand in the place of ``was``: a word or nothing
    for a number, and no name for a run."""
    if key == "name" and given in (None, ""):
        raise ConfigError("the run has no name", expected="name=<a folder below runs/>")
    if key == "name" or key in ORIGINS or not isinstance(was, (bool, int, float)):
        return
    if isinstance(given, str) or (given is None and "." not in key):
        kind = "true or false" if isinstance(was, bool) else "a number"
        raise ConfigError(f"{key} is not {kind}", got=given, expected=f"{kind}, as in {key}={was}")


def _check_number(name: str, overrides: Sequence[str], override: str, values: Plain) -> None:
    """Raises ConfigError where ``override`` puts a word in the place of a number."""
    key, _, text = override.lstrip("+").partition("=")
    given = _at(values, key)
    if key == "name":
        check_value(key, given, None)
    nothing = text == "null" and "." not in key
    if key == "name" or key in ORIGINS or not (isinstance(given, str) or nothing):
        return
    try:
        default = _at(compose(name, [o for o in overrides if o != override]), key)
    except (ConfigError, UnknownName):  # it was needed: nothing to compare it with
        return
    check_value(key, given, default)


def plain(config: Any, overrides: Sequence[str]) -> Plain:
    """A composed configuration as plain values, its suite named, Hydra's own part left out."""
    from omegaconf import OmegaConf

    choice = OmegaConf.select(config, "hydra.runtime.choices.suite")
    own = OmegaConf.masked_copy(config, [k for k in config if k != "hydra"])
    _begin_with(own, overrides)
    missing = sorted(OmegaConf.missing_keys(own))
    if missing:
        raise ConfigError(
            f"{missing[0]} is not set", expected=f"{missing[0]}=…", fix="add it to the command"
        )
    values = OmegaConf.to_container(own, resolve=True)
    assert isinstance(values, dict)
    if isinstance(values.get("suite"), dict):
        values["suite"].setdefault("name", choice)
    if _at(values, "protocol.task") is not None:  # by what the method is called in the table
        values["protocol"]["method"] = OmegaConf.select(config, "hydra.runtime.choices.learner")
    return values  # type: ignore[return-value]


def _begin_with(config: Any, overrides: Sequence[str]) -> None:
    """Where ``init`` names a run, its ``model`` section, too: the rate that suits those weights,
    and what they met before. What the command line sets of it stays, a whole section (``model=``)
    as well. Raises RunError."""
    from omegaconf import OmegaConf

    origin = config.get("init")
    if not origin or "model" not in config:
        return
    from . import runs

    before = runs.read_config(runs.find(origin)).get("model")
    if not isinstance(before, Mapping):
        return
    keys = [o.lstrip("+").partition("=")[0] for o in overrides]
    if "model" in keys:
        return
    given = {k: OmegaConf.select(config, k) for k in keys if k.startswith("model.")}
    begun = {**before, "head_lr": None} if "head_lr" in before else before  # no head is new
    OmegaConf.update(config, "model", begun, merge=False, force_add=True)
    for key, value in given.items():
        OmegaConf.update(config, key, value, force_add=True)


def _explained(name: str, overrides: Sequence[str], error: Exception) -> Exception:
    text = str(error)
    unknown = re.search(r"Key '([^']+)' is not in struct", text)
    culprit = re.search(r"Could not override '([^']+)'", text)
    if unknown or culprit:
        key = culprit.group(1) if culprit else unknown.group(1)  # type: ignore[union-attr]
        rest = [o for o in overrides if o.partition("=")[0].lstrip("+~") != key]
        try:  # with the other choices as they are, for they bring keys of their own
            known = keys_of(compose(name, rest if len(rest) < len(overrides) else []))
        except (ConfigError, UnknownName):
            known = []
        return UnknownName("config key", key, known)
    choice = re.search(r"Could not find '([^/']+)/([^']+)'", text)
    if choice:
        options = re.search(r"Available options in [^:]*:\n((?:\t.*\n?)+)", text)
        names = [line.strip() for line in options.group(1).splitlines()] if options else []
        shown = [n for n in names if not n.startswith("_")]
        return UnknownName(f"choice for {choice.group(1)}", choice.group(2), shown)
    group = re.search(r"Could not override '([^']+)'.*No match in the defaults list", text, re.S)
    if group:
        return ConfigError(
            f"no config group {group.group(1)!r}",
            got=list(overrides),
            fix="see the folders under conf/",
        )
    return ConfigError(text.splitlines()[0], got=list(overrides), fix="see the files under conf/")


def several(overrides: Sequence[str]) -> list[str]:
    """The keys that a sweep goes over: ``seed`` of ``seed=0,1`` and of ``seed=range(0,2)``, none of
    ``suite.seen=[a,b]``."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return [str(o.key_or_group) for o in parsed if o.is_sweep_override()]


def sweep(name: str, overrides: Sequence[str], job: Callable[[Plain, Path], Any]) -> None:
    """Runs ``job(config, folder)`` for every combination of ``overrides`` (Hydra's multirun)."""
    import sys

    import hydra
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf, open_dict

    check_origins(overrides)
    GlobalHydra.instance().clear()

    def one(config: Any) -> None:
        whole = OmegaConf.create(OmegaConf.to_container(config))
        with open_dict(whole):
            choices = dict(HydraConfig.get().runtime.choices)
            whole.hydra = {"runtime": {"choices": choices}}
        values = plain(whole, HydraConfig.get().overrides.task)
        # By what the run is called in the table: several files may set the same name.
        values["choices"] = {k: v for k, v in choices.items() if "/" not in k and v is not None}
        job(values, Path(HydraConfig.get().runtime.output_dir))

    before = sys.argv
    sys.argv = [before[0], "--multirun", *opened(overrides)]
    try:
        hydra.main(version_base="1.3", config_path="pkg://conf", config_name=name)(one)()
    finally:
        sys.argv = before


def assignments(arguments: Iterable[str]) -> tuple[Plain, list[str]]:
    """``key=value`` arguments (values read as YAML) and the other ones."""
    import yaml

    values: Plain = {}
    rest: list[str] = []
    for argument in arguments:
        match = re.match(r"([A-Za-z_][\w.]*)=(.*)", argument, re.S)
        if match is None:
            rest.append(argument)
            continue
        key, text = match.groups()
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            value = text
        into = values
        *path, last = key.split(".")
        for part in path:
            into = into.setdefault(part, {})
        into[last] = value
    return values, rest


def check_keys(values: Mapping[str, Any], known: Sequence[str], verb: str) -> None:
    """Raises UnknownName for a key that the verb does not read."""
    for key in values:
        if key not in known:
            raise UnknownName(f"argument of {verb}", key, known)


def need(values: Mapping[str, Any], key: str, verb: str, example: str) -> Any:
    """``values[key]``, or a ConfigError that shows how to give it."""
    if values.get(key) is None:
        raise ConfigError(
            f"{verb} needs {key}",
            expected=f"{key}={example}",
            fix=hint if (hint := did_you_mean(key, values)).startswith("did you mean") else None,
        )
    return values[key]
