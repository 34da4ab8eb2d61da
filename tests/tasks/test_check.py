"""`tasks.check` and `unify tasks --check` over small tasks written here."""

import re

import pytest

from formats import (
    MultiLabelClassification,
    MultipleChoice,
    QuestionAnswering,
    Regression,
    Span,
    TextClassification,
    TextGeneration,
    TokenClassification,
)
from formats.errors import DataError
from formats.examples import LabelSpace, TypeSpace
from tasks import catalogue
from tasks.check import check, gold_of
from unify.cli import main

TASK = """
type: TextClassification
cluster: mood
source: {path: .}
format: {csv: {columns: [label, text]}}
splits: {train: train.csv}
labels: {0: sad, 1: glad, 2: calm}
"""


@pytest.fixture
def put(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIFY_TASKS", str(tmp_path))
    monkeypatch.setenv("UNIFY_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("UNIFY_DATA", raising=False)
    (tmp_path / "train.csv").write_text("1,so nice\n0,\n1,it is lovely\n0,no\n", encoding="utf-8")

    def write(text, name="mood.yaml"):
        (tmp_path / name).write_text(text, encoding="utf-8")

    return write


def test_counts_of_a_split(put):
    put(TASK + "broken: {train: 1}\n")
    found = check("mood")
    (split,) = found.splits
    assert (split.rows, split.read, split.skipped.count) == (4, 3, 1)
    assert split.words == 2.0  # 2, 3 and 1 words
    assert split.gold == {"glad": 2, "sad": 1}
    assert split.histogram() == "glad 67%, sad 33%" and split.histogram(1) == "glad 67%, +1"
    assert found.problems == [] and found.unused == ("calm",)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("", "1 × text is empty; 0 announced"),
        ("broken: {train: 2}\n", "1 × text is empty; 2 announced"),
        ("broken: {train: 1}\nlabels: {0: sad, 2: calm}\n", "3 rows skipped"),
        ("broken: {train: 1}\nfields: {label: lable}\n", "unknown column 'lable'"),
        ("broken: {train: 1}\nprompts: {entail: {premise: '{{ txt }}', hypothesis: x}}\n", "txt"),
        ("splits: {train: none.csv}\n", "a missing file"),
        ("type: TextClasification\n", "did you mean"),
        ("format: {csv: {columns: [label, text, more]}}\n", "2 cells in a table of 3"),
    ],
)
def test_problems(put, more, says):
    put("base: _base.yaml\n" + more)
    put(TASK, "_base.yaml")
    (problem,) = check("mood").problems
    assert says in problem


def test_only_some_rows(put):
    put(TASK)
    assert [s.read for s in check("mood", rows=1).splits] == [1]
    assert check("mood", rows=1).problems == []  # the bad row was not reached
    assert len(check("mood", rows=2).problems) == 1


def test_without_its_data_a_task_is_not_checked(put, monkeypatch, tmp_path):
    put(TASK.replace("{path: .}", "{data: moods}"))
    assert check("mood").unchecked == "UNIFY_DATA is not set"
    monkeypatch.setenv("UNIFY_DATA", str(tmp_path))
    assert check("mood").unchecked == "UNIFY_DATA has no folder moods"
    (tmp_path / "moods").mkdir()
    (problem,) = check("mood").problems
    assert check("mood").unchecked == "" and "a missing file" in problem


def test_a_missing_file_is_named_with_its_task_wherever_it_is_missed(put):
    put(TASK.replace("train.csv", "none.csv"))
    for ask in (lambda t: t.rows("train"), lambda t: t.fingerprint()):
        with pytest.raises(DataError) as caught:
            ask(catalogue.load("mood"))
        assert caught.value.where["task"] == "mood"


LABELS = LabelSpace(("a", "b"), ("first", "second"))
TYPES = TypeSpace(("P",), ("person",))


@pytest.mark.parametrize(
    ("example", "counted"),
    [
        (TextClassification("i", "x", LABELS, gold="b"), ["second"]),
        (TextClassification("i", "x", LABELS), []),
        (MultiLabelClassification("i", "x", LABELS, gold=frozenset("ab")), ["first", "second"]),
        (MultiLabelClassification("i", "x", LABELS, gold=frozenset()), ["no label"]),
        (MultipleChoice("i", "q", ("x", "y"), gold=1), ["option 2"]),
        (QuestionAnswering("i", "q", "ab", (frozenset([Span(0, 1)]),)), ["1 span"]),
        (
            QuestionAnswering("i", "q", "ab", (frozenset[Span](),), unanswerable=True),
            ["unanswerable"],
        ),
        (
            TokenClassification("i", "ab", TYPES, frozenset([Span(0, 1, "P"), Span(1, 2, "P")])),
            ["person", "person"],
        ),
        (TokenClassification("i", "ab", TYPES, frozenset()), ["no entity"]),
        (Regression("i", "x", 0, 5, 0.2, None, 3.6), ["4"]),
        (TextGeneration("i", "x", ("y", "z")), ["2 references"]),
    ],
)
def test_what_a_gold_answer_counts_as(example, counted):
    assert list(gold_of(example)) == counted


def test_the_command(put, capsys):
    put(TASK + "broken: {train: 1}\n")
    put(TASK.replace("{path: .}", "{data: moods}"), "away.yaml")
    assert main(["tasks", "--check", "mood", "away"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"mood +TextClassification +train +4 +3 +1 +2\.0 +glad 67%, sad 33%", out)
    assert "mood/train: skipped 1 × text is empty" in out
    assert "mood: 1 label that no row has: calm" in out
    assert "not checked: 1 task, since UNIFY_DATA is not set: away" in out
    assert "1 task checked; 1 split; 4 rows; 3 read; 1 skipped; 0 tasks with problems" in out


def test_the_command_ends_non_zero_on_a_problem(put, capsys):
    put(TASK)
    assert main(["tasks", "--check", "mo*"]) == 1
    out = capsys.readouterr().out
    assert "PROBLEM mood: train: 1 rows skipped" in out and "to mend:" in out
    assert main(["tasks", "--check", "mood", "rows=1"]) == 0
    assert main(["tasks", "--check", "mood", "rows=0"]) == 1
    assert main(["tasks", "--check", "nothing_of_the_name"]) == 1
