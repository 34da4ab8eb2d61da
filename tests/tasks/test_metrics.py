"""Metrics of labels and numbers by literal values, resampling, and the table of metrics."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats import (
    KINDS,
    LabelSpace,
    MultiLabelClassification,
    MultipleChoice,
    Regression,
    TextClassification,
)
from formats.errors import ConfigError, DeclarationError, UnknownName
from tasks.metrics import FOR_KIND, METRICS, bootstrap, for_task, macro, metric, records

ABC = LabelSpace(("a", "b", "c"))


def labelled(golds):
    return [TextClassification(str(i), "t", ABC, gold=g) for i, g in enumerate(golds)]


def value(name, examples, answers):
    return metric(name).value(examples, answers)


def test_accuracy_counts_none_as_wrong():
    assert value("accuracy", labelled("aabb"), ["a", None, "b", "zzz"]) == 0.5
    choice = [MultipleChoice("1", "q", ("x", "y"), gold=0)]
    assert value("accuracy", choice, [0]) == 1.0
    assert value("accuracy", choice, [None]) == 0.0


def test_macro_f1_literal():
    # a: tp 1, given 2, gold 2 -> 1/2;  b: tp 1, given 1, gold 2 -> 2/3;  c: never gold, given 1
    examples, answers = labelled("aabb"), ["a", "c", "b", "a"]
    assert value("macro_f1", examples, answers) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert value("macro_f1_all", examples, answers) == pytest.approx((1 / 2 + 2 / 3) / 3)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=40))
@settings(max_examples=40, deadline=None)
def test_label_metrics_equal_sklearn(pairs):
    from sklearn.metrics import f1_score, matthews_corrcoef

    gold, given_ = [g for g, _ in pairs], [a for _, a in pairs]
    examples = labelled(gold)
    ours = value("macro_f1", examples, given_)
    theirs = f1_score(gold, given_, labels=sorted(set(gold)), average="macro", zero_division=0)
    assert ours == pytest.approx(theirs)
    assert value("matthews", examples, given_) == pytest.approx(matthews_corrcoef(gold, given_))


def test_multilabel_literal():
    golds = [frozenset("ab"), frozenset("c"), frozenset()]
    examples = [MultiLabelClassification(str(i), "t", ABC, gold=g) for i, g in enumerate(golds)]
    answers = [frozenset("a"), frozenset("bc"), frozenset()]
    assert value("micro_f1", examples, answers) == pytest.approx(2 * 2 / (3 + 3))
    assert value("multilabel_macro_f1", examples, answers) == pytest.approx((1 + 0 + 1) / 3)
    assert value("subset_accuracy", examples, answers) == pytest.approx(1 / 3)
    assert value("micro_f1", examples, [None] * 3) == 0.0
    # gold names a alone; b was answered for nothing, c never
    one = [MultiLabelClassification("1", "t", ABC, gold=frozenset("a"))]
    assert value("multilabel_macro_f1", one, [frozenset("ab")]) == 1.0
    assert value("multilabel_macro_f1_all", one, [frozenset("ab")]) == pytest.approx(1 / 3)


def test_f1_of_the_positive_label():
    # the last label is the positive one: c: hits 1, answers 2, golds 1
    assert value("positive_f1", labelled("abc"), ["a", "c", "c"]) == pytest.approx(2 / 3)
    assert value("positive_f1", labelled("ab"), ["a", None]) == 0.0
    # an invalid answer to c is a miss, one to a says c: hits 1, answers 2, golds 2
    assert value("positive_f1", labelled("cca"), ["c", None, None]) == pytest.approx(1 / 2)


def test_the_positive_label_can_be_named():
    examples, answers = labelled("aab"), ["a", "b", "b"]
    assert metric("positive_f1", "a").value(examples, answers) == pytest.approx(2 / 3)
    assert metric("positive_f1", "b").value(examples, answers) == pytest.approx(2 / 3)
    assert metric("positive_f1", "c").value(examples, answers) == 0.0
    assert metric("accuracy", "a") is metric("accuracy")


def test_matthews_literal():
    # sklearn's own example: +1 +1 +1 -1 against +1 -1 +1 +1
    assert value("matthews", labelled("aaab"), list("abaa")) == pytest.approx(-1 / 3)
    assert value("matthews", labelled("aabb"), ["a"] * 4) == 0.0


def rated(golds):
    return [Regression(str(i), "t", 0, 5, 0.2, gold=g) for i, g in enumerate(golds)]


def test_correlations():
    assert value("pearson", rated([0, 1, 2]), [0.0, 1.0, 5.0]) == pytest.approx(0.9449111825)
    assert value("spearman", rated([0, 1, 2]), [0.0, 1.0, 5.0]) == pytest.approx(1.0)
    tied = value("spearman", rated([0, 1, 2, 3]), [1.0, 1.0, 0.0, 2.0])
    assert tied == pytest.approx(0.3162277660)
    for name in ("pearson", "spearman"):
        assert value(name, rated([0, 1, 2]), [2.5] * 3) == 0.0
        assert value(name, rated([0, 1, 2]), [None] * 3) == 0.0
        assert value(name, rated([0, 1, 2, 5]), [0.0, 1.0, 2.0, None]) == pytest.approx(0.75)
        assert value(name, rated([1, 1]), [0.0, 1.0]) == 0.0
        beyond = [10**400, 7.0, math.inf, math.nan]
        assert value(name, rated([5, 1, 2, 3]), beyond) == 0.0  # two ends of the scale, alike


def test_unlabelled_or_unequal_lengths_are_refused():
    with pytest.raises(ConfigError, match="belong"):
        value("accuracy", labelled("ab"), ["a"])
    with pytest.raises(ConfigError, match="scores that do not belong"):
        metric("auc").value(labelled("ab"), ["a", "b"], scores=[None])
    with pytest.raises(ConfigError, match="no row"):
        value("accuracy", [], [])
    with pytest.raises(ConfigError, match="unlabelled"):
        value("accuracy", [TextClassification("1", "t", ABC)], ["a"])
    with pytest.raises(UnknownName, match="accuracy"):
        metric("acuracy")


def test_reduce_depends_on_rows_alone():
    rng = np.random.default_rng(0)
    golds, answers = rng.choice(list("abc"), 50), rng.choice(list("abc"), 50)
    examples = labelled(map(str, golds))
    for name in ("accuracy", "macro_f1", "matthews"):
        stats = metric(name).rows(records(examples, list(map(str, answers))))
        chosen = rng.integers(0, 50, 50)
        again = value(name, [examples[i] for i in chosen], [str(answers[i]) for i in chosen])
        assert metric(name).reduce(stats[chosen]) == pytest.approx(again)


def test_bootstrap_interval():
    examples, answers = labelled("a" * 100), ["a"] * 80 + ["b"] * 20
    stats = metric("accuracy").rows(records(examples, answers))
    low, high = bootstrap(metric("accuracy"), stats, n=2000, seed=1)
    # a binomial of 100 draws with p = 0.8 has a standard deviation of 0.04
    assert low == pytest.approx(0.72, abs=0.02) and high == pytest.approx(0.88, abs=0.02)
    assert bootstrap(metric("accuracy"), stats, seed=1) == bootstrap(
        metric("accuracy"), stats, seed=1
    )
    spear = metric("spearman")
    stats = spear.rows(records(rated([0, 1, 2, 3]), [0.0, 1.0, 2.0, 3.0]))
    low, high = bootstrap(spear, stats, n=50)
    assert -1 <= low <= high <= 1 and math.isfinite(low)


def test_the_bootstrap_does_not_depend_on_its_step(monkeypatch):
    stats = metric("macro_f1").rows(records(labelled("abc" * 30), list("abb" * 30)))
    whole = bootstrap(metric("macro_f1"), stats, n=250)
    monkeypatch.setattr("tasks.metrics._base._COUNTS", 200)
    assert bootstrap(metric("macro_f1"), stats, n=250) == whole


def test_counts_of_rows_are_the_rows_themselves():
    stats = metric("spearman").rows(records(rated([0, 1, 2, 3]), [0.0, 3.0, 1.0, 2.0]))
    (found,) = metric("spearman").resampled(stats, np.array([[2, 1, 1, 0]]))
    golds, answers = [0, 0, 1, 2], [0.0, 0.0, 3.0, 1.0]
    assert found == pytest.approx(value("spearman", rated(golds), answers))


def test_macro():
    assert macro([0.0, 1.0]) == 0.5
    with pytest.raises(ConfigError):
        macro([])


def test_names_agree():
    assert all(name == m.name for name, m in METRICS.items())
    assert {name for names in FOR_KIND.values() for name in names} == set(METRICS)
    assert set(FOR_KIND) == set(KINDS)


def test_a_task_gets_the_metric_of_its_language():
    assert for_task("answer", "en") == "f1" and for_task("answer", "zh") == "f1_zh"
    assert for_task("answer", "zh-Hans", "em") == "em_zh"
    assert for_task("generate", "zh", "chrf") == "chrf"
    assert for_task("classify", "zh") == "accuracy"
    with pytest.raises(UnknownName, match="'rouge_l'"):
        for_task("generate", "en", "rouge")
    with pytest.raises(DeclarationError, match="groups"):
        for_task("classify", "en", "map", positive="yes")
    with pytest.raises(DeclarationError, match="one of the labels"):
        for_task("classify", "en", "map", group="query")
    assert for_task("classify", "en", "map", group="query", positive="yes") == "map"
    assert for_task("classify", "en", "consistency", group="set") == "consistency"
    assert for_task("choose", "en", "mrr") == "mrr"
