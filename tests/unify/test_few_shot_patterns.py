"""Patterns: what they show of a row, and what is cut where the window is full."""

from __future__ import annotations

import pytest
from unify_helpers import MOODS, tiny

from formats.errors import ConfigError, RowError
from formats.examples import RelationClassification, Span, TextClassification
from unify.prompts import patterns, ptr, shown
from unify.prompts.autoprompt import PATTERN
from unify.prompts.cloze import Asking
from unify.prompts.head import LinearHead

ROW = TextClassification("t/s/0", "the boat is quick", MOODS, gold="glad")


def test_a_pattern_puts_its_blank_anywhere() -> None:
    before, after = patterns.Pattern("It was {{ mask }}. {{ text }}").sides(ROW)
    assert "".join(before) == "It was " and "".join(after) == ". the boat is quick"


def test_a_pattern_needs_one_blank() -> None:
    with pytest.raises(ConfigError, match="without a blank"):
        patterns.Pattern("{{ text }}")
    with pytest.raises(RowError, match="not once"):
        patterns.Pattern("{{ mask }} {{ text }} {{ mask }}").sides(ROW)


def test_the_longest_piece_is_cut_and_counted() -> None:
    coder = tiny("bert", "generate", window=32).coder
    long = TextClassification("t/s/0", "dogs " * 60, MOODS)
    for source in ("It was {{ mask }}. {{ text }}", "It was {{ mask }}. {{ text | upper }}"):
        row = patterns.slotted(patterns.Pattern(source).sides(long), coder, 3)
        whole = len(row.before) + 3 + len(row.after)
        assert whole == 32 and row.cut > 0
        assert row.after[-len(coder.layout.single_after) :] == coder.layout.single_after


def test_texts_are_cut_to_one_length() -> None:
    texts = [[1] * 9, [2] * 3, [3] * 7]
    assert patterns.shortened(texts, 13) == 6 and [len(t) for t in texts] == [5, 3, 5]
    assert patterns.shortened(texts, 99) == 0
    with pytest.raises(RowError, match="fills the window"):
        patterns.shortened(texts, 2)


def test_demonstrations_keep_their_label_words_where_texts_are_cut() -> None:
    coder = tiny("bert", "generate", window=64).coder
    long = TextClassification("t/s/0", "boats " * 60, MOODS)
    asked = Asking(patterns.Pattern("{{ text }} It was {{ mask }}."))
    demonstrations = [shown.filled(asked, long, word) for word in ("glad", "sad")]
    for query in (long, ROW):
        row = patterns.slotted(shown.behind(asked(query), demonstrations), coder, 1)
        said = coder.tokenizer.decode([*row.before, *row.after], skip_special_tokens=True)
        assert len(row.before) + 1 + len(row.after) == 64
        assert "It was glad" in said and said.endswith("It was sad.")


RELATED = RelationClassification("r/s/0", "Ann met Bo", Span(0, 3), Span(8, 10), MOODS)


def test_what_is_shown_names_both_texts_and_both_ends() -> None:
    pair = TextClassification("t/s/0", "a boat", MOODS, text_b="a dog")
    assert "".join(patterns.shown_of(pair)) == "a boat a dog"
    assert "".join(patterns.shown_of(RELATED)) == "Ann met Bo Ann and Bo"
    for source in (*patterns.DEFAULTS, PATTERN):
        before, after = patterns.Pattern(source).sides(RELATED)
        assert "Ann met Bo Ann and Bo" in "".join(before) + "".join(after)


def test_a_linear_head_reads_both_texts_and_both_ends() -> None:
    backbone = tiny("bert", "generate", window=32)
    read: list[list[int]] = []
    embedding = backbone.model.get_input_embeddings()
    embedding.register_forward_pre_hook(lambda _, args: read.extend(args[0].tolist()))
    head = LinearHead(backbone, 2)
    long = TextClassification("t/s/0", "boats " * 5, MOODS, text_b="dogs " * 60)
    other = RelationClassification("r/s/1", "Ann met Bo", Span(8, 10), Span(0, 3), MOODS)
    head.answers()([long])
    assert len(read[0]) == 32
    boats = backbone.coder.ids(["boats " * 5])[0]
    assert read[0][len(backbone.layout.before) :][: len(boats)] == boats
    read.clear()
    head.answers()([RELATED, other])
    assert read[0] != read[1]


def test_a_relation_pattern_names_both_ends() -> None:
    before, after = patterns.Pattern(ptr.SUB_PROMPTS[1]).sides(RELATED)
    assert "".join(before) == "Ann met Bo Ann " and "".join(after) == " Bo."
