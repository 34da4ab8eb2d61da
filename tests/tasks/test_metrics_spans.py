"""Typed spans: equal to strict seqeval and to conlleval's counting wherever tags can say them."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats import Span, TokenClassification, TypeSpace
from tasks.metrics import metric
from tasks.metrics.spans import tags

TEXT = "w w w w w w"
TYPES = TypeSpace(("X", "Y"))


def example(gold, tokens=None, text=TEXT):
    return TokenClassification("e", text, TYPES, frozenset(gold), tokens)


def value(name, golds, answers):
    return metric(name).value([example(g) for g in golds], answers)


# A span of whole words: its first word, its number of words, its type.
PIECES = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 3), st.sampled_from("XY")), max_size=4
)


def spans_of(pieces):
    """Neighbours with any gap, none of them overlapping."""
    spans, at = set(), 0
    for gap, words, kind in pieces:
        first, last = at + gap, at + gap + words - 1
        if last > 5:
            break
        spans.add(Span(2 * first, 2 * last + 1, kind))
        at = last + 1
    return frozenset(spans)


def conlleval_f1(gold, guessed):
    """The counting of the CoNLL-2000 script: a chunk is right that starts and ends as in gold."""
    counts = Counter()
    for gold_row, guessed_row in zip(gold, guessed, strict=True):
        inside = False
        previous = ("O", "O")
        for pair in [*zip(gold_row, guessed_row, strict=True), ("O", "O")]:
            ends = [ended(a, b) for a, b in zip(previous, pair, strict=True)]
            starts = [started(a, b) for a, b in zip(previous, pair, strict=True)]
            if inside and all(ends):
                counts["right"] += 1
                inside = False
            elif inside and (ends[0] != ends[1] or pair[0][2:] != pair[1][2:]):
                inside = False
            if all(starts) and pair[0][2:] == pair[1][2:]:
                inside = True
            counts["gold"] += starts[0]
            counts["guessed"] += starts[1]
            previous = pair
    total = counts["gold"] + counts["guessed"]
    return 2 * counts["right"] / total if total else 0.0


def ended(before, now):
    return before != "O" and (now[0] in "BO" or before[2:] != now[2:])


def started(before, now):
    return now[0] == "B" or (now[0] == "I" and (before == "O" or before[2:] != now[2:]))


@given(st.lists(st.tuples(PIECES, PIECES), min_size=1, max_size=6))
@settings(max_examples=80, deadline=None)
def test_span_f1_equals_strict_seqeval_and_conlleval(pairs):
    from seqeval.metrics import f1_score
    from seqeval.scheme import IOB2

    golds, answers = ([spans_of(p) for p in side] for side in zip(*pairs, strict=True))
    ours = value("seqeval_f1", golds, answers)
    gold_tags, answer_tags = ([tags(example(()), s) for s in side] for side in (golds, answers))
    assert ours == pytest.approx(conlleval_f1(gold_tags, answer_tags))
    if not any(golds) and not any(answers):
        assert ours == 0.0  # where seqeval refuses
        return
    theirs = f1_score(gold_tags, answer_tags, mode="strict", scheme=IOB2, zero_division=0)
    assert ours == pytest.approx(theirs)


def test_tags():
    assert tags(example(()), [Span(0, 3, "X"), Span(4, 5, "X"), Span(8, 9, "Y")]) == [
        "B-X", "I-X", "B-X", "O", "B-Y", "O",
    ]  # fmt: skip
    # of overlapping ones the first and longest; none that ends inside a word
    nested = [Span(2, 3, "Y"), Span(0, 3, "X"), Span(0, 1, "Y"), Span(4, 6, "X")]
    assert tags(example(()), nested) == ["B-X", "I-X", "O", "O", "O", "O"]
    own = example((), tokens=((0, 2), (2, 5)), text="don't")
    assert tags(own, [Span(2, 5, "Y")]) == ["O", "B-Y"]
    assert tags(own, [Span(0, 1, "Y")]) == ["O", "O"]


def test_span_f1_literal():
    gold = [[Span(0, 3, "X"), Span(4, 5, "Y")], [Span(0, 1, "X")]]
    # one right, one of the wrong type, one too long: 2 * 1 / (3 + 3)
    answers = [frozenset([Span(0, 3, "X"), Span(4, 5, "X")]), frozenset([Span(0, 3, "X")])]
    assert value("seqeval_f1", gold, answers) == pytest.approx(1 / 3)
    assert value("seqeval_f1", gold, [answers[0], None]) == pytest.approx(2 / 5)
    # what tags cannot write is an answer all the same: one right of four
    inside = frozenset([Span(0, 3, "X"), Span(0, 2, "X"), Span(2, 3, "X"), Span(4, 6, "Y")])
    assert value("seqeval_f1", gold[:1], [inside]) == pytest.approx(2 / (4 + 2))


def test_tag_accuracy_literal():
    gold = [[Span(0, 3, "X")]]  # B-X I-X O O O O
    assert value("tag_accuracy", gold, [frozenset([Span(0, 1, "X")])]) == pytest.approx(5 / 6)
    assert value("tag_accuracy", gold, [frozenset()]) == pytest.approx(4 / 6)
    assert value("tag_accuracy", gold, [None]) == 0.0
