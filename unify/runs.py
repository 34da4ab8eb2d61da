"""Run folders: what a finished run leaves, and how it is found and read again."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from formats.base import Format
from formats.errors import RunError, did_you_mean

from .files import write_whole

if TYPE_CHECKING:
    from tasks.task import Task

CONFIG, FACTS, MODEL, REPORT = "config.yaml", "run.json", "model", "report.json"
DATA = "data.json"
PROMPT = "prompt.json"  # in a model folder: what a few-shot method asks
_PACKAGES = ("torch", "transformers", "pytorch-lightning", "datasets", "tokenizers", "numpy")


def versions() -> dict[str, str]:
    """Versions of what shapes a run."""
    from . import __version__

    found = {"unify": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Makes the run folder if it is not there. Raises RunError where nothing can be written."""
    text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
    try:
        write_whole(folder / CONFIG, text)
    except OSError as error:
        raise RunError(
            "a run folder that cannot be written",
            file=str(folder),
            got=error.strerror or error,
            expected="a folder that may be written, with room for checkpoints",
            fix="start elsewhere, or give another name=…",
        ) from None


def called(model: Path) -> str:
    """A model by its folder's name, or by its run's where it lies in one."""
    return model.parent.name if model.name == MODEL else model.name


def same_data(folder: Path, tasks: Sequence[Task]) -> None:
    """Notes which rows a run reads when it begins; later raises RunError where they changed."""
    now = {t.name: t.fingerprint() for t in tasks}
    path = folder / DATA
    if not path.exists():
        return write_whole(path, json.dumps(now, indent=1, ensure_ascii=False))
    try:
        before = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise RunError(
            f"{DATA} cannot be read", file=str(path), got=error, fix="delete it"
        ) from None
    changed = sorted(name for name, mark in now.items() if before.get(name, mark) != mark)
    if changed:
        raise RunError(
            "the rows or the declaration of a task changed since this run began",
            file=str(folder),
            got=", ".join(changed),
            expected="the data that it began with",
            fix=f"bring it back, or begin anew under another name=… ({DATA} says what was noted)",
        )


def find(path: str | Path) -> Path:
    """The run folder at ``path`` (or ``runs/<path>``). Raises RunError with near names."""
    for candidate in (Path(path), Path("runs") / path):
        if (candidate / CONFIG).exists():
            return candidate
    known = [p.parent.name for p in Path("runs").glob(f"*/{CONFIG}")]
    raise RunError(
        "no run here",
        got=str(path),
        expected=f"a folder with {CONFIG} and {MODEL}/",
        fix=did_you_mean(Path(path).name, known, "run"),
    )


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration that a run was started with."""
    try:
        config = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise RunError(
            "a run's configuration cannot be read",
            file=str(folder),
            got=error,
            fix="restore config.yaml, or start the run anew",
        ) from None
    if not isinstance(config, dict):
        raise RunError(
            "a run's configuration is no mapping",
            file=str(folder),
            got=config,
            expected="key: value lines",
        )
    return config


def finished(folder: Path) -> bool:
    return (folder / REPORT).exists()


def few_shot(folder: Path) -> bool:
    """Whether a few-shot method (:mod:`unify.prompts`) made the run in ``folder``."""
    return next((folder / MODEL).rglob(PROMPT), None) is not None


def load_run(path: str | Path) -> tuple[Any, Format, dict[str, Any], Path]:
    """Backbone, format, configuration and folder of a finished run."""
    from . import backbones
    from .build import build_format

    folder = find(path)
    if not (folder / MODEL / "backbone.json").exists():
        raise RunError(
            "an unfinished run",
            file=str(folder),
            expected=f"{MODEL}/ with its weights",
            fix=f"finish it: unify train name={folder.name}",
        )
    config = read_config(folder)
    if few_shot(folder):
        raise RunError(
            "a few-shot method's model answers by its own prompt, not in a format",
            file=str(folder),
            got=config.get("learner", {}).get("name"),
            fix="unify predict and unify evaluate can ask it",
        )
    return backbones.load(folder / MODEL), build_format(config["format"]), config, folder


def seen_tasks(folder: Path) -> tuple[str, ...]:
    """Names of all tasks that the run's weights were trained on, those of its ``init`` included."""
    try:
        return tuple(json.loads((folder / FACTS).read_text(encoding="utf-8")).get("seen", ()))
    except (OSError, ValueError):
        return ()


def write_facts(folder: Path, **facts: Any) -> None:
    write_whole(folder / FACTS, json.dumps(facts, indent=1, ensure_ascii=False))
