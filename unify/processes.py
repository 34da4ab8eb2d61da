"""Several processes that train together: which of them this one is, and where all of them write.

Lightning starts the others with the same command (``trainer.devices=2``), or ``torchrun`` starts
all of them. (:mod:`.ranks` deals out an evaluation.)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from formats.errors import ConfigError

_NAME = "UNIFY_RUN_NAME"  # tells the processes that Lightning starts what the first one is called


def first() -> bool:
    """Whether this is the process that writes."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", 0))) == 0


def several(trainer: Mapping[str, Any]) -> bool:
    """Whether the ``trainer`` section asks for more processes than one. A number of devices that
    is not known yet (auto) counts as more, but on the CPU, where it means one."""
    devices, nodes = trainer.get("devices", 1), trainer.get("num_nodes", 1) or 1
    if nodes != 1:
        return True
    if isinstance(devices, int):
        return devices > 1 or devices == -1
    if isinstance(devices, (list, tuple)):
        return len(devices) > 1
    return str(devices) != "1" and trainer.get("accelerator") != "cpu"


def named(config: dict[str, Any], given: bool) -> dict[str, Any]:
    """``config`` with one name in all processes; ``given`` says that the user chose it.

    Raises ConfigError under torchrun without one, where each process would invent its own.
    """
    if given or not several(config["trainer"]):
        return config
    if "TORCHELASTIC_RUN_ID" in os.environ:
        raise ConfigError(
            "several processes need one name",
            expected="name=<run> in the command that torchrun starts",
            fix="torchrun … -m unify train name=<run> …",
        )
    if first():
        os.environ[_NAME] = str(config["name"])
    return {**config, "name": os.environ.get(_NAME, config["name"])}


def alone() -> None:
    """After training: the first process goes on by itself, the others leave (SystemExit)."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
        if not first():
            raise SystemExit(0)
