"""Half precision by itself only where the processor computes in it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from formats.errors import ConfigError
from unify.build import build_trainer
from unify.config import compose
from unify.precision import fast_bf16
from unify.pretraining import Pretraining


@pytest.mark.parametrize(("fast", "becomes"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto(fast: bool, becomes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: fast)
    assert fast_bf16("cpu") is fast
    config = compose("train", ["trainer.precision=auto"])["trainer"]
    assert build_trainer(config, tmp_path, [], [], 1).precision == becomes


def test_what_is_asked_for_is_taken(tmp_path: Path) -> None:
    config = compose("train", ["trainer.precision=bf16-mixed"])["trainer"]
    assert build_trainer(config, tmp_path, [], [], 1).precision == "bf16-mixed"
    with pytest.raises(ConfigError, match="no such precision"):
        Pretraining(bf16="half")
