"""Episodes: what is rendered, what is joined, what is dropped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from format_tokenizers import coder
from hypothesis import given
from hypothesis import strategies as st

from formats import FORMATS, LabelSpace, TextClassification, TextGeneration, default_prompt
from formats.collate import collate
from formats.episodes import (
    Episode,
    EpisodeTokens,
    Turn,
    lay,
    plain,
    render,
    separators,
    tokenize,
)
from formats.errors import ConfigError, RowError
from formats.features import featurize
from formats.rows import Group
from formats.store import in_memory

MOOD = LabelSpace(("good", "bad"), ("fine", "poor"))


def row(number: int, text: str, gold: str | None = "good") -> TextClassification:
    return TextClassification(f"mood/train/{number}", text, MOOD, gold=gold)


SHOWN = (row(0, "two red boats"), row(1, "rain", "bad"))
QUERY = row(2, "the brown fox", "bad")
PROMPT = plain(default_prompt("classify"), "classify")


def joined(c: Any, laid: Any, option: int = 0) -> str:
    lead, scored = laid.pairs[option]
    return str(c.tokenizer.decode([*laid.context, *lead, *scored]))


def test_an_episode_in_words() -> None:
    text = render(Episode(QUERY, SHOWN), PROMPT)
    assert text.head == ""
    assert [(d.source, d.target) for d in text.demonstrations] == [
        ("two red boats", "fine"),
        ("rain", "poor"),
    ]
    assert (text.query.source, text.query.options) == ("the brown fox", ("fine", "poor"))


def test_an_instruction_stands_where_the_template_reads_it_or_once_on_top() -> None:
    episode = Episode(QUERY, SHOWN, "Name the mood.")
    assert render(episode, PROMPT).head == "Name the mood."
    text = render(episode, default_prompt("classify"))
    assert text.head == "" and "\nName the mood.\n" in text.query.source
    assert all("\nName the mood.\n" in d.source for d in text.demonstrations)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ((replace(SHOWN[0], gold=None),), "without an answer"),
        ((QUERY,), "among its demonstrations"),
        ((TextGeneration("x", "say", ("it",)),), "of type TextGeneration"),
    ],
)
def test_an_episode_checks_itself(bad: Any, message: str) -> None:
    with pytest.raises(RowError, match=message):
        Episode(QUERY, bad)
    with pytest.raises(RowError, match="blank instruction"):
        Episode(QUERY, instruction="  ")


def laid(kind: Any, direction: Any = "direct", tokenizer: str = "gpt", **more: Any) -> Any:
    c = coder(tokenizer, kind, 96)
    tokens = tokenize(render(Episode(QUERY, SHOWN), PROMPT), c, direction=direction)
    return c, lay(tokens, c.layout, separators(c), direction=direction, **more)


def test_direct() -> None:
    c, found = laid("causal")
    assert joined(c, found, 1) == (
        "two red boats fine\n\nrain poor\n\nthe brown fox poor<|end|>"
    )
    assert [c.tokenizer.decode(found.context[a:b]) for a, b in found.dense] == [" fine", " poor"]
    assert (found.kept, found.dropped) == (2, 0)


def test_channel() -> None:
    c, found = laid("causal", "channel")
    assert joined(c, found, 0) == (
        " fine\ntwo red boats\n\n poor\nrain\n\n fine\nthe brown fox<|end|>"
    )
    assert [c.tokenizer.decode(found.context[a:b]) for a, b in found.dense] == [
        "two red boats",
        "rain",
    ]
    scored = {tuple(s) for _, s in found.pairs}
    assert len(scored) == 1 and len(found.pairs) == 2


def test_whole_demonstrations_are_dropped_the_earliest_first() -> None:
    c, whole = laid("causal")
    longest = whole.length
    _, found = laid("causal", budget=longest - 1)
    assert (found.kept, found.dropped) == (1, 1)
    first = len(c.ids(["two red boats"])[0]) + len(c.ids([" fine"])[0])
    between = len(separators(c).between)
    assert found.dropped_tokens == first + between
    assert joined(c, found, 1) == "rain poor\n\nthe brown fox poor<|end|>"
    _, none = laid("causal", budget=longest - first - between - 1)
    assert (none.kept, none.dropped) == (0, 2)
    alone = none.length
    assert laid("causal", budget=alone)[1].length == alone
    with pytest.raises(RowError, match="query that does not fit"):
        laid("causal", budget=alone - 1)
    _, cut = laid("causal", budget=alone - 1, cut=True)
    assert (cut.cut, cut.kept, cut.dropped, cut.length) == (1, 0, 2, alone - 1)
    assert cut.dropped_tokens == sum(len(i) for i in c.ids(
        ["two red boats", " fine", "\n\n", "rain", " poor", "\n\n"]
    ))  # fmt: skip
    assert [a for a, _ in cut.pairs] == [a[1:] for a, _ in none.pairs]
    with pytest.raises(RowError, match="query that does not fit"):
        laid("causal", "channel", budget=5, cut=True)


def test_room_for_what_is_written_freely() -> None:
    c = coder("gpt", "causal", 96)
    tokens = EpisodeTokens([], [Turn([5] * 20, [6])] * 3, [7] * 10, [])
    between = separators(c)
    turn = 21 + len(between.between)
    found = lay(tokens, c.layout, between, room=96 - 10 - 2 * turn)
    assert (found.kept, found.dropped, found.pairs) == (2, 1, [([7] * 10, [])])


def test_seq2seq_answers_have_the_decoder_to_themselves() -> None:
    c, found = laid("seq2seq", tokenizer="bpe")
    lead, scored = found.pairs[1]
    assert c.text(scored) == "poor" and scored[-1] == c.layout.eos
    assert found.context[:1] == list(c.layout.single_before)
    assert lead[-1:] == list(c.layout.single_after)


def test_no_episodes_on_an_encoder() -> None:
    c = coder("bpe", "encoder", 96)
    tokens = tokenize(render(Episode(QUERY), PROMPT), c)
    with pytest.raises(ConfigError, match="kind encoder"):
        lay(tokens, c.layout, separators(c))


@pytest.mark.parametrize("kind", ["causal", "seq2seq"])
def test_an_episode_without_demonstrations_is_the_zero_shot_row(kind: Any) -> None:
    c = coder("bpe", kind, 96)
    prompt = default_prompt("classify")
    instances = list(FORMATS["generate"]().encode(QUERY, prompt))
    rows = [in_memory(f) for f in featurize([Group(0, instances)], c)]
    batch = collate(rows, c.layout, "generate", score=True)
    found = lay(tokenize(render(Episode(QUERY), prompt), c), c.layout, separators(c))
    assert batch.target is not None
    for k, (lead, scored) in enumerate(found.pairs):
        target = batch.target[k][batch.target[k] != -100].tolist()
        assert target == scored
        if kind == "seq2seq":
            assert batch.ids[0].tolist() == [*found.context, *lead]
        else:
            assert batch.ids[k][batch.mask[k] > 0].tolist() == [*found.context, *lead, *scored]


@given(
    st.lists(st.integers(1, 30), max_size=6), st.integers(1, 20), st.integers(16, 96), st.booleans()
)
def test_the_budget_holds_and_nothing_is_lost_uncounted(
    sizes: list[int], query: int, budget: int, channel: bool
) -> None:
    c = coder("gpt", "causal", 96)
    between = separators(c)
    turns = [Turn([10 + k] * n, [40 + k]) for k, n in enumerate(sizes)]
    tokens = EpisodeTokens([], turns, [7] * query, [[8], [8, 9]])
    try:
        found = lay(
            tokens, c.layout, between, direction="channel" if channel else "direct", budget=budget
        )
    except RowError:
        assert query + 2 + len(between.within) + 1 > budget
        return
    assert found.length <= budget
    assert found.kept + found.dropped == len(sizes) == found.kept + found.dropped
    kept = turns[found.dropped :]
    inputs = [i for t in kept for i in t.input]
    assert [i for i in found.context if 10 <= i < 40] == inputs
    assert all(list(lead).count(7) + list(s).count(7) == query for lead, s in found.pairs)
    per = len(between.between) + (len(between.within) if channel else 0)
    gone = sum(len(t.input) + 1 + per for t in turns[: found.dropped])
    assert found.dropped_tokens == gone
    assert np.diff(found.dense).sum() == len(inputs if channel else kept)
