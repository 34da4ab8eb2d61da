"""Tokenizing only what is new gives the ids of whole tokenization."""

from __future__ import annotations

import random

import pytest
from format_tokenizers import coder
from hypothesis import given, settings
from hypothesis import strategies as st

from unify.scoring import Request
from unify.scoring.encode import Encoder

TEXT = "Ann keeps three red boats in the harbour; 12 dogs sleep, naïve 東京 😀 don't no\nyes\n\n"
WORDS = TEXT.split(" ")
TOKENIZERS = ["gpt", "bpe", "roberta", "llama", "unigram", "cased"]


def whole(encoder: Encoder, request: Request) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """As lm-evaluation-harness does it: the context's ids, and the rest of the whole text's."""
    context, continuation = str(request.context), str(request.continuation)
    blanks = len(context) - len(context.rstrip())
    if blanks:
        continuation, context = context[-blanks:] + continuation, context[:-blanks]
    given, both = encoder.coder.ids([context]), encoder.coder.ids([context + continuation])
    rest = both[0][len(given[0]) :] or encoder.coder.ids([continuation])[0]
    return tuple(given[0]), tuple(rest)


def text(draw: random.Random, n: int) -> str:
    return " ".join(draw.choices(WORDS, k=n))


@pytest.mark.parametrize("name", TOKENIZERS)
def test_shared_beginnings_do_not_change_ids(name: str) -> None:
    draw = random.Random(3)
    head = text(draw, 150)
    requests = [
        Request(f"{head}{gap}{row}", option)
        for gap in (" ", "\n\n", ". ")
        for row in (text(draw, draw.randint(1, 30)) for _ in range(6))
        for option in (" no", " three red boats", "s", ", no", "\nno")
    ]
    encoder = Encoder(coder(name, "causal", 4096))
    found = encoder.continuations(requests)
    assert found == [whole(encoder, r) for r in requests]


def test_most_texts_are_not_tokenized_whole() -> None:
    draw = random.Random(0)
    head = text(draw, 200)
    requests = [Request(f"{head} {text(draw, 12)}", f" {text(draw, 3)}") for _ in range(50)]
    encoder = Encoder(coder("gpt", "causal", 4096))
    encoder.continuations(requests)
    assert encoder.fast and encoder.whole == 1  # the head itself


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.text("ab \n.é東'1", max_size=30), min_size=1, max_size=4),
    st.text("ab \n.é東'1", min_size=1, max_size=6),
    st.sampled_from(TOKENIZERS),
)
def test_any_text_is_split_as_if_alone(tails: list[str], option: str, name: str) -> None:
    head = "Ann keeps three red boats in the harbour of Port Lund, and Bob keeps none. " * 4
    requests = [Request(head + tail, option) for tail in tails]
    encoder = Encoder(coder(name, "causal", 4096))
    assert encoder.continuations(requests) == [whole(encoder, r) for r in requests]


def test_token_ids_are_left_alone() -> None:
    encoder = Encoder(coder("gpt", "causal", 64))
    assert encoder.continuations([Request((5, 6), (7,))]) == [((5, 6), (7,))]


def test_a_cut_that_cannot_be_trusted_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tokenizer whose last tokens change with the length of the text."""
    made = coder("gpt", "causal", 4096)
    plain = made.ids

    def odd(texts: list[str]) -> list[list[int]]:
        return [[*i[:-1], int(len(t) > 100)] for t, i in zip(texts, plain(texts), strict=True)]

    monkeypatch.setattr(made, "ids", odd)
    encoder = Encoder(made)
    head = "Ann keeps three red boats in the harbour. " * 8
    requests = [Request(f"{head}Dog {k}?", " no") for k in range(9)]
    encoder.continuations(requests)
    assert not encoder.fast
