"""Adapters of a tuned run beside their base model, loaded by peft alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from format_tokenizers import made
from unify_helpers import tiny

import formats
from formats.errors import ConfigError
from unify import Unified
from unify.backbones import Backbone, build, load_pretrained
from unify.cli import main
from unify.export import export
from unify.tuning import attach

TEXT = "Ann keeps three red boats in the harbour of Port Lund."


def tuned(backbone: Backbone, format: str, folder: Path, name: str, **settings: Any) -> Unified:
    """A run folder whose tuning and head were moved off where they begin."""
    attach(backbone, {"name": name, **settings})
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in backbone.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.3)
    model = Unified(backbone, formats.FORMATS[format](), seen=["elsewhere"])
    model.save(folder)
    return model


def roformer() -> Backbone:
    torch.manual_seed(0)
    return build(
        architecture="roformer", tokenizer=made("bpe"), format="entail", window=96,
        head_options={"act": "gelu"}, init={"std": 0.3, "head_std": 0.5},
        config={"hidden_size": 32, "embedding_size": 32, "num_hidden_layers": 2,
                "num_attention_heads": 2, "intermediate_size": 48, "type_vocab_size": 1,
                "max_position_embeddings": 96},
    )  # fmt: skip


MADE = {
    "bert": lambda: tiny("bert", "entail", tokenizer="wordpiece", spread=3.0),
    "nsp": lambda: tiny("bert", "entail", "nsp", tokenizer="wordpiece", spread=3.0),
    "roformer": roformer,
    "modernbert": lambda: tiny("modernbert", "extract"),
    "span": lambda: tiny("bert", "extract", tokenizer="wordpiece"),
    "gpt2": lambda: tiny("gpt2", "generate", spread=2.0),
    "t5": lambda: tiny("t5", "generate"),
}
FORMAT = {"modernbert": "extract", "span": "extract", "gpt2": "generate", "t5": "generate"}


@pytest.mark.parametrize("tuning", ["lora", "ia3"])
@pytest.mark.parametrize("name", MADE)
def test_peft_loads_the_adapters_of_a_base_made_here(
    name: str, tuning: str, tmp_path: Path
) -> None:
    import peft
    import transformers

    fused = tuning == "lora" and name in ("gpt2", "modernbert")
    settings = {"places": ["fused", "second"]} if fused else {}
    tuned(MADE[name](), FORMAT.get(name, "entail"), tmp_path / "run", tuning, **settings)
    merged = export(tmp_path / "run", tmp_path / "merged")
    note = export(tmp_path / "run", tmp_path / "out", adapters=True)
    assert note["auto"] == merged["auto"] and note["base"] == "base"
    told = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert (told["peft_type"], told["base_model_name_or_path"]) == (tuning.upper(), "base")
    auto = getattr(transformers, note["auto"])
    reader = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    given = dict(reader(TEXT, "boats", return_tensors="pt"))
    if name in ("gpt2", "t5"):
        given.pop("token_type_ids", None)
    if name == "t5":
        given["decoder_input_ids"] = given["input_ids"][:, :3]
    base = auto.from_pretrained(tmp_path / "out" / "base")
    whole = auto.from_pretrained(tmp_path / "merged").eval()
    with torch.inference_mode():
        bare = base.eval()(**given)[0]
        one = peft.PeftModel.from_pretrained(base, tmp_path / "out").eval()(**given)[0]
        two = whole(**given)[0]
    assert float((one - bare).abs().max()) > 0.01
    torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-4)


def test_a_base_that_stands_elsewhere_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny("bert", "extract", tokenizer="wordpiece").model.save_pretrained(tmp_path / "base")
    made("wordpiece").save_pretrained(tmp_path / "base")
    begun = load_pretrained(str(tmp_path / "base"), format="extract", head="span", window=96)
    tuned(begun, "extract", tmp_path / "run", "lora", rank=4)
    run, to = f"run={tmp_path / 'run'}", f"to={tmp_path / 'out'}"
    assert main(["export", run, to, "adapters=true"]) == 0, capsys.readouterr()
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "README.md", "unify.json", "adapter_config.json", "adapter_model.safetensors",
        "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    told = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert told["base_model_name_or_path"] == str(tmp_path / "base")
    assert (told["r"], told["task_type"], told["revision"]) == (4, None, None)
    size = sum(p.stat().st_size for p in (tmp_path / "out").glob("*.safetensors"))
    assert size < (tmp_path / "base" / "model.safetensors").stat().st_size / 4
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"base_model: {tmp_path / 'base'}" in card and "library_name: peft" in card
    assert 'PeftModel.from_pretrained(base, "<this folder>")' in card


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (None, "trained whole"),
        ({"name": "bitfit"}, "peft has no adapters of the kind bitfit"),
        ({"name": "prompt", "length": 2}, "peft has no adapters of the kind prompt"),
        ({"name": "lora", "also": ["*LayerNorm*"]}, "the model's own parameters were trained"),
    ],
)
def test_other_runs_have_no_adapters(
    settings: dict[str, Any] | None, why: str, tmp_path: Path
) -> None:
    backbone = tiny("bert", "extract", tokenizer="wordpiece")
    if settings is not None:
        attach(backbone, settings)
    Unified(backbone, formats.Extract()).save(tmp_path / "run")
    with pytest.raises(ConfigError, match=why) as caught:
        export(tmp_path / "run", tmp_path / "out", adapters=True)
    assert "without adapters=true" in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]
