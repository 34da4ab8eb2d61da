"""Language models: log-probabilities of whole options, greedy writing, padding that is not seen.

The reference is the plainest there is: one request, no padding, the whole row of logits.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from unify_helpers import DEVICE, encoded, greedy, moods, stored, tiny

from formats.collate import collate
from formats.entail import Entail
from formats.errors import ConfigError
from formats.examples import QuestionAnswering, TextClassification
from formats.features import as_generate
from formats.generate import Generate
from formats.instances import EntailInstance, GenerateInstance, Scores, Text
from unify.backbones import Backbone

SCORERS = ("llama", "gpt2", "t5", "bart", "bert")
WRITERS = ("llama", "gpt2", "t5", "bart")
ASKED = [
    GenerateInstance("Ann keeps three red boats. Which?", "boats",
                     ("boats", "three red boats", "no", "東京")),
    GenerateInstance("So?", "yes", ("yes", "no dogs in the harbour")),
    GenerateInstance("Bob keeps none of the dogs in Port Lund, does he? " * 2, "no", ("yes", "no")),
]


@pytest.fixture(scope="module")
def models() -> dict[str, Backbone]:
    return {
        name: tiny(name, "generate", "masked" if name == "bert" else "auto") for name in SCORERS
    }


def token_log_probabilities(
    backbone: Backbone, source: str, option: str, options: tuple[str, ...]
) -> list[float]:
    """Per token of ``option`` (its end included), by one forward pass without padding; the blanks
    of a masked model are as many as the longest of ``options`` has tokens."""
    layout, coder = backbone.layout, backbone.coder
    begin, end = list(layout.single_before), list(layout.single_after)
    (s,), (o,) = coder.ids([source]), coder.ids([coder.target(option)])
    model: Any = backbone.model
    with torch.inference_mode():
        if layout.kind == "masked":
            blanks = max(map(len, coder.ids([coder.target(each) for each in options])))
            ids = [*begin, *s, *([layout.mask] * blanks), *end]
            logits = model(input_ids=torch.tensor([ids], device=DEVICE)).logits[0]
            at = range(len(begin) + len(s), len(begin) + len(s) + len(o))
        elif layout.kind == "causal":
            o = [*o, layout.eos]
            ids = [*begin, *s, *o]
            logits = model(input_ids=torch.tensor([ids], device=DEVICE)).logits[0]
            at = range(len(ids) - len(o) - 1, len(ids) - 1)
        else:
            o = [*o, layout.eos]
            given = [model.config.decoder_start_token_id, *o[:-1]]
            logits = model(
                input_ids=torch.tensor([[*begin, *s, *end]], device=DEVICE),
                decoder_input_ids=torch.tensor([given], device=DEVICE),
            ).logits[0]
            at = range(len(o))
        table = logits.double().log_softmax(-1)
        return [table[i, t].item() for i, t in zip(at, o, strict=True)]


@pytest.mark.parametrize("score", ["mean", "sum"])
@pytest.mark.parametrize("name", SCORERS)
def test_options_score_what_the_plain_reference_says(
    models: dict[str, Backbone], name: str, score: str
) -> None:
    backbone: Any = models[name]
    backbone.score = score
    rows = stored(backbone, *([i] for i in ASKED))
    with torch.inference_mode():
        together = backbone.predict(rows)
        back = backbone.predict(rows[::-1])[::-1]
        alone = [backbone.predict([r])[0] for r in rows]
    for instance, *found in zip(ASKED, together, back, alone, strict=True):
        expected = []
        for option in instance.options:
            parts = token_log_probabilities(
                backbone, instance.source, option, instance.options
            )
            expected.append(sum(parts) / (len(parts) if score == "mean" else 1))
        for partial in found:
            assert isinstance(partial.raw, Scores)
            assert partial.raw.values == pytest.approx(expected, abs=1e-4)
    assert [(p.row, p.instance) for p in together] == [(0, 0), (1, 0), (2, 0)]


def test_mean_and_sum_can_disagree(models: dict[str, Backbone]) -> None:
    rows = stored(models["llama"], [ASKED[1]])
    values = {}
    for score in ("mean", "sum"):
        models["llama"].score = score  # type: ignore[assignment]
        (partial,) = models["llama"].predict(rows)
        values[score] = partial.raw.values  # type: ignore[union-attr]
    lengths = [len(v) for v in rows[0].variant_ids()]
    assert lengths[1] > lengths[0]
    assert values["sum"] == pytest.approx(
        [v * n for v, n in zip(values["mean"], lengths, strict=True)], rel=1e-5
    )


@pytest.mark.parametrize("name", SCORERS)
def test_the_loss_is_the_reference_cross_entropy(models: dict[str, Backbone], name: str) -> None:
    backbone = models[name]
    rows = stored(backbone, *([i] for i in ASKED), train=True)
    batch = collate(rows, backbone.layout, "generate")
    expected = [
        token_log_probabilities(backbone, i.source, str(i.target), i.options) for i in ASKED
    ]
    with torch.inference_mode():
        loss = backbone.loss(batch).item()
    assert batch.weight == sum(map(len, expected))
    assert loss == pytest.approx(-sum(map(sum, expected)), rel=1e-5)


def by_hand(backbone: Backbone, source: str) -> str:
    return backbone.coder.text(greedy(backbone, source, backbone.layout.max_target))


SOURCES = ["Ann keeps three boats.", "So?", "Bob keeps none of the dogs in Port Lund. " * 2, "7"]


@pytest.mark.parametrize("name", WRITERS)
def test_writing_is_greedy_decoding(models: dict[str, Backbone], name: str) -> None:
    backbone: Any = models[name]
    rows = stored(backbone, *([GenerateInstance(s, None)] for s in SOURCES))
    expected = [by_hand(backbone, s) for s in SOURCES]
    assert len(set(expected)) > 1 and all(expected)
    with torch.inference_mode():
        assert backbone.generate(rows) == expected
        assert [backbone.generate([r])[0] for r in rows] == expected
        assert [p.raw for p in backbone.predict(rows)] == [Text(t) for t in expected]


@pytest.mark.parametrize("name", ["llama", "t5"])
def test_writing_follows_no_habit_of_a_published_model(name: str) -> None:
    """A saved generation configuration (beams, penalties, shortest lengths) does not leak in."""
    backbone: Any = tiny(name, "generate")
    config = backbone.model.generation_config
    config.repetition_penalty, config.no_repeat_ngram_size = 3.0, 1
    config.min_new_tokens, config.num_beams, config.max_length = 3, 2, 4
    rows = stored(backbone, *([GenerateInstance(s, None)] for s in SOURCES))
    with torch.inference_mode():
        assert backbone.generate(rows) == [by_hand(backbone, s) for s in SOURCES]


def test_writing_stops_at_the_end() -> None:
    backbone: Any = tiny("llama", "generate")
    with torch.no_grad():  # a model that says one thing and then ends
        backbone.model.lm_head.weight.zero_()
    rows = stored(backbone, [GenerateInstance("So?", None)])
    first = backbone.generate(rows)[0]
    assert by_hand(backbone, "So?") == first
    for parameter in backbone.parameters():
        assert torch.isfinite(parameter).all()


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_window_can_still_be_written_to(name: str) -> None:
    """A source that fills the window leaves room for the longest target, whatever its gold is."""
    backbone: Any = tiny(name, "generate", max_target=20)
    rows = stored(backbone, [GenerateInstance("boats and dogs " * 60, "no")])
    assert rows[0].cut > 0
    with torch.inference_mode():
        (text,) = backbone.generate(rows)
    assert isinstance(text, str)


def test_padding_on_the_left_is_not_seen(models: dict[str, Backbone]) -> None:
    for name in ("llama", "gpt2"):
        backbone = models[name]
        rows = stored(backbone, [ASKED[1]], [ASKED[2]], train=True)
        batch = collate(rows, backbone.layout, "generate")
        assert batch.mask[0, 0] == 0 and batch.mask[:, -1].all()
        other = collate(rows, backbone.layout, "generate")
        other.ids[other.mask == 0] = 77  # whatever stands there
        with torch.inference_mode():
            for a, b in zip(
                backbone.log_probabilities(batch), backbone.log_probabilities(other),  # type: ignore[operator]
                strict=True,
            ):
                assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("name", ["llama", "t5", "bert"])
def test_entailment_is_asked_in_words(models: dict[str, Backbone], name: str) -> None:
    backbone = models[name]
    backbone.score = "sum"  # type: ignore[assignment]
    instance = EntailInstance("Ann keeps boats.", "She has boats.", 1.0)
    (row,) = stored(backbone, [instance])
    with torch.inference_mode():
        (partial,) = backbone.predict([row])
    source = as_generate(instance).source
    words = ("yes", "no")
    expected = [sum(token_log_probabilities(backbone, source, w, words)) for w in words]
    assert isinstance(partial.raw, Scores)
    assert partial.raw.values == pytest.approx(expected, abs=1e-4)


def test_training_rows_take_the_target_alone(models: dict[str, Backbone]) -> None:
    backbone = models["llama"]
    train = encoded(backbone, Generate(), *moods(3), train=True)
    assert [len(r.widths) for r in train] == [1, 1, 1]
    assert all(len(r.widths) == 2 for r in encoded(backbone, Generate(), *moods(3)))
    entail = encoded(backbone, Entail(), *moods(2), train=True)
    assert [(r.row, r.instance, len(r.widths)) for r in entail] == [
        (0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 1)
    ]


# Refusals


def test_a_masked_model_refuses_to_write(models: dict[str, Backbone]) -> None:
    backbone: Any = models["bert"]
    assert backbone.refusal(TextClassification, "generate") is None
    assert backbone.refusal(QuestionAnswering, "entail") is None
    assert "needs free generation" in backbone.refusal(QuestionAnswering, "generate")
    with pytest.raises(ConfigError, match="cannot write freely") as caught:
        backbone.generate([])
    assert "model=tiny_llama" in str(caught.value)


def test_a_score_is_a_mean_or_a_sum() -> None:
    with pytest.raises(ConfigError, match="unknown scoring") as caught:
        tiny("llama", "generate", score="max")
    assert (caught.value.got, caught.value.expected) == ("max", "mean or sum")
