"""Backbones: one answer per row whatever the batch, folders that read back, and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from format_tokenizers import made
from unify_helpers import TINY, encoded, moods, stored, tiny

from formats import FORMATS
from formats.collate import collate
from formats.errors import ConfigError, RunError, UnknownName
from formats.examples import QuestionAnswering, Span
from formats.instances import EntailInstance, Entailment, GenerateInstance, Raw, Scores, Spans, Text
from formats.store import StoredRow
from unify.backbones import HEADS, Backbone, build, load, load_pretrained, save
from unify.backbones.factory import head_for

HEADED = {  # head -> architecture, format, its options
    "span": ("modernbert", "extract", {"most": 7, "longest": 9}),
    "global_pointer": ("bert", "extract", {"types": 2, "size": 8}),
    "pair": ("modernbert", "entail", {"labels": ["entail", "neutral", "contradict"], "yes": 0,
                                      "pool": "mean"}),
    "dual": ("modernbert", "entail", {"scale": 3.0, "bias": -0.5}),
    "nsp": ("bert", "entail", {}),
    "causal": ("llama", "generate", {"score": "sum"}),
    "seq2seq": ("t5", "generate", {}),
    "masked": ("bert", "generate", {}),
}


def headed(head: str, seed: int = 0) -> Backbone:
    architecture, format, options = HEADED[head]
    return tiny(architecture, format, head, seed=seed, **options)


def asked(backbone: Backbone) -> list[StoredRow]:
    """Rows of differing lengths; open ones too, where the head can answer them."""
    format = FORMATS[backbone.format[0]]()
    examples: list[Any] = list(moods(5))
    if backbone.name in ("span", "global_pointer", "causal", "seq2seq"):
        passage = "Ann keeps three red boats and Bob none. " * 3
        examples.append(QuestionAnswering("q/data/5", "Who keeps boats?", passage,
                                          (frozenset([Span(0, 3)]),)))
    return encoded(backbone, format, *examples)


def flat(raw: Raw) -> list[Any]:
    if isinstance(raw, Text):
        return [raw.text]
    if isinstance(raw, Scores):
        return list(raw.values)
    if isinstance(raw, Entailment):
        return [raw.yes]
    assert isinstance(raw, Spans)
    return [x for s in raw.spans for x in (s.start, s.end, s.type, s.score)]


def predictions(backbone: Backbone, batches: list[list[StoredRow]]) -> dict[Any, list[Any]]:
    with torch.inference_mode():
        partials = [p for b in batches for p in backbone.predict(b)]
    return {(p.row, p.instance): flat(p.raw) for p in partials}


def test_every_head_is_tested_here() -> None:
    assert set(HEADED) == set(HEADS)


@pytest.mark.parametrize("head", HEADED)
def test_an_answer_does_not_depend_on_its_batch(head: str) -> None:
    backbone = headed(head)
    rows = asked(backbone)
    together = predictions(backbone, [rows])
    assert len(together) >= len(rows)
    for other in ([rows[::-1]], [[r] for r in rows], [rows[:2], rows[2:]]):
        found = predictions(backbone, other)
        assert found.keys() == together.keys()
        for key, values in together.items():
            assert found[key] == pytest.approx(values, abs=2e-4), key


@pytest.mark.parametrize("head", ["span", "pair", "nsp", "masked", "seq2seq"])
def test_what_stands_in_the_padding_is_not_seen(head: str) -> None:
    backbone: Any = headed(head)
    format = "generate" if backbone.layout.kind != "encoder" else backbone.format[0]
    rows = asked(backbone)
    batch = collate(rows, backbone.layout, format)
    assert (batch.mask == 0).any()
    with torch.inference_mode():
        before = backbone.loss(batch).item()
        batch.ids[batch.mask == 0] = 99
        assert backbone.loss(batch).item() == pytest.approx(before, rel=1e-5)


# Directions and label ids


def test_next_sentence_means_yes() -> None:
    backbone: Any = headed("nsp")
    rows = stored(backbone, [EntailInstance("Ann keeps boats.", "She has boats.", 1.0)])
    whole = backbone.coder.tokenizer(
        "Ann keeps boats.", "She has boats.", return_tensors="pt", return_token_type_ids=True
    )
    assert whole["token_type_ids"].sum() > 0  # the second text is told apart by its type
    with torch.inference_mode():
        logits = backbone.model(**whole).logits[0]
        (partial,) = backbone.predict(rows)
    # BERT's classes: 0 is "the second follows", 1 is "it was drawn at random".
    assert partial.raw.yes == pytest.approx((logits[0] - logits[1]).item(), abs=1e-5)


@pytest.mark.parametrize("yes", [0, 1, 2])
def test_the_yes_class_is_the_one_that_is_named(yes: int) -> None:
    backbone: Any = tiny("modernbert", "entail", labels=["a", "b", "c"], yes=yes)
    with torch.no_grad():
        backbone.head.out.weight.zero_()
        backbone.head.out.bias.copy_(torch.tensor([1.0, 2.0, 4.0]))
        (partial,) = backbone.predict(stored(backbone, [EntailInstance("a", "b", None)]))
    share = torch.tensor([1.0, 2.0, 4.0]).softmax(0)[yes].item()
    assert 1 / (1 + torch.tensor(-partial.raw.yes).exp()) == pytest.approx(share, abs=1e-5)


@pytest.mark.parametrize("head", ["pair", "nsp"])
def test_training_on_yes_raises_the_odds_of_yes(head: str) -> None:
    backbone: Any = headed(head)
    rows = stored(backbone, [EntailInstance("Ann keeps boats.", "She does.", 1.0)])
    batch = collate(rows, backbone.layout, "entail")
    before = backbone.odds(batch).item()
    optimizer = torch.optim.SGD(backbone.parameters(), lr=1e-3)
    backbone.loss(batch).backward()
    optimizer.step()
    assert backbone.odds(batch).item() > before


@pytest.mark.parametrize("pool", ["first", "mean"])
def test_pooling_reads_real_tokens(pool: str) -> None:
    head: Any = tiny("modernbert", "entail", pool=pool).head  # type: ignore[attr-defined]
    hidden = torch.randn(1, 4, 32)
    mask = torch.tensor([[1, 1, 0, 0]])
    pooled = hidden[:, 0] if pool == "first" else hidden[:, :2].mean(1)
    expected = head.out(torch.tanh(head.dense(pooled)))
    assert torch.allclose(head(hidden, mask), expected, atol=1e-6)


# Folders


@pytest.mark.parametrize("head", HEADED)
def test_a_saved_backbone_answers_the_same(head: str, tmp_path: Path) -> None:
    backbone = headed(head, seed=3)
    save(backbone, tmp_path / "model")
    again = load(tmp_path / "model").eval()
    assert again.name == head and again.head_options() == backbone.head_options()
    assert again.layout == backbone.layout
    assert again.coder.fingerprint() == backbone.coder.fingerprint()
    mine, theirs = backbone.state_dict(), again.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[k], theirs[k]) for k in mine)
    assert predictions(again, [asked(again)]) == predictions(backbone, [asked(backbone)])


@pytest.mark.parametrize("head", ["causal", "seq2seq", "masked", "nsp", "pair", "span"])
def test_a_hugging_face_folder_is_read_and_written(head: str, tmp_path: Path) -> None:
    """What transformers saved, we load; what we save, transformers loads."""
    import transformers

    from unify.backbones.factory import _AUTO

    architecture, format, _ = HEADED[head]
    original = tiny(architecture, format, head, seed=5)
    original.model.save_pretrained(tmp_path / "hf")  # type: ignore[operator]
    made("bpe").save_pretrained(tmp_path / "hf")
    backbone = load_pretrained(str(tmp_path / "hf"), format=format, head=head, window=96,
                               max_target=12).eval()
    assert backbone.layout == original.layout
    for key, value in original.model.state_dict().items():
        assert torch.equal(backbone.model.state_dict()[key], value), key
    if not backbone.head_modules():  # a fresh head has fresh weights
        assert predictions(backbone, [asked(backbone)]) == predictions(original, [asked(original)])
    save(backbone, tmp_path / "ours")
    theirs = getattr(transformers, _AUTO[head]).from_pretrained(tmp_path / "ours")
    for key, value in backbone.model.state_dict().items():
        assert torch.equal(theirs.state_dict()[key], value), key


def test_the_window_stays_within_the_models_positions(tmp_path: Path) -> None:
    config = transformers_config("roberta")
    model = transformers_model(config)
    model.save_pretrained(tmp_path)
    made("roberta").save_pretrained(tmp_path)
    # RoBERTa's positions begin behind its padding: 40 of them hold 38 tokens.
    backbone = load_pretrained(str(tmp_path), format="extract", window=256)
    assert backbone.layout.window == 38
    rows = encoded(backbone, FORMATS["extract"](), QuestionAnswering(
        "q/data/0", "Who?", "boats and dogs " * 30, (frozenset([Span(0, 5)]),)))
    assert max(r.length for r in rows) == 38
    assert len(predictions(backbone.eval(), [rows])) == 1
    assert load_pretrained(str(tmp_path), format="extract", window=20).layout.window == 20


def transformers_config(kind: str) -> Any:
    from transformers import AutoConfig

    return AutoConfig.for_model(
        kind, vocab_size=len(made("roberta")), hidden_size=32, num_hidden_layers=1,
        num_attention_heads=2, intermediate_size=48, max_position_embeddings=40, pad_token_id=1,
        type_vocab_size=1,
    )


def transformers_model(config: Any) -> Any:
    from transformers import AutoModelForMaskedLM

    torch.manual_seed(0)
    return AutoModelForMaskedLM.from_config(config)


def test_a_torn_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no saved backbone here") as caught:
        load(tmp_path)
    assert caught.value.where["file"] == str(tmp_path)
    save(headed("pair"), tmp_path / "model")
    (tmp_path / "model" / "head.safetensors").unlink()
    with pytest.raises(RunError, match="head"):
        load(tmp_path / "model")
    note = json.loads((tmp_path / "model" / "backbone.json").read_text())
    (tmp_path / "model" / "backbone.json").write_text(json.dumps({**note, "head": "pairs"}))
    with pytest.raises(UnknownName, match="did you mean 'pair'"):
        load(tmp_path / "model")


# Refusals


def test_names_that_nothing_answers_to() -> None:
    common: dict[str, Any] = {"config": {}, "tokenizer": made("bpe"), "format": "extract"}
    with pytest.raises(UnknownName, match="unknown architecture 'modernbart'") as caught:
        build(architecture="modernbart", **common)
    assert "modernbert" in str(caught.value)
    with pytest.raises(UnknownName, match="did you mean 'span'"):
        build(architecture="bert", **{**common, "config": TINY["bert"]}, head="spam")


@pytest.mark.parametrize(
    ("architecture", "format", "head", "what"),
    [
        ("llama", "extract", "auto", "a causal model cannot extract"),
        ("t5", "extract", "auto", "a seq2seq model cannot extract"),
        ("bert", "extract", "pair", "head pair does not answer in the format extract"),
        ("bert", "generate", "span", "head span does not answer in the format generate"),
    ],
)
def test_what_a_model_cannot_do_is_said(
    architecture: str, format: str, head: str, what: str
) -> None:
    with pytest.raises(ConfigError, match=what):
        tiny(architecture, format, head)


def test_heads_of_their_own_accord() -> None:
    from transformers import AutoConfig

    found = {
        (a, f): head_for(AutoConfig.for_model(a), f)
        for a, f in [("bert", "extract"), ("bert", "entail"), ("bert", "generate"),
                     ("gpt2", "generate"), ("llama", "entail"), ("t5", "generate"),
                     ("bart", "entail"), ("roberta", "extract")]
    }
    assert found == {
        ("bert", "extract"): "span", ("bert", "entail"): "pair", ("bert", "generate"): "masked",
        ("gpt2", "generate"): "causal", ("llama", "entail"): "causal",
        ("t5", "generate"): "seq2seq", ("bart", "entail"): "seq2seq",
        ("roberta", "extract"): "span",
    }


@pytest.mark.parametrize("options", [{"yes": 2}, {"pool": "max"}])
def test_impossible_heads(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        tiny("modernbert", "entail", **options)


def test_no_model_where_none_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no model could be loaded from") as caught:
        load_pretrained(str(tmp_path), format="extract")
    assert "local folder" in str(caught.value)


def test_batches_of_one_task_reach_the_loss_as_they_are() -> None:
    backbone = headed("causal")
    rows = stored(backbone, [GenerateInstance("So?", "yes")], train=True)
    batch = collate(rows, backbone.layout, "generate")
    assert backbone.loss(batch).requires_grad
