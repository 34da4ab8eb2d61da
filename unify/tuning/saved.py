"""A tuned backbone on disk: what was trained, and where the frozen rest is found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from formats.errors import RunError

from ..backbones.base import Backbone
from . import attach
from .base import plain_settings

FILE, BASE = "tuning.safetensors", "base"


def trained(backbone: Backbone) -> dict[str, Tensor]:
    """The trained parameters by name."""
    assert backbone.tuning is not None
    wanted = set(backbone.tuning.trained)
    return {n: p.detach() for n, p in backbone.named_parameters() if n in wanted}


def fold(backbone: Backbone) -> None:
    """Takes away what only training needs."""
    tuning = backbone.tuning
    if tuning is None:
        return
    tuning.fold()
    there = {n for n, _ in backbone.named_parameters()}
    tuning.trained = tuple(n for n in tuning.trained if n in there)


def untuned(backbone: Backbone) -> dict[str, Tensor]:
    """The model's tensors under the names that they have without a tuning."""
    tuning = backbone.tuning
    return {
        name.replace(".base_layer.", "."): tensor
        for name, tensor in backbone.model.state_dict().items()
        if tuning is None or tuning.mark is None or tuning.mark not in name
    }


def digest(backbone: Backbone) -> str:
    """Changes when a frozen tensor of the model does."""
    made = hashlib.blake2b(digest_size=12)
    # By place in memory, for a weight may have several names.
    moved = {p.data_ptr() for p in trained(backbone).values()} if backbone.tuning else set()
    for name, tensor in sorted(untuned(backbone).items()):
        if tensor.data_ptr() in moved:
            continue
        made.update(name.encode())
        made.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return made.hexdigest()


def note(backbone: Backbone, folder: Path) -> dict[str, Any]:
    """Writes the trained parameters into ``folder`` and tells what to do with them. A model built
    here, which stands nowhere else, is written beside them."""
    from safetensors.torch import save_file

    tuning = backbone.tuning
    assert tuning is not None
    fold(backbone)
    tensors = {n: t.contiguous().cpu().clone() for n, t in trained(backbone).items()}
    save_file(tensors, folder / FILE)
    if backbone.origin is None:
        beside = folder / BASE
        backbone.model.save_pretrained(beside, state_dict=untuned(backbone))
        backbone.coder.tokenizer.save_pretrained(beside)
    return {
        "name": tuning.name,
        "settings": plain_settings(tuning.settings),
        "backbone": backbone.origin or BASE,
        "revision": backbone.revision,
        "digest": digest(backbone),
    }


def told(folder: Path) -> dict[str, Any]:
    """What ``backbone.json`` says of a tuned backbone, all on one level. Raises RunError."""
    file = folder / "backbone.json"
    said = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if "tuning" not in said:
        raise RunError("no tuned backbone here", file=str(folder), fix="give the model/ of a run")
    return {**said, **said["tuning"]}


def read(folder: Path) -> dict[str, Tensor]:
    """The trained parameters that are kept in ``folder``; none where there is no file."""
    from safetensors.torch import load_file

    file = folder / FILE
    return load_file(file) if file.exists() else {}


def restore(backbone: Backbone, told: Mapping[str, Any], folder: Path) -> None:
    """Tunes the freshly loaded ``backbone`` as :func:`note` told. Raises RunError."""
    tuning = attach(backbone, {"name": told["name"], **told["settings"]})
    assert tuning is not None
    tensors = read(folder)
    missing = sorted(set(tuning.trained) ^ set(tensors))
    if missing:
        raise RunError(
            f"the saved tuning {tuning.name} is missing or torn",
            file=str(folder / FILE),
            got=missing[0],
            fix="train the run again",
        )
    if digest(backbone) != told["digest"]:
        raise RunError(
            "another backbone than the tuning was trained on",
            file=str(folder),
            got=told["backbone"],
            fix="put the former weights there, or train the run again",
        )
    named = dict(backbone.named_parameters())
    with torch.no_grad():
        for name, tensor in tensors.items():
            named[name].copy_(tensor)
