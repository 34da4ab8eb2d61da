"""The formula of each tuning, against values worked out by hand or in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from unify_helpers import encoded, moods, tiny

from formats import FORMATS
from formats.collate import collate
from formats.errors import ConfigError
from unify.backbones import Backbone
from unify.tuning import attach
from unify.tuning.adapters import Bottleneck, Shift
from unify.tuning.places import Columns, layers, targets
from unify.tuning.prompt import PromptEncoder
from unify.tuning.unipelt import Gate, GatedBottleneck, GatedLowRank, GatedRows

AT = {"bert": "encoder.layer.0.attention.self.", "gpt2": "transformer.h.0.attn."}


def fill(module: Any, **values: Any) -> None:
    with torch.no_grad():
        for name, value in values.items():
            module.get_parameter(name.replace("__", ".")).copy_(torch.tensor(value))


def test_lora() -> None:
    """Query 0·x + (alpha / rank) B A x with A = first and second coordinate, B all 2 and 0.5:
    16/2 (2 x0 + 0.5 x1)."""
    backbone = tiny("bert", "entail")
    attach(backbone, {"name": "lora", "rank": 2, "alpha": 16.0, "places": ["query"]})
    query = backbone.model.get_submodule(AT["bert"] + "query")
    with torch.no_grad():
        query.base_layer.weight.zero_()
        query.base_layer.bias.zero_()
        query.lora_A.default.weight.copy_(torch.eye(2, 32))
        query.lora_B.default.weight.copy_(torch.tensor([[2.0, 0.5]]).expand(32, 2))
    x = torch.zeros(1, 1, 32)
    x[..., :2] = torch.tensor([3.0, -4.0])
    assert query(x).flatten().tolist() == pytest.approx([8 * (6 - 2)] * 32)
    names = {n.rpartition(".lora")[0] for n in backbone.tuning.trained if "lora" in n}  # type: ignore[union-attr]
    assert names == {f"model.encoder.layer.{k}.attention.self.query" for k in (0, 1)}


def test_ia3() -> None:
    """Keys and values: l * (W x + b); inner activations: W (l * x) + b."""
    backbone = tiny("bert", "entail")
    attach(backbone, {"name": "ia3"})
    modules = dict(backbone.model.named_modules())
    key, second = modules[AT["bert"] + "key"], modules["encoder.layer.0.output.dense"]
    x, h = torch.randn(1, 1, 32), torch.randn(1, 1, 48)
    plain, inner = key.base_layer(x), second.base_layer.weight @ (3 * h[0, 0])
    with torch.no_grad():
        key.ia3_l.default.fill_(2.0)
        second.ia3_l.default.fill_(3.0)
    torch.testing.assert_close(key(x), 2 * plain)
    torch.testing.assert_close(second(h)[0, 0], inner + second.base_layer.bias)
    assert sum(n.count("ia3_l") for n in backbone.tuning.trained) == 2 * 3  # type: ignore[union-attr]


def test_a_bottleneck() -> None:
    """D = [1, 2], b = -1, U = [3, -1]: of x = (1, 1) relu(3 - 1) = 2 and (6, -2)."""
    made = Bottleneck(2, 1, "relu")
    fill(made, down__weight=[[1.0, 2.0]], down__bias=[-1.0], up__weight=[[3.0], [-1.0]])
    h = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    assert made.after(nn.Identity(), (), h).tolist() == [[7.0, -1.0], [0.0, 0.0]]  # serial
    beside = Bottleneck(2, 1, "relu", scale=4.0)
    beside.load_state_dict(made.state_dict())
    beside.reads(nn.Identity(), (h,))
    out = torch.tensor([[10.0, 10.0], [10.0, 10.0]])
    assert beside.beside(nn.Identity(), (), out).tolist() == [[34.0, 2.0], [10.0, 10.0]]


def test_adapter_bias() -> None:
    """a(h) = h0 + 1, v = (1, 2): (3, 5) becomes (3 + 4, 5 + 8)."""
    made = Shift(2)
    fill(made, vector=[1.0, 2.0], weigh__weight=[[1.0, 0.0]], weigh__bias=[1.0])
    h = torch.tensor([[3.0, 5.0], [-1.0, 5.0]])
    assert made.after(nn.Identity(), (), h).tolist() == [[7.0, 13.0], [-1.0, 5.0]]


def test_unipelt_gates() -> None:
    """g(x) = sigmoid(x0): 1/2 at 0, and 3/4 at log 3."""
    gate = Gate(2)
    fill(gate, weigh__weight=[[1.0, 0.0]], weigh__bias=[0.0])
    x = torch.tensor([[[0.0, 1.0], [math.log(3.0), 1.0]]])
    assert gate(x).flatten().tolist() == pytest.approx([0.5, 0.75])

    low = GatedLowRank(2, Columns("q", 1, 3), rank=1, alpha=4.0, gate=gate)
    fill(low, a__weight=[[0.0, 1.0]], b__weight=[[1.0], [10.0]])
    out = low.after(nn.Identity(), (x,), torch.zeros(1, 2, 4))  # columns 1 and 2 of 4
    assert np.allclose(out.tolist(), [[[0, 2, 20, 0], [0, 3, 30, 0]]])

    bottleneck = GatedBottleneck(2, 1, reads=2)
    bottleneck.gate = gate
    fill(bottleneck, up__bias=[4.0, 8.0])
    bottleneck.reads(nn.Identity(), (x,))
    assert np.allclose(
        bottleneck.beside(nn.Identity(), (), torch.ones(1, 2, 2)).tolist(), [[[3, 5], [4, 7]]]
    )

    rows = GatedRows(1, {"key": Columns("k", 0, 2)}, 0.02, gate)
    with torch.no_grad():
        rows.rows["key"].copy_(torch.tensor([[8.0, -8.0]]))
    over = torch.tensor([[True, True]])
    assert rows("key", x, over).tolist() == [[[pytest.approx(5.0), pytest.approx(-5.0)]]]
    assert rows("key", x, torch.tensor([[False, True]]))[0, 0, 0].item() == pytest.approx(6.0)


def test_p_tuning_reads_the_whole_prompt() -> None:
    torch.manual_seed(0)
    made = PromptEncoder(4, 6)
    assert made.lstm.num_layers == 2 and made.lstm.bidirectional
    assert [type(m).__name__ for m in made.mlp] == ["Linear", "ReLU", "Linear"]
    rows = torch.randn(5, 4)
    changed = rows.clone()
    changed[4] += 1
    apart = (made(rows) - made(changed)).abs().sum(1)
    assert made(rows).shape == (5, 4) and bool((apart > 0).all())


def kept(module: nn.Module, found: dict[str, Tensor], name: str, reads: bool = False) -> None:
    def hook(module: nn.Module, args: Any, output: Tensor) -> None:
        found[name] = (args[0] if reads else output).detach().double()

    module.register_forward_hook(hook)


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_a_prefix_is_attended_to(architecture: str) -> None:
    """softmax(q · [P_K; K] / sqrt(size)) [P_V; V] for every token of the text, in float64."""
    format = "entail" if architecture == "bert" else "generate"
    backbone = tiny(architecture, format)
    attach(backbone, {"name": "prefix", "length": 3, "reparam": None, "std": 1.0})
    tuning: Any = backbone.tuning
    model, at, found = backbone.model, AT[architecture], {}
    before = len(backbone.layout.before if architecture == "bert" else
                 backbone.layout.single_before) - 3
    if architecture == "bert":
        for part in ("query", "key", "value"):
            kept(model.get_submodule(at + part), found, part)
        kept(model.get_submodule("encoder.layer.0.attention.output.dense"), found, "read", True)
    else:
        kept(model.get_submodule(at + "c_attn"), found, "fused")
        kept(model.get_submodule(at + "c_proj"), found, "read", True)
    (row,) = encoded(backbone, FORMATS[format](), moods(1)[0], train=True)
    batch = collate([row], backbone.layout, format)
    with torch.inference_mode():
        backbone.loss(batch)
    if architecture == "gpt2":
        found |= dict(zip(("query", "key", "value"), found["fused"].chunk(3, -1), strict=True))
    q, k, v = (found[n][0].numpy().reshape(-1, 2, 16) for n in ("query", "key", "value"))
    table = tuning.table.detach().double().numpy()[:, :64].reshape(3, 2, 2, 16)  # of layer 0
    real = [t for t in range(len(q)) if not before <= t < before + 3]
    for head in range(2):
        for t in real[1:]:
            seen = [s for s in real if architecture == "bert" or s <= t]
            keys = np.concatenate([table[:, 0, head], k[seen, head]])
            values = np.concatenate([table[:, 1, head], v[seen, head]])
            scores = keys @ q[t, head] / 4
            weights = np.exp(scores - scores.max())
            expected = weights @ values / weights.sum()
            got = found["read"][0, t].numpy().reshape(2, 16)[head]
            np.testing.assert_allclose(got, expected, atol=1e-5)


def embedded(backbone: Backbone, ids: list[int]) -> Tensor:
    with torch.inference_mode():
        return backbone.model.get_input_embeddings()(torch.tensor([ids]))[0]


def test_where_a_prompt_stands() -> None:
    """Virtual positions and their anchors, in the frame of a pair and of one text."""
    backbone = tiny("bert", "entail")
    plain, first = backbone.layout, len(backbone.coder.tokenizer)
    words = {w: tuple(backbone.coder.ids([" " + w])[0]) for w in ("Topic", "so")}
    attach(backbone, {"name": "prompt", "before": [2, "Topic", 1], "between": [1], "after": ["so"]})
    layout = backbone.layout
    assert layout.before == (*plain.before, first, first + 1, *words["Topic"], first + 2)
    assert layout.between == (first + 3, *plain.between)
    assert layout.after == (*words["so"], *plain.after)
    assert layout.pair_room == plain.pair_room - 4 - len(words["Topic"]) - len(words["so"])
    table = backbone.tuning.table  # type: ignore[union-attr]
    assert table.shape == (4, 32)
    found = embedded(backbone, [*layout.before, first + 3])
    torch.testing.assert_close(found[-1], table[3])
    torch.testing.assert_close(found[len(plain.before) + 1], table[1])
    for row in encoded(backbone, FORMATS["entail"](), *moods(3)):
        assert row.length <= layout.window


def test_a_prompt_reaches_the_encoder_of_an_encoder_decoder() -> None:
    backbone = tiny("t5", "generate")
    attach(backbone, {"name": "prompt", "length": 2})
    first = len(backbone.coder.tokenizer)
    found: dict[str, Tensor] = {}
    kept(backbone.model.get_encoder().block[0], found, "states", reads=True)
    with torch.inference_mode():
        backbone.predict(encoded(backbone, FORMATS["generate"](), *moods(1)))
    assert backbone.layout.single_before[-2:] == (first, first + 1)
    at = len(backbone.layout.single_before) - 2
    table = backbone.tuning.table  # type: ignore[union-attr]
    torch.testing.assert_close(found["states"][0, at : at + 2], table.detach().double())


def test_what_a_prompt_begins_as() -> None:
    """Words of one, two and five sub-tokens: the mean of their vectors."""
    backbone = tiny("bert", "entail")
    coder, table = backbone.coder, backbone.model.get_input_embeddings().weight.detach()
    found: dict[int, str] = {}
    for word in ("boats", "a", "glad", "quick", "so", "dogs", "unsure", "zzz", "wxyz", "vwxyz"):
        found.setdefault(len(coder.ids([coder.continuation(word)])[0]), word)
    assert {1, 2, 5} <= set(found)
    words = [found[n] for n in (1, 2, 5)]
    attach(backbone, {"name": "prompt", "length": 4, "init": "words", "words": words})
    rows = backbone.tuning.table.detach()  # type: ignore[union-attr]
    for row, word in zip(rows, words, strict=False):
        ids = coder.ids([coder.continuation(word)])[0]
        expected = np.mean([table[i].double().numpy() for i in ids], axis=0)
        np.testing.assert_allclose(row.numpy(), expected, rtol=1e-5)
    assert (table == rows[3]).all(1).any()  # what is left is a word

    drawn = tiny("bert", "entail")
    attach(drawn, {"name": "prompt", "length": 4, "init": "vocabulary", "common": 10})
    special = set(drawn.coder.tokenizer.all_special_ids)
    plain = [i for i in range(len(drawn.coder.tokenizer)) if i not in special][:10]
    weight = drawn.model.get_input_embeddings().weight
    for row in drawn.tuning.table.detach():  # type: ignore[union-attr]
        (at,) = (weight == row).all(1).nonzero()[:, 0].tolist()
        assert at in plain


def test_prompts_that_cannot_stand_there() -> None:
    for settings, said in (
        ({"length": 90}, "no room"),
        ({"length": 0}, "without positions"),
        ({"after": [2]}, "behind the text of a causal model"),
        ({"between": [2]}, "between two texts"),
        ({"init": "words"}, "none given"),
    ):
        with pytest.raises(ConfigError, match=said):
            attach(tiny("gpt2", "generate"), {"name": "prompt", **settings})


@pytest.mark.parametrize("architecture", ["bert", "gpt2", "llama", "t5", "bart", "modernbert"])
def test_projections_by_name(architecture: str) -> None:
    format = "entail" if architecture in ("bert", "modernbert") else "generate"
    model = tiny(architecture, format).model
    found = layers(model)
    two = architecture in ("t5", "bart")
    assert [la.decoder for la in found] == [False, False, True, True][: 4 if two else 2]
    for layer in found:
        assert set(layer.parts) >= {"query", "key", "value", "out", "first", "second"}
        assert set(layer.cross) == ({"query", "key", "value", "out"} if layer.decoder else set())
        for kind, part in (*layer.parts.items(), *layer.cross.items()):
            assert part.stop - part.start == 32 or kind == "first"
    assert len(set(targets(model, ("second",)))) == len(found)
    with pytest.raises(ConfigError, match="no projection"):
        list(targets(model, ("queries",)))
