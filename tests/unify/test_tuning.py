"""Every way of tuning a frozen backbone, on every shape of model."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from unify_helpers import DEVICE, encoded, moods, tiny

from formats import FORMATS
from formats.collate import collate
from formats.errors import ConfigError, RunError, UnknownName
from formats.examples import LabelSpace
from unify import backbones
from unify.backbones import Backbone
from unify.learners import Optimization
from unify.tuning import TUNINGS, attach, counts, merge, saved

SHAPES = (
    ("bert", "entail"), ("bert", "generate"), ("gpt2", "generate"), ("llama", "generate"),
    ("t5", "generate"),
)
SMALL: dict[str, dict[str, Any]] = {
    "prompt": {"length": 3},
    "p_tuning": {"length": 3, "reparam": 8},
    "instance_prompt": {"length": 3, "size": 4},
    "structural_prompt": {
        "layout": "proqa", "length": 2, "values": {"Task": ["moods"], "Domain": ["sea", "land"]},
    },
    "prefix": {"length": 3, "reparam": 8},
    "lora": {"rank": 2},
    "adapter": {"size": 4},
    "parallel_adapter": {"size": 4},
    "unipelt": {"length": 3, "rank": 2, "size": 4},
}
OF_THE_TEXT = ("instance_prompt", "structural_prompt")  # not before a causal model
NOTHING = ("lora", "ia3", "adapter", "parallel_adapter", "adapter_bias", "bitfit")


def small(name: str) -> dict[str, Any]:
    return {"name": name, **SMALL.get(name, {})}


def rows_of(backbone: Backbone, format: str, count: int = 4, train: bool = False) -> Any:
    return encoded(backbone, FORMATS[format](), *moods(count), train=train)


def said(backbone: Backbone, format: str) -> torch.Tensor:
    """The scores of every option of some rows."""
    with torch.inference_mode():
        found = backbone.eval().predict(rows_of(backbone, format))
    return torch.tensor([v for p in found for v in getattr(p.raw, "values", None) or [p.raw.yes]])


def steps(backbone: Backbone, format: str, count: int = 2, lr: float = 0.05) -> None:
    """Some optimizer steps on some rows, as a learner takes them."""
    batch = collate(rows_of(backbone, format, train=True), backbone.layout, format
                    if backbone.layout.kind == "encoder" else "generate")
    optimizer = Optimization(lr=lr, schedule="constant", warmup=0.0).configure(backbone, count)
    backbone.train()
    for _ in range(count):
        optimizer["optimizer"].zero_grad()
        (backbone.loss(batch) / batch.weight).backward()
        optimizer["optimizer"].step()
    backbone.eval()


@pytest.mark.parametrize("name", TUNINGS)
@pytest.mark.parametrize("architecture,format", SHAPES)
def test_frozen_means_frozen(name: str, architecture: str, format: str, tmp_path: Path) -> None:
    backbone = tiny(architecture, format, spread=2.0)
    if name in OF_THE_TEXT and backbone.layout.kind == "causal":
        with pytest.raises(ConfigError, match="causal"):
            attach(backbone, small(name))
        return
    start = said(backbone, format)
    weights = {n: t.clone() for n, t in backbone.model.state_dict().items()}
    attach(backbone, small(name))
    fresh = said(backbone, format)
    if name in NOTHING:
        torch.testing.assert_close(fresh, start)
    else:
        assert not torch.allclose(fresh, start, atol=1e-4)
    steps(backbone, format)
    before = said(backbone, format)
    assert not torch.allclose(before, fresh, atol=1e-4)

    found = saved.untuned(backbone)
    own = {p.data_ptr() for p in saved.trained(backbone).values()}
    assert found.keys() == weights.keys()
    moved = {n for n in weights if not torch.equal(found[n], weights[n])}
    assert {found[n].data_ptr() for n in moved} <= own and (not moved or name == "bitfit")

    backbones.save(backbone, tmp_path / "model")
    torch.testing.assert_close(said(backbone, format), before)
    held = load_file(tmp_path / "model" / "tuning.safetensors")
    assert set(held) == set(backbone.tuning.trained)  # type: ignore[union-attr]
    assert sum(t.numel() for t in held.values()) == counts(backbone)[0] < counts(backbone)[1] / 4
    again = backbones.load(tmp_path / "model")
    torch.testing.assert_close(said(again, format), before)
    assert again.layout == backbone.layout
    torch.testing.assert_close(said(copy.deepcopy(again), format), before)


@pytest.mark.parametrize("name", ["lora", "ia3", "bitfit"])
@pytest.mark.parametrize("architecture,format", [("bert", "entail"), ("gpt2", "generate")])
def test_what_goes_into_the_weights(
    name: str, architecture: str, format: str, tmp_path: Path
) -> None:
    backbone = tiny(architecture, format, spread=2.0)
    keys = set(backbone.model.state_dict())
    attach(backbone, small(name))
    steps(backbone, format)
    before = said(backbone, format)
    merge(backbone)
    torch.testing.assert_close(said(backbone, format), before)
    assert set(backbone.model.state_dict()) == keys and backbone.tuning is None
    backbones.save(backbone, tmp_path / "plain")
    assert not (tmp_path / "plain" / "tuning.safetensors").exists()
    torch.testing.assert_close(said(backbones.load(tmp_path / "plain"), format), before)


def test_what_does_not_go_into_the_weights() -> None:
    for name in ("adapter", "prompt", "prefix", "adapter_bias", "unipelt"):
        backbone = tiny("bert", "entail")
        attach(backbone, small(name))
        with pytest.raises(ConfigError, match="does not go into the weights"):
            merge(backbone)
    t5 = tiny("t5", "generate")
    attach(t5, {"name": "bitfit"})
    with pytest.raises(ConfigError, match="no place for"):
        merge(t5)
    with pytest.raises(ConfigError, match="without biases"):
        attach(tiny("t5", "generate"), {"name": "bitfit", "add": False})


@pytest.mark.parametrize("name", TUNINGS)
def test_the_optimizer_holds_what_is_trained(name: str) -> None:
    backbone = tiny("bert", "entail")
    attach(backbone, small(name))
    optimizer = Optimization().configure(backbone, 1)["optimizer"]
    for parameter in backbone.parameters():
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    optimizer.step()
    held = sum(t.numel() for s in optimizer.state.values() for k, t in s.items() if k != "step")
    assert held == 2 * counts(backbone)[0]


def test_a_tuning_beside_a_pointer(tmp_path: Path) -> None:
    backbones.save(tiny("bert", "entail"), tmp_path / "base")
    backbone = backbones.load(tmp_path / "base")
    attach(backbone, small("lora"))
    steps(backbone, "entail")
    before = said(backbone, "entail")
    backbones.save(backbone, tmp_path / "tuned")
    files = {p.name: p.stat().st_size for p in (tmp_path / "tuned").iterdir()}
    assert set(files) == {"backbone.json", "tuning.safetensors"} and sum(files.values()) < 16_000
    told = json.loads((tmp_path / "tuned" / "backbone.json").read_text())["tuning"]
    assert told["backbone"] == str((tmp_path / "base").resolve())
    torch.testing.assert_close(said(backbones.load(tmp_path / "tuned"), "entail"), before)

    other = tiny("bert", "entail", seed=1)  # the same shape, other weights
    backbones.save(other, tmp_path / "base")
    with pytest.raises(RunError, match="another backbone"):
        backbones.load(tmp_path / "tuned")
    backbones.save(tiny("bert", "entail"), tmp_path / "base")
    (tmp_path / "tuned" / "tuning.safetensors").unlink()
    with pytest.raises(RunError, match="missing or torn"):
        backbones.load(tmp_path / "tuned")


def test_tuning_goes_on(tmp_path: Path) -> None:
    """A loaded tuning is trained further, and a second one is refused."""
    backbone = tiny("bert", "entail")
    attach(backbone, small("adapter"))
    backbones.save(backbone, tmp_path / "one")
    again = backbones.load(tmp_path / "one")
    assert attach(again, small("adapter")) is again.tuning
    assert attach(again, {"name": "full"}) is again.tuning
    with pytest.raises(ConfigError, match="tuned by adapter already"):
        attach(again, small("lora"))


def test_unknown_tunings_and_settings() -> None:
    backbone = tiny("bert", "entail")
    with pytest.raises(UnknownName, match="did you mean 'lora'"):
        attach(backbone, {"name": "loar"})
    with pytest.raises(UnknownName, match="rank"):
        attach(backbone, {"name": "lora", "rnak": 2})
    with pytest.raises(ConfigError, match="no parameter to train"):
        attach(backbone, {"name": "adapter_bias", "also": ["*Nrom*"]})


def test_parameters_trained_besides() -> None:
    backbone = tiny("bert", "entail")
    attach(backbone, {**small("adapter"), "also": ["*LayerNorm*"]})
    assert backbone.tuning is not None
    norms = [n for n in backbone.tuning.trained if "LayerNorm" in n]
    assert len(norms) == 2 * 5  # after the embeddings, and twice in each of two layers


@pytest.mark.parametrize("name", ["prompt", "prefix", "lora", "adapter", "unipelt"])
@pytest.mark.parametrize("architecture", ["gpt2", "llama", "t5"])
def test_shared_prefixes_and_caches_see_the_tuning(name: str, architecture: str) -> None:
    backbone = tiny(architecture, "generate")
    attach(backbone, small(name))
    steps(backbone, "generate")
    plain = said(backbone, "generate")
    backbone.sharing = True
    torch.testing.assert_close(said(backbone, "generate"), plain, atol=1e-4, rtol=1e-4)
    assert backbone.engine is not None and backbone.engine.path == "shared"  # type: ignore[union-attr]

    row = rows_of(backbone, "generate", 1)
    with torch.inference_mode():
        (text,) = backbone.generate(row)  # type: ignore[operator]
        model, layout = backbone.model, backbone.layout
        ids = [*layout.single_before, *row[0].shared.tolist()]
        made: list[int] = []
        while len(made) < layout.max_target:  # one by one, without a cache
            if architecture == "t5":
                source = torch.tensor([[*ids, *layout.single_after]], device=DEVICE)
                begun = [model.config.decoder_start_token_id, *made]
                start = torch.tensor([begun], device=DEVICE)
                logits = model(input_ids=source, decoder_input_ids=start, use_cache=False).logits
            else:
                read = torch.tensor([ids + made], device=DEVICE)
                logits = model(input_ids=read, use_cache=False).logits
            made.append(int(logits[0, -1].argmax()))
            if made[-1] == layout.eos:
                made.pop()
                break
    assert text == backbone.coder.text(made)


def test_meta_learning_of_a_prompt_alone() -> None:
    """Inner and outer steps move the prompt's vectors, through second derivatives, and no other."""
    from unify.learners import MAML

    backbone = tiny("llama", "generate", spread=2.0)
    attach(backbone, small("prompt"))
    learner = MAML(backbone, variant="maml", inner_steps=2, inner_lr=0.1)
    rows = rows_of(backbone, "generate", 4, train=True)
    support, query = (collate(r, backbone.layout, "generate") for r in (rows[:2], rows[2:]))
    learner.outer(support, query).backward()
    moved = {n for n, p in backbone.named_parameters() if p.grad is not None}
    assert moved == {"tuning.table"}
    gradient = backbone.get_parameter("tuning.table").grad
    assert gradient is not None
    table, at, h = backbone.get_parameter("tuning.table"), (1, 3), 1e-2
    values = []
    for step in (h, -h):  # the derivative by finite differences, in one coordinate
        with torch.no_grad():
            table[at] += step
        values.append(learner.outer(support, query).item())
        with torch.no_grad():
            table[at] -= step
    slope = (values[0] - values[1]) / (2 * h)
    assert float(gradient[at]) == pytest.approx(slope, rel=0.05, abs=1e-4)


@pytest.mark.parametrize("name", TUNINGS)
def test_every_tuning_learns(name: str) -> None:
    """What one word decides, by a cloze of a frozen model that was drawn at random."""
    backbone = tiny("bert", "generate", spread=4.0)
    attach(backbone, small(name))
    batch = collate(rows_of(backbone, "generate", 6, train=True), backbone.layout, "generate")
    with torch.no_grad():
        before = float(backbone.loss(batch))
    steps(backbone, "generate", 20, lr=0.05)
    with torch.no_grad():
        assert float(backbone.loss(batch)) < before - 0.3


WORDS = LabelSpace(("few", "some", "many"), ("dogs", "7", "7777"))


def worded(backbone: Backbone, format: str, train: bool = False) -> Any:
    rows = [replace(e, labels=WORDS, gold=WORDS.names[k % 3]) for k, e in enumerate(moods(6))]
    return encoded(backbone, FORMATS[format](), *rows, train=train)


def by_hand(backbone: Backbone, row: Any) -> list[float]:
    """Per option the mean log-probability of its tokens, one option at a time."""
    layout, model = backbone.layout, backbone.model
    source = [*layout.single_before, *row.shared.tolist()]
    longest = max(len(v) for v in row.variant_ids())
    means = []
    for option in (v.tolist() for v in row.variant_ids()):
        if layout.kind == "masked":
            holes = [layout.mask] * longest
            given = {"input_ids": [*source, *holes, *layout.single_after]}
            first = len(source)
        elif layout.kind == "causal":
            given, first = {"input_ids": [*source, *option]}, len(source) - 1
        else:
            begun = [model.config.decoder_start_token_id, *option[:-1]]
            given = {"input_ids": [*source, *layout.single_after], "decoder_input_ids": begun}
            first = 0
        read = {k: torch.tensor([v], device=DEVICE) for k, v in given.items()}
        logits = model(**read).logits[0, first : first + len(option)].double().log_softmax(-1)
        means.append(sum(logits[k, t].item() for k, t in enumerate(option)) / len(option))
    return means


@pytest.mark.parametrize("name", ["full", *TUNINGS])
@pytest.mark.parametrize("architecture,format", SHAPES)
def test_label_words_of_one_two_and_five_tokens(name: str, architecture: str, format: str) -> None:
    """Every word is learned and scored whole: what is said of it is that of all its tokens."""
    backbone = tiny(architecture, format, spread=2.0)
    if name in OF_THE_TEXT and backbone.layout.kind == "causal":
        with pytest.raises(ConfigError, match="causal"):
            attach(backbone, small(name))
        return
    if name != "full":
        attach(backbone, small(name))
    lengths = [len(i) for i in backbone.coder.ids([backbone.coder.continuation(w)
                                                   for w in WORDS.words])]  # fmt: skip
    assert sorted(lengths) == [1, 2, 5]
    kind = format if backbone.layout.kind == "encoder" else "generate"
    batch = collate(worded(backbone, format, train=True), backbone.layout, kind)
    moving = [p for p in backbone.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(moving, lr=0.01)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = backbone.loss(batch) / batch.weight
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert min(losses[1:]) < losses[0]
    rows = worded(backbone, format)
    with torch.inference_mode():
        found = backbone.eval().predict(rows)
        if format == "entail":
            values = [p.raw.yes for p in found]
            alone = [p.raw.yes for r in rows for p in backbone.predict([r])]
            assert len(values) == 18 and values == pytest.approx(alone, abs=1e-4)
            return
        end = 0 if backbone.layout.kind == "masked" else 1  # an end belongs to a written word
        for row, one in zip(rows, found, strict=True):
            assert [len(v) - end for v in row.variant_ids()] == lengths
            assert one.raw.values == pytest.approx(by_hand(backbone, row), abs=1e-3)
