"""The start that copying from demonstrations is made of: tokens attend to what followed their
likes."""

from __future__ import annotations

import pytest
import torch
from unify_helpers import tiny

from formats.errors import ConfigError
from unify.backbones.init import initialise

START = {"std": 0.1, "embedding_std": 0.15, "match": 0.08, "previous": 10.0, "carry": 0.3}
MODEL = {
    "attention_bias": True, "num_hidden_layers": 3, "hidden_size": 64, "intermediate_size": 64,
    "attn_implementation": "eager",
}  # fmt: skip


def to_what_followed(induct: float) -> float:
    """How much more the second and third layer attend to the token after the same token, a few
    places back, than to a place by chance."""
    backbone = tiny("llama", "generate", config=MODEL, seed=1)
    torch.manual_seed(0)
    initialise(backbone, **START, induct=induct)
    torch.manual_seed(1)
    ids = torch.stack([torch.randperm(300)[:40] for _ in range(16)]) + 20
    ids[:, -1] = ids[:, 20]  # token 20 comes again; 21 followed it
    with torch.inference_mode():
        weights = backbone.model(input_ids=ids, output_attentions=True).attentions
    return float(sum(w[:, 0, -1, 21].mean() for w in weights[1:]) / 2 * 40)


def test_induct_looks_for_what_followed() -> None:
    without, some, much = (to_what_followed(x) for x in (0.0, 1.0, 4.0))
    assert without < 1.5 < 2.0 < some < much


def test_induct_needs_what_it_reads() -> None:
    with pytest.raises(ConfigError, match="induct without"):
        initialise(tiny("llama", "generate", config=MODEL), induct=1.0, match=0.1)
