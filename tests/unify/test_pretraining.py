"""What pre-training hides, and that it learns."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from unify_helpers import DEVICE, tiny

from formats.errors import ConfigError, UnknownName
from unify import pretraining as p
from unify.backbones import load_pretrained
from unify.cli import main
from unify.pretraining.run import batch_of, outputs, unigrams


def test_groups() -> None:
    words = [None, 0, 0, 1, 2, 2, None]
    assert p.groups_of_tokens(3) == [[0], [1], [2]]
    assert p.groups_of_words(words) == [[1, 2], [3], [4, 5]]
    text = "the boat of Ann Lee sank"
    offsets = [(0, 3), (4, 8), (9, 11), (12, 15), (16, 19), (20, 24)]
    assert p.groups_of_entities(text, offsets, [0, 1, 2, 3, 4, 5]) == [[0], [1], [2], [3, 4], [5]]


def test_a_share_of_the_tokens_is_hidden_as_whole_groups() -> None:
    groups = [[k, k + 1] for k in range(0, 200, 2)]
    ids = list(range(1000, 1200))
    draw = np.random.default_rng(0)
    blank = same = 0
    for _ in range(50):
        read, places = p.blanked(ids, groups, draw, mask=3, words=50)
        assert len(places) == 30 and places == sorted(places)
        assert all((k ^ 1) in places for k in places)  # both tokens of a group
        assert all(read[k] == ids[k] for k in range(200) if k not in places)
        blank += sum(read[k] == 3 for k in places)
        same += sum(read[k] == ids[k] for k in places)
    assert blank / 1500 == pytest.approx(0.8, abs=0.05)
    assert same / 1500 == pytest.approx(0.1, abs=0.04)
    with pytest.raises(ConfigError, match="share"):
        p.blanked(ids, groups, draw, mask=3, words=50, share=1.0)


def test_next_sentences() -> None:
    texts = [f"One {k}. Two {k}. Three {k}." for k in range(200)] + ["alone"]
    pairs = p.next_sentences(texts, np.random.default_rng(0))
    assert len(pairs) == 200
    after = {"One": "Two", "Two": "Three"}
    for pair in pairs:
        (a, i), (b, j) = pair.first[:-1].split(), pair.second[:-1].split()
        assert (after[a] == b and i == j) if pair.follows else i != j
    assert sum(x.follows for x in pairs) == pytest.approx(100, abs=25)


def test_settings_are_checked() -> None:
    with pytest.raises(UnknownName, match="maskd"):
        p.Pretraining(("maskd",))
    with pytest.raises(ConfigError, match="different models"):
        p.Pretraining(("masked", "autoregressive"))


@pytest.mark.parametrize("objective", ["masked", "whole_word", "entity"])
def test_what_is_asked_is_what_was_hidden(objective: str) -> None:
    backbone = tiny("bert", "generate")
    tokenizer = backbone.coder.tokenizer
    texts = ["dogs so quick", "the boats of Ann Lee"]
    settings = p.Pretraining((objective,), share=0.5)
    batch = batch_of(texts, objective, tokenizer, np.random.default_rng(0), settings)
    whole = tokenizer(texts, padding=True)["input_ids"]
    flat = torch.tensor(whole).flatten()
    assert torch.equal(flat[batch.places], batch.gold)
    found = outputs(backbone.model, batch.to(DEVICE))
    assert found.shape == (len(batch.gold), len(tokenizer))


def test_autoregressive_asks_for_the_next_token() -> None:
    backbone = tiny("gpt2", "generate")
    settings = p.Pretraining(("autoregressive",))
    batch = batch_of(["dogs so quick"], "autoregressive", backbone.coder.tokenizer,
                     np.random.default_rng(0), settings)  # fmt: skip
    ids = batch.inputs["input_ids"][0].tolist()
    assert batch.gold.tolist() == ids[1:] and batch.places.tolist() == list(range(len(ids) - 1))
    losses = p.pretrain(backbone.model, backbone.coder.tokenizer, ["dogs so quick"] * 8,
                        p.Pretraining(("autoregressive",), steps=12, lr=1e-2))  # fmt: skip
    assert losses[-1] < 0.7 * losses[0]


def test_the_head_is_trained_alone_first_and_begins_at_the_unigrams() -> None:
    backbone = tiny("bert", "generate", spread=1.0)
    model, tokenizer = backbone.model, backbone.coder.tokenizer
    texts = [f"{a} so {b}" for a in ("dogs", "boats") for b in ("quick", "sad", "glad")] * 4
    prior = unigrams(texts, tokenizer)
    assert math.isclose(float(prior.exp().sum()), 1.0, rel_tol=1e-4)
    fresh = [n for n, _ in model.named_parameters() if n.startswith("cls.")]
    body = {n: x.clone() for n, x in model.named_parameters() if n not in fresh}
    settings = p.Pretraining(("masked",), steps=1, tokens=256, head=0.99)
    p.pretrain(model, tokenizer, texts, settings, fresh)
    assert all(torch.equal(x, dict(model.named_parameters())[n]) for n, x in body.items())
    before = p.evaluate(model, tokenizer, texts, settings, most=2)["masked"]["loss"]
    settings = p.Pretraining(("masked",), steps=40, tokens=256, head=0.1, lr=5e-3)
    p.pretrain(model, tokenizer, texts, settings, fresh)
    after = p.evaluate(model, tokenizer, texts, settings, most=2)["masked"]["loss"]
    assert after < before


def test_next_sentence_needs_texts_of_two(tmp_path: Path) -> None:
    backbone = tiny("bert", "generate")
    with pytest.raises(ConfigError, match="two sentences"):
        p.pretrain(backbone.model, backbone.coder.tokenizer, ["dogs so quick"],
                   p.Pretraining(("next_sentence",), steps=1))  # fmt: skip


def test_a_model_is_pretrained_once_and_found_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNIFY_CACHE", str(tmp_path / "cache"))
    backbone = tiny("bert", "generate", spread=1.0)
    folder = tmp_path / "tiny"
    backbone.model.base_model.save_pretrained(folder)  # without its head
    backbone.coder.tokenizer.save_pretrained(folder)
    command = ["pretrain", f"model={folder}", "name=one", "tasks=[sample_trade_goods]", "rows=1200",
               "objectives=[whole_word]", "steps=3", "tokens=512", "lr=1e-3"]  # fmt: skip
    assert main(command) == 0, capsys.readouterr().err
    told = json.loads((tmp_path / "cache" / "models" / "one" / "pretrain.json").read_text())
    assert told["texts"].keys() == {"sample_trade_goods"} and len(told["losses"]) == 3
    assert any("predictions" in name for name in told["fresh"])
    assert told["after"]["whole_word"]["loss"] < told["before"]["whole_word"]["loss"]
    capsys.readouterr()
    assert main(command) == 0  # kept, not trained again
    assert capsys.readouterr().out.strip() == str(tmp_path / "cache" / "models" / "one")
    assert main([*command, "seed=1"]) == 1
    assert "another model has this name" in capsys.readouterr().err
    loaded = load_pretrained("cache:one", format="generate")
    assert loaded.name == "masked" and loaded.fresh == ()
    with pytest.raises(ConfigError, match="no model by this name"):
        load_pretrained("cache:two", format="generate")
