"""Whatever a model answers, each metric scores each row, and what is wrong never helps."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats import (
    LabelSpace,
    MultiLabelClassification,
    MultipleChoice,
    QuestionAnswering,
    Regression,
    RelationClassification,
    Span,
    TextClassification,
    TextGeneration,
    TokenClassification,
    TypeSpace,
)
from tasks.metrics import FOR_KIND, bootstrap, metric, records

AB = LabelSpace(("a", "b"))
XY = TypeSpace(("X", "Y"))
TEXTS = ("the answer is 10 red foxes", "there are 25 grey owls there", "北京大学有 7 个图书馆。")
N = 3


def spans(i):
    return frozenset([Span(0, 3, "XY"[i % 2])])


def example(kind, i):
    text = TEXTS[i]
    return {
        "classify": lambda: TextClassification(str(i), text, AB, gold="ab"[i % 2]),
        "multilabel": lambda: MultiLabelClassification(
            str(i), text, AB, gold=frozenset("ab" if i == 1 else "b" if i else "a")
        ),
        "choose": lambda: MultipleChoice(str(i), text, ("u", "v"), gold=i % 2),
        "answer": lambda: QuestionAnswering(str(i), "q", text, (frozenset([Span(0, 8)]),)),
        "tag": lambda: TokenClassification(str(i), text, XY, spans(i)),
        "relate": lambda: RelationClassification(
            str(i), text, Span(0, 1), Span(2, 3), AB, gold="ab"[i % 2]
        ),
        "rate": lambda: Regression(str(i), text, 0, 5, gold=float(i)),
        "generate": lambda: TextGeneration(str(i), "s", (text,)),
    }[kind]()


def perfect(row):
    if isinstance(row, QuestionAnswering):
        return row.gold_texts()[0]
    return row.gold[0] if isinstance(row, TextGeneration) else row.gold


CELLS = [(kind, name) for kind, names in FOR_KIND.items() for name in names]
TEXT = st.text(st.characters(codec=None, categories=["L", "N", "P", "Z", "C", "S"]), max_size=12)
SETS = st.frozensets(
    st.one_of(
        TEXT,
        st.sampled_from("abcz"),
        st.none(),
        st.builds(
            lambda a, b, t: Span(a, a + b, t),
            st.integers(0, 40), st.integers(1, 40), st.sampled_from(["X", "", "?"]),
        ),
    ),
    max_size=4,
)  # fmt: skip
ANSWERS = st.one_of(
    st.none(), st.just(""), st.sampled_from("abz"), TEXT, st.integers(), st.just(10**400),
    st.floats(), SETS, st.lists(TEXT, max_size=2), st.just({}), st.binary(max_size=3),
)  # fmt: skip
SCORES = st.one_of(
    st.none(),
    st.lists(st.one_of(st.floats(), st.none(), st.integers()), max_size=4).map(tuple),
)


@pytest.mark.parametrize(("kind", "name"), CELLS)
@given(
    st.lists(ANSWERS, min_size=N, max_size=N),
    st.lists(SCORES, min_size=N, max_size=N),
    st.lists(st.sampled_from(["g", "h", ""]), min_size=N, max_size=N),
)
@settings(max_examples=40, deadline=None)
def test_every_answer_is_scored(kind, name, answers, scores, groups):
    examples = [example(kind, i) for i in range(N)]
    m = metric(name)
    stats = m.checked(records(examples, answers, scores, groups))
    value = m.reduce(stats)
    lowest = -1 if name in ("pearson", "spearman", "matthews") else 0
    assert lowest <= value <= 1 + 1e-9
    if not m.uses_groups or (kind, name) == ("choose", "mrr"):
        assert len(stats) == N
    low, high = bootstrap(m, stats, n=20)
    assert math.isfinite(low) and lowest - 1e-9 <= low <= high <= 1 + 1e-9


@pytest.mark.parametrize(("kind", "name"), CELLS)
def test_a_row_without_a_valid_answer_counts_as_wrong(kind, name):
    examples = [example(kind, i) for i in range(N)]
    right = [perfect(e) for e in examples]
    groups = ["g"] * N
    if kind == "generate" and name not in ("exact_match", "numeric_em", "chrf"):
        # each form reads its own language
        examples, right = ([x[2]] if name.endswith("zh") else x[:2] for x in (examples, right))
        groups = groups[: len(right)]
    whole = metric(name).value(examples, right, groups=groups)
    assert whole == pytest.approx(1.0)
    for bad in (None, [], b"", math.nan):
        for row in range(len(right)):
            answers = [*right[:row], bad, *right[row + 1 :]]
            assert metric(name).value(examples, answers, groups=groups) < whole
