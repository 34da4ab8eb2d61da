"""Causal scoring: whatever is shared, packed, padded or halved, the numbers are the plain ones."""

from __future__ import annotations

import random
import statistics
from typing import Any

import pytest
import torch
from format_tokenizers import made
from hypothesis import given, settings
from hypothesis import strategies as st
from unify_helpers import DEVICE, tiny

from formats.errors import ConfigError
from unify.backbones import build
from unify.scoring import Coded, Engine, Request
from unify.scoring._lanes import fill, lay, within
from unify.scoring._memory import Budget
from unify.scoring._shared import cache_name
from unify.scoring._tree import build as tree
from unify.scoring.causal import Causal, plain

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "intermediate_size": 48}
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "learned": ("gpt2", {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 256}),
    "grouped": ("llama", {**SMALL, "max_position_embeddings": 256}),
    "sliding": ("mistral", {**SMALL, "max_position_embeddings": 256, "sliding_window": 16}),
    "mixed": ("gemma3_text", {**SMALL, "head_dim": 8, "max_position_embeddings": 256,
                              "sliding_window": 16, "num_hidden_layers": 2,
                              "layer_types": ["sliding_attention", "full_attention"]}),
}  # fmt: skip


def backbone(shape: str) -> Any:
    architecture, config = SHAPES[shape]
    torch.manual_seed(0)
    built = build(architecture=architecture, config=config, tokenizer=made("gpt"),
                  format="generate", window=250)  # fmt: skip
    with torch.no_grad():
        for parameter in built.parameters():
            if parameter.ndim > 1:
                parameter.mul_(6)
    return built.to(DEVICE).eval()


@pytest.fixture(scope="module", params=SHAPES)
def model(request: pytest.FixtureRequest) -> Any:
    return backbone(request.param).model


def drawn(seed: int = 0, prefix: int = 60, rows: int = 7) -> list[Coded]:
    """Rows of several lengths behind one prefix, their options beginning alike."""
    draw = random.Random(seed)

    def some(n: int) -> tuple[int, ...]:
        return tuple(draw.randrange(5, 300) for _ in range(n))

    head, coded = some(prefix), []
    for k in range(rows):
        row = (head if k % 3 else head[:20]) + some(draw.randrange(2, 15))
        alike = some(2)
        coded += [Coded((*row, *(alike if o < 2 else ()), *some(draw.randrange(1, 5))), len(row))
                  for o in range(4)]  # fmt: skip
    return coded


def reference(model: Any, coded: list[Coded]) -> list[float]:
    return torch.cat([plain(model, c)[0] for c in coded]).tolist()


@pytest.mark.parametrize("budget", [40, 100, 100_000])
def test_sharing_does_not_change_the_numbers(model: Any, budget: int) -> None:
    coded = drawn()
    found = Causal(model, Budget(budget)).score(coded)
    assert found.logprob.tolist() == pytest.approx(reference(model, coded), abs=1e-4)
    shuffled = random.Random(1).sample(range(len(coded)), len(coded))
    again = list(Causal(model, Budget(budget)).score([coded[k] for k in shuffled]).each())
    together = list(found.each())
    for place, k in enumerate(shuffled):
        assert again[place][0] == pytest.approx(together[k][0], abs=1e-4)
        assert again[place][1] == together[k][1]


def test_the_numbers_depend_on_the_prefix(model: Any) -> None:
    # Otherwise a prefix that is lost would not be noticed.
    coded = drawn()
    other = [Coded((*c.ids[: c.begin - 8], 7, *c.ids[c.begin - 7 :]), c.begin) for c in coded]
    mine, changed = reference(model, coded), reference(model, other)
    assert statistics.median(abs(a - b) for a, b in zip(mine, changed, strict=True)) > 1e-2


def test_what_is_shared_is_computed_once() -> None:
    coded = drawn()
    scorer = Causal(backbone("learned").model, Budget(64))
    scorer.score(coded)
    root, _ = tree([c.ids[:-1] for c in coded])
    assert scorer.work.tokens == root.total < sum(len(c.ids) for c in coded) / 8
    # A place that several options are scored at counts once.
    places = {(c.ids[:i]) for c in coded for i in range(c.begin, len(c.ids))}
    assert scorer.work.scored == len(places)


def test_out_of_memory_halves_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    model = backbone("grouped").model
    coded = drawn()
    expected = reference(model, coded)
    forward, failed = model.forward, []

    def narrow(**inputs: Any) -> Any:
        if inputs["input_ids"].numel() > 30:
            failed.append(inputs["input_ids"].shape)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(**inputs)

    scorer = Causal(model, Budget(4096))
    monkeypatch.setattr(model, "forward", narrow)
    found = scorer.score(coded)
    assert failed and scorer.budget.tokens < 4096 and scorer.budget.halved > 0
    assert found.logprob.tolist() == pytest.approx(expected, abs=1e-4)


def test_another_error_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = backbone("grouped").model

    def broken(**inputs: Any) -> Any:
        raise RuntimeError("shapes")

    monkeypatch.setattr(model, "forward", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        Causal(model, Budget(4096)).score(drawn())


tokens = st.lists(st.integers(0, 2), min_size=1, max_size=7).map(tuple)


@settings(max_examples=200, deadline=None)
@given(st.lists(tokens, min_size=1, max_size=12))
def test_the_tree_spells_every_sequence_and_nothing_twice(sequences: list[Any]) -> None:
    root, ends = tree(sequences)
    for sequence, end in zip(sequences, ends, strict=True):
        spelt = [t for n in end.path() for t in sequences[n.source][n.start : n.end]]
        assert tuple(spelt) == sequence
    prefixes = {s[: k + 1] for s in sequences for k in range(len(s))}
    assert root.total == len(prefixes) == sum(len(n) for n in root.subtree())


@settings(max_examples=100, deadline=None)
@given(st.lists(tokens, min_size=1, max_size=12), st.integers(1, 12), st.integers(1, 20))
def test_lanes_let_a_token_see_its_own_past(sequences: list[Any], width: int, budget: int) -> None:
    root, _ = tree(sequences)
    batches = list(fill(root.children, width, budget))
    kept = [id(n) for lanes in batches for lane in lanes for n in lane]
    assert sorted(kept) == sorted(id(c) for c in root.children)
    for lanes in batches:
        laid = lay(lanes, sequences, shared=3)
        length = laid.ids.shape[1]
        for node, at in laid.at:
            row, column = divmod(at, length)
            for k in range(len(node)):
                seen = laid.seen[row, column + k]
                assert seen[:3].all()
                own = laid.ids[row][seen[3:]].tolist()
                assert own == list(sequences[node.source][: node.start + k + 1])
                assert laid.positions[row, column + k] == node.start + k


def test_a_window_hides_what_is_further_back() -> None:
    root, _ = tree([(1, 2, 3, 4)])
    laid = lay([[root.children[0]]], [(1, 2, 3, 4)], 0)
    near = within(laid.seen, laid.positions, 0, 2)
    assert near[0].astype(int).tolist() == [
        [1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]
    ]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_the_engine_takes_the_shared_path_and_agrees(shape: str) -> None:
    built = backbone(shape)
    engine = Engine(built.model, built.coder)
    assert (engine.path, engine.why) == ("shared", None)
    head = "Ann keeps three red boats in the harbour. " * 6
    requests = [Request(head + f"Who keeps boat {k}?", f" {who}{' so' * k}")
                for k in range(3) for who in ("Ann", "Bob and Ann", "no one")]  # fmt: skip
    scores = engine.score(requests)
    for request, score in zip(requests, scores, strict=True):
        ids = built.coder.ids([str(request.context) + str(request.continuation)])[0]
        given = len(built.coder.ids([str(request.context)])[0])
        alone = plain(built.model, Coded(tuple(ids), given))
        assert score.logprob == pytest.approx(alone[0].sum().item(), abs=1e-4)
        assert score.tokens == len(ids) - given
        assert score.bytes == len(str(request.continuation).encode())


def test_a_model_whose_sharing_is_wrong_is_scored_plainly() -> None:
    built = backbone("grouped")
    forward = built.model.forward

    def deaf(**inputs: Any) -> Any:  # forgets what was cached
        inputs.pop(cache_name(built.model), None)
        mask = inputs.pop("attention_mask", None)
        if mask is not None and mask.ndim == 4:
            inputs["attention_mask"] = mask[..., -inputs["input_ids"].shape[1] :]
        return forward(**inputs)

    import inspect

    deaf.__signature__ = inspect.signature(forward)  # type: ignore[attr-defined]
    built.model.forward = deaf
    engine = Engine(built.model, built.coder)
    assert engine.path == "plain"
    assert engine.why is not None and "differed" in engine.why
    (score,) = engine.score([Request("Ann keeps boats.", " no dogs")])
    assert score.logprob == pytest.approx(engine.plain(engine.encode(
        [Request("Ann keeps boats.", " no dogs")])[0])[0].sum().item(), abs=1e-5)  # fmt: skip


def test_a_long_request_is_held_against_plain_scoring() -> None:
    built = backbone("sliding")
    engine = Engine(built.model, built.coder)
    engine.scorer.window = None  # type: ignore[attr-defined]  # as if the config had not told it
    short = engine.score([Request("Ann", " no")])
    assert engine.path == "shared" and short[0].tokens == 1
    texts = [Request("Ann keeps three red boats in the harbour. " * n, " yes") for n in (8, 9)]
    found = engine.score(texts)
    assert engine.path == "plain" and "differed" in str(engine.why)
    alone = [engine.plain(c)[0].sum().item() for c in engine.encode(texts)]
    assert [s.logprob for s in found] == pytest.approx(alone, abs=1e-5)


def test_a_context_longer_than_the_window_is_cut_and_counted() -> None:
    built = backbone("learned")
    engine = Engine(built.model, built.coder)
    context = "Ann keeps three red boats. " * 60
    ids = built.coder.ids([context.rstrip() + " no"])[0]
    (score,) = engine.score([Request(context.rstrip(), " no")])
    assert score.cut == len(ids) - (built.coder.layout.window + 1) > 0
    alone, _ = plain(built.model, Coded(tuple(ids[-251:]), 250))
    assert score.logprob == pytest.approx(alone.item(), abs=1e-4)
    with pytest.raises(ConfigError, match="continuation that does not fit"):
        engine.score([Request("So", " no" * 400)])


def test_an_empty_context_begins_with_a_special_token() -> None:
    built = tiny("llama", "generate")
    engine = Engine(built.model, built.coder)
    (coded,) = engine.encode([Request("", "boats")])
    assert coded.begin == 1 and coded.ids[0] == built.coder.layout.bos
    (ended,) = Engine(built.model, built.coder, end=True).encode([Request("Ann keeps", " boats")])
    assert ended.ids[-1] == built.coder.layout.eos


def test_a_statement_is_scored_in_windows() -> None:
    built = backbone("learned")
    engine = Engine(built.model, built.coder)
    text = "Ann keeps three red boats in the harbour of Port Lund. " * 45
    (ids,) = built.coder.ids([text])
    assert len(ids) > 2 * 250
    score = engine.statement(text)
    assert (score.tokens, score.bytes, score.cut) == (len(ids), len(text.encode()), 0)
    first = (built.coder.layout.eos, *ids[:250])
    second = tuple(ids[249 : 500])
    rest = tuple(ids[-251:])
    parts = [(first, 1), (second, 1), (rest, 251 - (len(ids) - 500))]
    expected = sum(plain(built.model, Coded(i, b))[0].sum().item() for i, b in parts)
    assert len(ids) < 750 and score.logprob == pytest.approx(expected, rel=1e-6)


def test_bad_requests_say_what_is_wrong() -> None:
    with pytest.raises(ConfigError, match="continuation is empty"):
        Request("Ann", "")
    with pytest.raises(ConfigError, match="text and token ids"):
        Request("Ann", (1, 2))
    built = backbone("learned")
    with pytest.raises(ConfigError, match="behind a continuation"):
        Engine(built.model, built.coder).score([Request("Ann", " no", " dogs")])
