"""Where a model computes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch

from formats.errors import ConfigError

KNOWN = "cpu, gpu, cuda:<number>, mps or auto"
KINDS = ("cpu", "gpu", "cuda", "mps", "auto")  # of a trainer's accelerators, those told here


def device_of(name: str | torch.device = "auto") -> torch.device:
    """The device that ``name`` means: ``cpu``, ``gpu`` (or ``cuda``), ``cuda:1``, ``mps``, or
    ``auto``, a GPU where there is one. Of several processes on a machine (``LOCAL_RANK``) each has
    a GPU of its own, as far as they go. Raises ConfigError where it is not there."""
    name = str(name)
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not found):
        return torch.device("cpu")
    if name in ("auto", "gpu", "cuda") and found:
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)) % found)
    if name == "mps" and torch.backends.mps.is_available():
        return torch.device("mps")
    kind, _, number = name.partition(":")
    if kind == "cuda" and number.isdigit() and int(number) < found:
        return torch.device("cuda", int(number))
    there = f"{found} GPUs here" if found else "no GPU that torch sees here"
    raise ConfigError("no such device", got=name, expected=f"{KNOWN}; {there}")


def of_trainer(section: Mapping[str, Any]) -> torch.device:
    """Where the trainer of a ``trainer`` section computes: of listed ``devices`` (``[1]`` or
    ``"1,"``) this process's own; the host for accelerators of other kinds. Raises ConfigError."""
    name, devices = str(section.get("accelerator", "cpu")), section.get("devices", 1)
    if name not in KINDS:
        return torch.device("cpu")
    if isinstance(devices, str) and "," in devices:
        devices = [part for part in devices.split(",") if part.strip()]
    try:
        if isinstance(devices, (list, tuple)) and devices and device_of(name).type == "cuda":
            own = devices[int(os.environ.get("LOCAL_RANK", 0)) % len(devices)]
            return device_of(f"cuda:{str(own).strip()}")
        return device_of(name)
    except ConfigError as error:
        raise error.at(field="trainer.accelerator") from None
