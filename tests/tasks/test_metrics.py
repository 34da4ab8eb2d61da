"""Literal values for every metric, and the laws that hold for all of them."""

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
    QuestionAnswering,
    Regression,
    Span,
    TextClassification,
    TextGeneration,
    TokenClassification,
    TypeSpace,
)
from formats.errors import ConfigError, UnknownName
from tasks.metrics import FOR_KIND, METRICS, bootstrap, macro, metric
from tasks.metrics.answers import aligned_f1
from tasks.metrics.normal import normal
from tasks.metrics.numbers import last_number

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


def qa(passage, *alternatives, **kind):
    gold = tuple(
        frozenset(Span(passage.index(t), passage.index(t) + len(t)) for t in alt)
        for alt in alternatives
    )
    return QuestionAnswering("q", "who?", passage, gold, **kind)


def test_squad_em_and_f1():
    example = qa("the River Otters won, River", ["River Otters"], ["Otters won"])
    assert value("em", [example], [frozenset(["The River  Otters!"])]) == 1.0
    assert value("em", [example], [frozenset(["River"])]) == 0.0
    assert value("f1", [example], [frozenset(["River"])]) == pytest.approx(2 / 3)
    assert value("f1", [example], [None]) == 0.0
    assert value("f1", [example], [frozenset()]) == 0.0


def test_unanswerable_and_several():
    nothing = qa("a passage", [], unanswerable=True)
    assert value("em", [nothing], [frozenset()]) == value("f1", [nothing], [frozenset()]) == 1.0
    assert value("f1", [nothing], [frozenset(["passage"])]) == 0.0
    assert value("f1", [nothing], [None]) == 0.0
    two = qa("red fox and grey owl", ["red fox", "grey owl"], several=True)
    assert value("em", [two], [frozenset(["grey owl", "red fox"])]) == 1.0
    # alignment: red fox 1.0, owl against grey owl 2/3
    assert value("f1", [two], [frozenset(["owl", "red fox"])]) == pytest.approx((1 + 2 / 3) / 2)
    assert aligned_f1(["red fox"], ["red fox", "grey owl"]) == 0.5


def test_chinese_is_compared_by_character():
    assert normal("《四季之歌3》。") == "四季之歌3"
    example = qa("海风和ω-tide开发", ["海风和ω-tide"])
    assert value("em", [example], [frozenset(["海风和 ω-tide。"])]) == 1.0
    example = qa("北京大学在北京", ["北京大学"])
    assert value("f1", [example], [frozenset(["北京"])]) == pytest.approx(2 / 3)


WORDS = ["w"] * 6
TAGS = st.lists(
    st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y"]), min_size=6, max_size=6
)


def strict_spans(tags):
    """IOB2, strictly: an I- that continues nothing is no part of a span."""
    spans, start = set(), None
    for i, tag in enumerate([*tags, "O"]):
        if start is not None and (tag == "O" or tag[0] == "B" or tag[2:] != tags[start][2:]):
            spans.add(Span(2 * start, 2 * i - 1, tags[start][2:]))
            start = None
        if tag[0] == "B":
            start = i
    return frozenset(spans)


@given(st.lists(st.tuples(TAGS, TAGS), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_span_f1_equals_strict_seqeval(pairs):
    from seqeval.metrics import f1_score
    from seqeval.scheme import IOB2

    gold = [g for g, _ in pairs]
    given_ = [a for _, a in pairs]
    types = TypeSpace(("X", "Y"))
    examples = [TokenClassification("e", " ".join(WORDS), types, strict_spans(g)) for g in gold]
    ours = value("seqeval_f1", examples, [strict_spans(a) for a in given_])
    if not any(e.gold for e in examples) and not any(strict_spans(a) for a in given_):
        assert ours == 0.0
        return
    theirs = f1_score(gold, given_, mode="strict", scheme=IOB2, zero_division=0)
    assert ours == pytest.approx(theirs)


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


def written(*references):
    return [TextGeneration(str(i), "s", tuple(r)) for i, r in enumerate(references)]


def test_generation_metrics():
    examples = written(["the cat sat on the mat"], ["a dog"])
    right = ["the cat sat on the mat", "a dog"]
    for name in ("rouge_l", "chrf", "exact_match"):
        assert value(name, examples, right) == pytest.approx(1.0)
        assert value(name, examples, [None, None]) == pytest.approx(0.0, abs=1e-6)
    assert value("bleu", examples, right) == pytest.approx(1.0)
    # lcs "the cat on the mat": 5 of 5 and of 6 words
    assert value("rouge_l", examples[:1], ["the cat on the mat"]) == pytest.approx(10 / 11)
    assert value("exact_match", written(["x", "y"]), [" y\n"]) == 1.0


def test_corpus_scores_equal_sacrebleu_with_uneven_references():
    import sacrebleu

    examples = written(["the cat sat on the mat", "a cat sat there"], ["hello big wide world now"])
    answers = ["the cat sat on mat", "hello wide world now"]
    streams = [["the cat sat on the mat", "hello big wide world now"], ["a cat sat there", None]]
    bleu = sacrebleu.corpus_bleu(answers, streams).score / 100
    assert value("bleu", examples, answers) == pytest.approx(bleu)
    assert value("chrf", examples, answers) == pytest.approx(
        sacrebleu.corpus_chrf(answers, streams).score / 100
    )


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("so 3+4=7\n#### 7", 7), ("#### 1,234", 1234), ("#### $5.50.", 5.5),
        ("#### -7 dollars", -7), ("it is 12 apples", 12), ("12 - 5-3", 3), ("#### .5", 0.5),
        ("none", None), ("", None), ("x ####", None),
    ],
)  # fmt: skip
def test_last_number(text, number):
    found = last_number(text)
    assert (None if found is None else float(found)) == number


def test_numeric_match():
    examples = written(["2 + 2 = 4\n#### 4"], ["#### 1,000"])
    assert value("numeric_em", examples, ["I think\n#### 4.0", "the answer is 1000 cents."]) == 1.0
    assert value("numeric_em", examples, [None, "#### 10"]) == 0.0


def test_unlabelled_or_unequal_lengths_are_refused():
    with pytest.raises(ConfigError, match="belong"):
        value("accuracy", labelled("ab"), ["a"])
    with pytest.raises(ConfigError, match="unlabelled"):
        value("accuracy", [TextClassification("1", "t", ABC)], ["a"])
    with pytest.raises(UnknownName, match="accuracy"):
        metric("acuracy")


def test_reduce_depends_on_rows_alone():
    rng = np.random.default_rng(0)
    golds, answers = rng.choice(list("abc"), 50), rng.choice(list("abc"), 50)
    examples = labelled(map(str, golds))
    for name in ("accuracy", "macro_f1", "matthews"):
        stats = metric(name).rows(examples, list(map(str, answers)))
        chosen = rng.integers(0, 50, 50)
        again = value(name, [examples[i] for i in chosen], [str(answers[i]) for i in chosen])
        assert metric(name).reduce(stats[chosen]) == pytest.approx(again)


def test_bootstrap_interval():
    examples, answers = labelled("a" * 100), ["a"] * 80 + ["b"] * 20
    stats = metric("accuracy").rows(examples, answers)
    low, high = bootstrap(metric("accuracy"), stats, n=2000, seed=1)
    # a binomial of 100 draws with p = 0.8 has a standard deviation of 0.04
    assert low == pytest.approx(0.72, abs=0.02) and high == pytest.approx(0.88, abs=0.02)
    assert bootstrap(metric("accuracy"), stats, seed=1) == bootstrap(
        metric("accuracy"), stats, seed=1
    )
    spear = metric("spearman")
    low, high = bootstrap(spear, spear.rows(rated([0, 1, 2, 3]), [0.0, 1.0, 2.0, 3.0]), n=50)
    assert -1 <= low <= high <= 1 and math.isfinite(low)


def test_macro():
    assert macro([0.0, 1.0]) == 0.5
    with pytest.raises(ConfigError):
        macro([])


def test_names_agree():
    assert all(name == m.name for name, m in METRICS.items())
    assert {name for names in FOR_KIND.values() for name in names} == set(METRICS)
    assert set(FOR_KIND) == set(KINDS)
