"""Metrics that read scores and groups: AUC-ROC per label, MAP, MRR, consistency."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats import LabelSpace, MultiLabelClassification, MultipleChoice, TextClassification
from tasks.metrics import bootstrap, metric, records

AB = LabelSpace(("a", "b"))
ABC = LabelSpace(("a", "b", "c"))


def labelled(golds, space=ABC):
    return [TextClassification(str(i), "t", space, gold=g) for i, g in enumerate(golds)]


def auc(examples, scores, answers=None):
    return metric("auc").value(examples, answers or [None] * len(examples), scores)


def test_auc_literal():
    # the example of sklearn's roc_auc_score: 0.1 0.4 | 0.35 0.8 -> 3 of 4 pairs
    scores = [(-s, s) for s in (0.1, 0.4, 0.35, 0.8)]
    assert auc(labelled("aabb", AB), scores) == pytest.approx(0.75)
    # b: 0.5 against 0.5 and 0.9: a tie is half; a: 1 against 2 and 3: never
    tied = auc(labelled("abb", AB), [(1, 0.5), (2, 0.5), (3, 0.9)])
    assert tied == pytest.approx((0.75 + 0.0) / 2)
    # c has no row, so a and b count; a label that every row has counts neither
    assert auc(labelled("ab"), [(2, 1, 9), (1, 2, 9)]) == 1.0
    assert auc(labelled("aa"), [(2, 1, 9), (1, 2, 9)]) == 0.5


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.tuples(*[st.integers(-3, 3)] * 3)),
        min_size=2,
        max_size=30,
    )
)
@settings(max_examples=60, deadline=None)
def test_auc_equals_sklearn(rows):
    from sklearn.metrics import roc_auc_score

    gold, scores = [g for g, _ in rows], [tuple(map(float, s)) for _, s in rows]
    theirs = [
        roc_auc_score([g == name for g in gold], [s[i] for s in scores])
        for i, name in enumerate("abc")
        if 0 < gold.count(name) < len(gold)
    ]
    expected = np.mean(theirs) if theirs else 0.5
    assert auc(labelled(gold), scores) == pytest.approx(expected)
    # a resampling of the statistics is the resampling of the rows
    chosen = np.random.default_rng(0).integers(0, len(gold), len(gold))
    stats = metric("auc").rows(records(labelled(gold), [None] * len(gold), scores))
    again = auc(labelled([gold[i] for i in chosen]), [scores[i] for i in chosen])
    assert metric("auc").reduce(stats[chosen]) == pytest.approx(again)
    counts = np.bincount(chosen, minlength=len(gold))[None]
    assert metric("auc").resampled(stats, counts) == pytest.approx([again])


def test_auc_without_scores():
    examples = labelled("aabb", AB)
    # an answer alone says 1 for what it names: a tie in three of four pairs' halves
    assert auc(examples, None, ["a"] * 4) == 0.5
    assert auc(examples, None, ["a", "b", "b", "b"]) == pytest.approx((1 + 0.5) / 2)
    assert auc(examples, None) == 0.0
    good = [(1, 0), (1, 0), (0, 1), (0, 1)]
    assert auc(examples, good) == 1.0
    for bad in (None, (), (1.0,), (1.0, 2.0, 3.0), (1.0, math.nan), (None, 1.0)):
        assert auc(examples, [*good[:3], bad]) == pytest.approx(0.5)  # loses both its pairs
    assert auc(examples, [*good[:3], (-math.inf, math.inf)]) == 1.0


def test_auc_of_sets():
    golds = [frozenset("ab"), frozenset("b"), frozenset()]
    examples = [MultiLabelClassification(str(i), "t", ABC, gold=g) for i, g in enumerate(golds)]
    scores = [(3, 1, 0), (2, 3, 0), (1, 2, 0)]
    assert auc(examples, scores) == pytest.approx((1 + 1 / 2) / 2)  # b: 1 against 2, 3 against 2
    assert auc(examples, None, golds) == 1.0


def test_a_row_counts_only_for_its_own_labels():
    other = LabelSpace(("a", "z"))
    examples = [
        TextClassification("1", "t", AB, gold="a"),
        TextClassification("2", "t", AB, gold="b"),
        TextClassification("3", "t", other, gold="z"),
    ]
    # a: 3 against 2 and 5: half; b: 9 against 8; z has no row without it
    assert auc(examples, [(3, 8), (2, 9), (5, 1)]) == pytest.approx((0.5 + 1) / 2)


GROUPS = ["q", "q", "q", "r", "r", "s"]
RELEVANT = [TextClassification(str(i), "t", AB, gold=g) for i, g in enumerate("babaab")]


def ranked(name, margins, groups=GROUPS, examples=RELEVANT):
    scores = [None if m is None else (0.0, m) for m in margins]
    return metric(name).value(examples, [None] * len(examples), scores, groups)


def test_map_and_mrr_literal():
    # q ranks relevant, not, relevant: (1 + 2/3) / 2; r has none; s has one alone
    margins = [3, 2, 1, 0, 5, -1]
    assert ranked("map", margins) == pytest.approx((5 / 6 + 1) / 2)
    assert ranked("mrr", margins) == 1.0
    # q: not, relevant, relevant: (1/2 + 2/3) / 2
    assert ranked("map", [2, 3, 1, 0, 0, 0]) == pytest.approx((7 / 12 + 1) / 2)
    assert ranked("mrr", [2, 3, 1, 0, 0, 0]) == pytest.approx((1 / 2 + 1) / 2)


def test_ties_and_missing_scores_rank_the_relevant_last():
    assert ranked("mrr", [0] * 6) == pytest.approx((1 / 2 + 1) / 2)
    assert ranked("map", [0] * 6) == pytest.approx(((1 / 2 + 2 / 3) / 2 + 1) / 2)
    assert ranked("mrr", [None] * 6) == ranked("mrr", [0] * 6)
    # an irrelevant row without a score comes before all others
    assert ranked("mrr", [3, 1, None, 0, 0, 0]) == ranked("mrr", [3, 1, -1, 0, 0, 0]) == 1.0
    assert ranked("mrr", [3, None, 2, 0, 0, 0]) == pytest.approx((1 / 2 + 1) / 2)
    answers = ["b", "a", "b", "a", "a", "b"]
    assert metric("map").value(RELEVANT, answers, groups=GROUPS) == 1.0
    assert ranked("map", [1, 1], ["q", "q"], RELEVANT[3:5]) == 0.0  # nothing to find


def test_the_relevant_label_can_be_named():
    scores = [(m, 0.0) for m in (3, 2, 1)]
    found = metric("mrr", "a").value(RELEVANT[:3], [None] * 3, scores, GROUPS[:3])
    assert found == 0.5  # the one row that has the label a is second


def test_the_margin_is_over_the_best_other_label():
    three = LabelSpace(("x", "y", "b"))
    examples = [TextClassification(str(i), "t", three, gold=g) for i, g in enumerate("bx")]
    scores = [(0.0, 1.0, 3.0), (0.0, 4.0, 5.0)]  # margins 2 and 1
    assert metric("mrr").value(examples, [None] * 2, scores, ["q", "q"]) == 1.0


def test_mrr_of_choices():
    examples = [MultipleChoice(str(i), "q", ("x", "y", "z"), gold=g) for i, g in enumerate((0, 2))]
    scores = [(0.5, 0.9, 0.1), (1.0, 2.0, 3.0)]
    assert metric("mrr").value(examples, [1, 2], scores) == pytest.approx((1 / 2 + 1) / 2)
    assert metric("mrr").value(examples, [1, 2]) == pytest.approx((1 / 3 + 1) / 2)


def test_consistency_literal():
    examples, groups = labelled("abcab"), ["q", "q", "r", "r", "s"]
    found = metric("consistency").value(examples, ["a", "b", "c", "b", "b"], groups=groups)
    assert found == pytest.approx(2 / 3)
    assert metric("consistency").value(examples, [None] * 5, groups=groups) == 0.0
    assert metric("consistency").value(examples, list("abcaa")) == pytest.approx(4 / 5)


def test_groups_are_what_is_resampled():
    stats = metric("map").rows(records(RELEVANT, [None] * 6, [(0.0, 1.0)] * 6, GROUPS))
    assert stats.shape == (3, 2) and stats[:, 1].tolist() == [1, 0, 1]
    low, high = bootstrap(metric("map"), stats, n=200)
    assert 0 <= low <= metric("map").reduce(stats) <= high <= 1
