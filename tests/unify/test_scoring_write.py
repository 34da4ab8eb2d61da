"""Writing through transformers' generate: what is written does not depend on who writes beside."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from unify_helpers import greedy, tiny

from formats.errors import ConfigError
from unify.scoring import Coded, Engine, Request, Trie, Writing, write, write_samples
from unify.scoring._steps import Noise, until

HEAD = "Ann keeps three red boats in the harbour of Port Lund. " * 2
TAILS = ("So?", "Who keeps dogs?", "7", "Which boats, and why so many?")
CONTEXTS = [HEAD + tail for tail in TAILS]


def engine(name: str, **more: Any) -> Engine:
    backbone: Any = tiny(name, "generate", window=96, max_target=12)
    return Engine(backbone.model, backbone.coder, **more)


@pytest.fixture(scope="module", params=["gpt2", "llama", "t5", "bart"])
def made(request: pytest.FixtureRequest) -> Engine:
    return engine(request.param)


def test_greedy_is_token_by_token(made: Engine) -> None:
    found = write(made, CONTEXTS, Writing(tokens=8))
    for context, one in zip(CONTEXTS, found, strict=True):
        expected = greedy(made, context, 8)
        assert one.text == made.coder.tokenizer.decode(expected, skip_special_tokens=True)
        assert one.tokens == len(expected)
        assert one.ended == ("length" if len(expected) == 8 else "end")


@pytest.mark.parametrize(
    "how", [Writing(tokens=6, temperature=1.0, seed=3), Writing(tokens=6, beams=3),
            Writing(tokens=6, temperature=0.7, top_p=0.9, top_k=20)],
)  # fmt: skip
def test_who_writes_beside_does_not_matter(made: Engine, how: Writing) -> None:
    together = write(made, CONTEXTS, how)
    assert made.budget is not None
    usual, made.budget.tokens = made.budget.tokens, 1  # one at a time
    try:
        assert write(made, CONTEXTS, how) == together
    finally:
        made.budget.tokens = usual


def test_seeds_differ_and_repeat(made: Engine) -> None:
    def texts(seed: int) -> list[str]:
        how = Writing(tokens=8, temperature=3.0, seed=seed)
        return [w.text for w in write(made, CONTEXTS, how)]

    assert texts(1) == texts(1) != texts(2)


def test_noise_samples_the_distribution() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.2]]).log()
    noise = Noise([0])
    drawn = Counter(int(noise(torch.empty(1, 0), logits).argmax()) for _ in range(4000))
    assert [drawn[k] / 4000 for k in range(3)] == pytest.approx([0.5, 0.3, 0.2], abs=0.03)


def test_a_stop_string_ends_and_is_left_out(made: Engine) -> None:
    free = write(made, CONTEXTS[:1], Writing(tokens=12))[0]
    middle = free.text[len(free.text) // 2 :][:3]
    assert middle
    found = write(made, CONTEXTS, Writing(tokens=12, stop=("\x00never", middle)))[0]
    assert (found.text, found.ended) == (free.text[: free.text.index(middle)], middle)
    assert found.tokens <= free.tokens


def test_until_takes_the_first_stop() -> None:
    assert until("a. b\nc", ["\n", "."]) == ("a", ".")
    assert until("abc", ["\n"]) == ("abc", None)


def test_options_close_the_set(made: Engine) -> None:
    options = (" boats", " boats and dogs", " no one")
    causal = made.coder.layout.kind == "causal"
    closed = options if causal else tuple(o.strip() for o in options)
    found = write(made, CONTEXTS, Writing(tokens=12, options=closed))
    assert {w.text for w in found} <= set(closed)
    assert {w.ended for w in found} == {"end"}


@pytest.mark.parametrize("name", ["llama", "t5"])
def test_wide_beams_find_the_best_option(name: str) -> None:
    made = engine(name, end=True)
    options = (" boats", " dogs") if name == "llama" else ("boats", "dogs")
    scores = made.score([Request(CONTEXTS[0], o) for o in options])
    best = options[max(range(2), key=lambda k: scores[k].logprob)]
    how = Writing(tokens=12, beams=4, options=options)
    assert len({s.tokens for s in scores}) == 1  # beams divide by length
    assert write(made, CONTEXTS[:1], how)[0].text == best


def test_a_trie_by_hand() -> None:
    trie = Trie([(1, 2), (1, 3, 4), (1, 2, 5)], end=0)
    assert trie.number == {(1, 2): 0, (1, 3, 4): 1, (1, 2, 5): 2}
    assert sorted(trie.allowed([])) == [1]
    assert sorted(trie.allowed([1])) == [2, 3]
    assert sorted(trie.allowed([1, 2])) == [0, 5]
    assert trie.allowed([1, 3, 4]) == [0]
    assert trie.allowed([9]) == [0]
    with pytest.raises(ConfigError, match="without a token"):
        Trie([()], end=0)


def test_a_long_context_is_cut_and_counted() -> None:
    made = engine("llama")
    (found,) = write(made, [HEAD * 9], Writing(tokens=6))
    (ids,) = made.coder.ids([HEAD * 9])
    layout = made.coder.layout
    assert found.cut == len(layout.single_before) + len(ids) - (96 - 6)


def test_what_cannot_be_written_is_refused() -> None:
    backbone: Any = tiny("bert", "generate", "masked")
    with pytest.raises(ConfigError, match="cannot write"):
        write(Engine(backbone.model, backbone.coder), ["So"], Writing())
    for wrong in ({"temperature": -1.0}, {"top_p": 0.0}, {"beams": 2, "temperature": 1.0},
                  {"stop": ("",)}, {"tokens": 0}):  # fmt: skip
        with pytest.raises(ConfigError):
            Writing(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="window"):
        write(engine("llama"), ["So"], Writing(tokens=96))


def test_samples_share_their_prompt(made: Engine) -> None:
    """Prompt tokens are computed once, and every sample is what it is alone."""
    how = Writing(tokens=6, temperature=1.5, seed=5)
    seen: list[int] = []
    part = made.model.get_encoder() if made.coder.layout.kind == "seq2seq" else made.model
    hook = part.register_forward_pre_hook(
        lambda _, args, given: seen.append(int(given["input_ids"].numel())), with_kwargs=True
    )
    try:
        together = write_samples(made, CONTEXTS, how, 4)
        computed, seen[:] = sum(seen), []
        write_samples(made, CONTEXTS, how, 1)
        once = sum(seen)
    finally:
        hook.remove()
    assert [len(t) for t in together] == [4] * len(CONTEXTS)
    if made.coder.layout.kind == "seq2seq":
        assert computed == once
    else:  # four rows more per written token, and the prompts' last tokens
        assert computed <= once + 3 * len(CONTEXTS) * how.tokens + 3 * len(CONTEXTS)
    assert [t[0] for t in together] == write(made, CONTEXTS, how)
    assert len({w.text for t in together for w in t}) > len(CONTEXTS)
    few = write_samples(made, CONTEXTS[2:], how, 2, numbers=(2, 3))
    assert few == [t[:2] for t in together[2:]]
    assert made.budget is not None
    usual, made.budget.tokens = made.budget.tokens, 30  # a sample or two at a time
    try:
        assert write_samples(made, CONTEXTS, how, 4) == together
    finally:
        made.budget.tokens = usual


def test_what_was_written_was_as_probable_as_its_score(made: Engine) -> None:
    how = Writing(tokens=5, temperature=1.3, top_k=8)
    layout, tokenizer = made.coder.layout, made.coder.tokenizer
    for context, one in zip(CONTEXTS, write(made, CONTEXTS, how), strict=True):
        ids = tuple(tokenizer(one.text, add_special_tokens=False)["input_ids"])
        if one.ended != "length" or len(ids) != one.tokens or tokenizer.decode(ids) != one.text:
            continue  # bytes that make no text are not read back alike
        (given,) = made.coder.ids([context])
        before = (*layout.single_before, *given)
        if layout.kind == "causal":
            (score,) = made.score_coded([Coded((*before, *ids), len(before))])
        else:
            (score,) = made.score([Request(tuple(given), ids)])
        assert one.logprob == pytest.approx(score.logprob, abs=1e-3)


def test_several_samples_need_a_temperature() -> None:
    with pytest.raises(ConfigError, match="always the same"):
        write_samples(engine("llama"), ["So"], Writing(), 2)


def test_a_sliding_window_sees_what_it_sees_alone() -> None:
    config = {"sliding_window": 20, "num_key_value_heads": 2}
    backbone: Any = tiny("mistral", "generate", window=96, max_target=12, config=config)
    made = Engine(backbone.model, backbone.coder)
    assert made.path == "shared"
    tails = ("a", "Which of them is it, and why are there so many?")
    contexts = [HEAD[:60] + tail for tail in tails]
    how = Writing(tokens=8)
    assert write(made, contexts, how) == [write(made, [c], how)[0] for c in contexts]


def test_behind_a_stop_string_nothing_is_counted() -> None:
    """Where padding is the end's own token, what pads a stopped row is no end."""
    made = engine("gpt2")
    made.coder.layout = replace(made.coder.layout, pad=made.coder.layout.eos)
    prompt = tuple(made.coder.ids([CONTEXTS[0]])[0])
    how = Writing(tokens=12, stop=("e", "o", "a"), temperature=1.0, seed=1)
    found = write_samples(made, [CONTEXTS[0]], how, 8)[0]
    assert len({w.tokens for w in found if w.ended in how.stop}) > 1
    for one in found:
        assert one.ids[-1] != made.coder.layout.eos or one.ended == "end"
        scored = made.score([Request(prompt, one.ids)])[0].logprob
        assert one.logprob == pytest.approx(scored, abs=1e-3)


def test_options_are_written_whole_and_with_the_models_own_probability() -> None:
    made = engine("gpt2", end=True)
    options = (" yes", " no", " maybe it is so, maybe it is not")
    for context in ("Who ran? Answer:", "Who ran? Answer: "):
        words = options if context.endswith(":") else tuple(o.strip() for o in options)
        scores = [s.logprob for s in made.score([Request(context, o) for o in words])]
        best = max(range(3), key=scores.__getitem__)
        wide = write(made, [context], Writing(tokens=1, beams=8, options=words))[0]
        assert wide.text == words[best]
        (found,) = write(made, [context], Writing(tokens=1, options=words))
        assert found.logprob == pytest.approx(scores[words.index(found.text)], abs=1e-3)


def test_a_decoder_of_its_own_has_a_window_of_its_own() -> None:
    with pytest.raises(ConfigError, match="more tokens to write than the window has"):
        write(engine("bart"), CONTEXTS[:1], Writing(tokens=128))
    for wrong in ({"top_k": -1}, {"temperature": float("nan")}, {"seed": 1 << 45}):
        with pytest.raises(ConfigError, match="impossible way"):
            Writing(**wrong)


def test_a_model_with_several_ends_stops_at_any() -> None:
    made = engine("llama")
    eos = made.coder.layout.eos
    free = write(made, CONTEXTS, Writing(tokens=8))
    turn = free[0].ids[3]
    made.model.generation_config.eos_token_id = [eos, turn]
    found = write(made, CONTEXTS, Writing(tokens=8))
    for one, before in zip(found, free, strict=True):
        if turn in before.ids:
            assert one.ended == "end" and one.ids == before.ids[: before.ids.index(turn) + 1]
            assert one.tokens == before.ids.index(turn)
        else:
            assert one == before
    assert found[0].ended == "end"
