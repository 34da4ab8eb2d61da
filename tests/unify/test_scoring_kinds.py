"""Encoder-decoder and masked models: batches and caches do not change what one request gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from unify_helpers import DEVICE, tiny

from formats.errors import ConfigError, UnknownName
from unify.scoring import Coded, Engine, Request
from unify.scoring._memory import Budget
from unify.scoring.load import in_one_kernel, limit
from unify.scoring.masked import ESTIMATORS, Masked, inputs

CONTEXTS = ["Ann keeps three red boats. Which?", "So?", "Bob keeps none of the dogs in Port Lund."]
OPTIONS = ["boats", "three red boats", "no dogs in the harbour", "no"]
ASKED = [Request(c, o) for c in CONTEXTS for o in OPTIONS]


def by_hand(backbone: Any, request: Request, end: bool) -> list[float]:
    """Per token of the continuation, by one pass of encoder and decoder."""
    layout, coder, model = backbone.layout, backbone.coder, backbone.model
    (source,), (target,) = coder.ids([request.context]), coder.ids([request.continuation])
    target = [*target, *([layout.eos] if end else [])]
    begun = [*layout.single_before, *source, *layout.single_after]
    given = [model.config.decoder_start_token_id, *target[:-1]]
    with torch.inference_mode():
        logits = model(
            input_ids=torch.tensor([begun], device=DEVICE),
            decoder_input_ids=torch.tensor([given], device=DEVICE),
        ).logits[0]
    table = logits.double().log_softmax(-1)
    return [table[k, t].item() for k, t in enumerate(target)]


@pytest.mark.parametrize("end", [False, True])
@pytest.mark.parametrize("budget", [1, 40, 4096])
@pytest.mark.parametrize("name", ["t5", "bart"])
def test_seq2seq_options_share_their_encoder(name: str, budget: int, end: bool) -> None:
    backbone: Any = tiny(name, "generate")
    engine = Engine(backbone.model, backbone.coder, end=end, budget=Budget(budget))
    assert (engine.path, engine.why) == ("shared", None)
    scores = engine.score(ASKED)
    for request, score in zip(ASKED, scores, strict=True):
        expected = by_hand(backbone, request, end)
        assert score.logprob == pytest.approx(sum(expected), abs=1e-4)
        assert score.tokens == len(expected)
    back = engine.score(ASKED[::-1])[::-1]
    assert [s.logprob for s in back] == pytest.approx([s.logprob for s in scores], abs=1e-4)


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_the_encoder_runs_once_per_context(name: str) -> None:
    backbone: Any = tiny(name, "generate")
    engine = Engine(backbone.model, backbone.coder)
    rows: list[int] = []
    handle = backbone.model.get_encoder().register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    engine.checked = 1000
    engine.score(ASKED)
    handle.remove()
    assert sum(rows) == len(CONTEXTS)


def test_seq2seq_goes_on_after_running_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone: Any = tiny("t5", "generate")
    engine = Engine(backbone.model, backbone.coder, budget=Budget(512))
    expected = [s.logprob for s in engine.score(ASKED)]
    encoder = backbone.model.get_encoder()
    forward = encoder.forward

    def narrow(**given: Any) -> Any:
        if len(given["input_ids"]) > 1:
            raise torch.OutOfMemoryError("out of memory")
        return forward(**given)

    monkeypatch.setattr(encoder, "forward", narrow)
    found = engine.score(ASKED)
    assert [s.logprob for s in found] == pytest.approx(expected, abs=1e-4)
    assert engine.budget is not None and engine.budget.halved > 0


def test_what_each_estimator_shows() -> None:
    request = Coded((7, 8, 9), 0, source=(1, 5), after=(6, 2))
    assert list(inputs(request, 4, "blanks")) == [((1, 5, 4, 4, 4, 6, 2), [0, 1, 2])]
    assert list(inputs(request, 4, "pll")) == [
        ((1, 5, 4, 8, 9, 6, 2), [0]),
        ((1, 5, 7, 4, 9, 6, 2), [1]),
        ((1, 5, 7, 8, 4, 6, 2), [2]),
    ]
    assert list(inputs(request, 4, "pll-l2r")) == [
        ((1, 5, 4, 4, 4, 6, 2), [0]),
        ((1, 5, 7, 4, 4, 6, 2), [1]),
        ((1, 5, 7, 8, 4, 6, 2), [2]),
    ]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_masked_options_are_scored_whole(estimator: Any) -> None:
    backbone: Any = tiny("bert", "generate", "masked")
    engine = Engine(backbone.model, backbone.coder, estimator=estimator, budget=Budget(90))
    assert (engine.path, engine.why) == ("shared", None)
    layout, coder, model = backbone.layout, backbone.coder, backbone.model
    asked = [Request(r.context, r.continuation, " in the harbour.") for r in ASKED]
    scores = engine.score(asked)
    (behind,) = coder.ids([" in the harbour."])
    for request, score in zip(asked, scores, strict=True):
        (before,), (target,) = coder.ids([request.context]), coder.ids([request.continuation])
        total, n = 0.0, len(target)
        for k in range(n):
            hidden = {"blanks": range(n), "pll": [k], "pll-l2r": range(k, n)}[estimator]
            shown = [layout.mask if i in hidden else t for i, t in enumerate(target)]
            ids = [*layout.single_before, *before, *shown, *behind, *layout.single_after]
            with torch.inference_mode():
                logits = model(
                    input_ids=torch.tensor([ids], device=DEVICE)
                ).logits[0].double()
            at = len(layout.single_before) + len(before) + k
            total += logits[at].log_softmax(-1)[target[k]].item()
        assert score.logprob == pytest.approx(total, abs=1e-4)
        assert score.tokens == n


def test_options_of_one_length_share_their_blanks() -> None:
    backbone: Any = tiny("bert", "generate", "masked")
    scorer = Masked(backbone.model, Budget(512), backbone.layout.pad, backbone.layout.mask)
    coded = [Coded((k, k + 1), 0, source=(2, 9, 9), after=(3,)) for k in range(20, 40)]
    scorer.score(coded)
    assert scorer.work.tokens == 6


def test_an_unknown_estimator_is_refused() -> None:
    backbone: Any = tiny("bert", "generate", "masked")
    with pytest.raises(UnknownName, match="pll"):
        Engine(backbone.model, backbone.coder, estimator="pl")  # type: ignore[arg-type]


def test_an_encoder_with_a_head_is_refused() -> None:
    backbone: Any = tiny("bert", "entail")
    with pytest.raises(ConfigError, match="cannot score"):
        Engine(backbone.model, backbone.coder)


def test_an_activation_in_one_kernel_says_the_same() -> None:
    model = tiny("gpt2", "generate").model
    ids = torch.tensor([[5, 9, 3, 12, 7]], device=DEVICE)
    with torch.inference_mode():
        before = model(input_ids=ids).logits
        after = in_one_kernel(model)(input_ids=ids).logits
    assert "NewGELU" not in str(model) and "approximate='tanh'" in str(model)
    assert torch.allclose(before, after, atol=1e-5)


def test_many_options_of_one_source_are_taken_fewer_at_a_time() -> None:
    backbone: Any = tiny("bart", "generate", window=96, max_target=12)
    engine = Engine(backbone.model, backbone.coder, budget=Budget(512))
    asked = [Request("Which of the boats?", f" boat {k} of {k}") for k in range(40)]
    right = [s.logprob for s in engine.score(asked)]

    def full(module: Any, args: Any, given: dict[str, Any]) -> None:
        if given["decoder_input_ids"].numel() > 60:
            raise torch.OutOfMemoryError("out of memory")

    handle = backbone.model.register_forward_pre_hook(full, with_kwargs=True)
    found = [s.logprob for s in engine.score(asked)]
    handle.remove()
    assert found == pytest.approx(right, abs=1e-4)
    assert engine.budget is not None and engine.budget.halved > 0


@pytest.mark.parametrize("name", ["MPNet", "Roberta", "XLMRobertaXL", "Bert"])
def test_positions_that_begin_behind_the_padding_are_no_room(name: str, tmp_path: Path) -> None:
    import transformers

    config = getattr(transformers, f"{name}Config")(
        vocab_size=400, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=48, max_position_embeddings=66, pad_token_id=1,
    )
    model = getattr(transformers, f"{name}ForMaskedLM")(config)
    most = limit(config, model)
    assert most == (66 if name == "Bert" else 64)
    with torch.no_grad():
        model(input_ids=torch.full((1, most), 7))
    with pytest.raises((IndexError, RuntimeError)), torch.no_grad():
        model(input_ids=torch.full((1, most + 1), 7))
