"""Where training starts from: the weights of another run (``init``), or the ``model`` section's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from formats.base import Format
from formats.errors import ConfigError

from . import build, runs
from .backbones import Backbone
from .suite_data import Ready


def seen_before(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The tasks that the weights of ``init`` were trained on."""
    return tuple(runs.seen_tasks(runs.find(config["init"]))) if config.get("init") else ()


def start(config: Mapping[str, Any], ready: Ready, format: Format) -> Backbone:
    """The backbone that training starts from: a run's (``init``), or the ``model`` section's."""
    if config.get("init"):
        backbone, trained, _, folder = runs.load_run(config["init"])
        if trained.name != format.name:
            raise ConfigError(
                "init was trained in another format",
                got=trained.name,
                expected=format.name,
                fix=f"format={trained.name}",
                run=str(folder),
            )
        return backbone  # type: ignore[no-any-return]
    return build.build_backbone(config["model"], format, ready.suite)
