"""Run folders: what a finished run leaves, and how it is found and read again."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from formats.base import Format
from formats.errors import RunError, did_you_mean

CONFIG, FACTS, MODEL, REPORT = "config.yaml", "run.json", "model", "report.json"
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
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
    (folder / CONFIG).write_text(text, encoding="utf-8")


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
            "a run's configuration cannot be read", file=str(folder), got=error
        ) from None
    if not isinstance(config, dict):
        raise RunError("a run's configuration is no mapping", file=str(folder), got=config)
    return config


def finished(folder: Path) -> bool:
    return (folder / REPORT).exists()


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
    return backbones.load(folder / MODEL), build_format(config["format"]), config, folder


def seen_tasks(folder: Path) -> tuple[str, ...]:
    """Names of all tasks that the run's weights were trained on, those of its ``init`` included."""
    try:
        return tuple(json.loads((folder / FACTS).read_text(encoding="utf-8")).get("seen", ()))
    except (OSError, ValueError):
        return ()


def write_facts(folder: Path, **facts: Any) -> None:
    (folder / FACTS).write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")
