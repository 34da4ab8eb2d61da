"""Many tunings on one frozen backbone: a mixed batch answers as each tuning does alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from unify_helpers import encoded, moods, tiny

from formats import FORMATS
from formats.errors import ConfigError, RunError
from formats.examples import TextGeneration
from unify import backbones
from unify.tuning import attach
from unify.tuning.bank import Bank

SMALL: dict[str, dict[str, Any]] = {
    "prompt": {"length": 3}, "prefix": {"length": 3, "reparam": None}, "lora": {"rank": 2},
    "adapter": {"size": 4}, "adapter_bias": {}, "unipelt": {"length": 3, "rank": 2, "size": 4},
}  # fmt: skip


def tuned(folder: Path, architecture: str, format: str, name: str, seed: int) -> Path:
    """A saved tuning whose parts are drawn far from nothing."""
    backbone = tiny(architecture, format, spread=3.0)
    attach(backbone, {"name": name, **SMALL[name]})
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in backbone.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.randn_like(parameter) * 0.5)
    backbones.save(backbone, folder)
    return folder


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("architecture,format", [("bert", "entail"), ("t5", "generate")])
def test_a_mixed_batch(name: str, architecture: str, format: str, tmp_path: Path) -> None:
    folders = {
        k: tuned(tmp_path / k, architecture, format, name, seed)
        for seed, k in enumerate(("one", "two"))
    }
    bank = Bank(folders)
    asked: list[Any] = [*moods(5)]
    if format == "generate":
        asked.insert(2, TextGeneration("free/0", "boats so quick"))
    rows = encoded(bank.backbone, FORMATS[format](), *asked)
    names = ["one" if r.row % 2 else "two" for r in rows]
    mixed = [[p.raw for p in found] for found in bank.predict(rows, names)]
    differ = 0
    for k, folder in folders.items():
        alone = backbones.load(folder).eval()
        with torch.inference_mode():
            for row, who, got in zip(rows, names, mixed, strict=True):
                expected = [p.raw for p in alone.predict([row])]
                if who == k:
                    assert close(got, expected)
                else:
                    differ += not close(got, expected)
    assert differ


def close(a: list[Any], b: list[Any]) -> bool:
    def values(raws: list[Any]) -> list[Any]:
        found: list[Any] = []
        for raw in raws:
            for field in ("values", "yes", "text"):
                value = getattr(raw, field, None)
                found += value if isinstance(value, tuple) else [] if value is None else [value]
        return found

    first, second = values(a), values(b)
    return len(first) == len(second) and all(
        x == y if isinstance(x, str) else abs(x - y) < 1e-3
        for x, y in zip(first, second, strict=True)
    )


def test_what_does_not_go_together(tmp_path: Path) -> None:
    one = tuned(tmp_path / "one", "bert", "entail", "adapter", 0)
    two = tuned(tmp_path / "two", "bert", "entail", "adapter_bias", 0)
    with pytest.raises(ConfigError, match="differ in their name"):
        Bank({"one": one, "two": two})
    backbones.save(tiny("bert", "entail"), tmp_path / "plain")
    with pytest.raises(RunError, match="no tuned backbone"):
        Bank({"one": one, "plain": tmp_path / "plain"})
    bias = tiny("bert", "entail")
    attach(bias, {"name": "bitfit"})
    backbones.save(bias, tmp_path / "bias")
    with pytest.raises(ConfigError, match="from row to row"):
        Bank({"bias": tmp_path / "bias"})
