"""Declarations for many alike tasks, and columns and options that only some rows have."""

import json

import pytest

from formats import LabelSpace, MultiLabelClassification, MultipleChoice, TextGeneration
from formats.errors import DeclarationError, RowError
from tasks import catalogue
from tasks.parametric import expanded


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIFY_TASKS", str(tmp_path))
    monkeypatch.setenv("UNIFY_CACHE", str(tmp_path / "cache"))

    def put(name, content):
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / name).write_text(text, encoding="utf-8")

    return put


def examples(name, split="train"):
    return list(catalogue.load(name).examples(split))


FAMILY = """
type: MultipleChoice
cluster: exams
source: {path: .}
format: csv
splits: {train: "{subject}_dev.csv"}
fields: {options: choice*}
answer_as: index
prompts: {instruction: "About {topic}: {{ question }}"}
name: exam_{subject}
each:
  - {subject: law, topic: the law}
  - {subject: art, topic: "painting, and more"}
"""


def test_one_declaration_makes_a_task_for_each_row_of_values(folder):
    folder("exams.yaml", FAMILY)
    folder("law_dev.csv", "question,choice0,choice1,answer\nq,a,b,1\n")
    folder("art_dev.csv", "question,choice0,choice1,answer\nr,c,d,0\n")
    assert [n for n in catalogue.names() if n.startswith("exam_")] == ["exam_art", "exam_law"]
    assert examples("exam_law") == [MultipleChoice("exam_law/train/0", "q", ("a", "b"), gold=1)]
    assert examples("exam_art") == [MultipleChoice("exam_art/train/0", "r", ("c", "d"), gold=0)]
    # Names that are no value of `each` keep their braces.
    assert catalogue.load("exam_art").prompt.instruction == (
        "About painting, and more: {{ question }}"
    )


@pytest.mark.parametrize(
    "raw",
    [
        {"name": "a_{x}", "each": []},
        {"name": "a_{x}", "each": {"x": [1]}},
        {"name": "a_{x}", "each": [{"x": 1}, {"y": 2}]},
        {"each": [{"x": 1}]},
        {"name": "a", "each": [{"x": 1}, {"x": 2}]},
    ],
    ids=["empty", "mapping", "unequal keys", "no name", "one name twice"],
)
def test_values_that_make_no_tasks(raw):
    with pytest.raises(DeclarationError):
        expanded(raw)


def test_rows_with_fewer_options_than_columns(folder):
    folder("pick.yaml", """
type: MultipleChoice
cluster: c
source: {path: .}
format: {json: {patterns: {text: '(?P<ask>.*): (?P<o1>\\w)(?: (?P<o2>\\w))?(?: (?P<o3>\\w))?'}}}
splits: {train: rows.json}
fields: {question: ask, options: o*, answer: answer}
answer_as: number
""")  # fmt: skip
    folder("rows.json", [{"text": "which: x y z", "answer": "3"}, {"text": "or: x y", "answer": 2}])
    assert [(e.question, e.options, e.gold) for e in examples("pick")] == [
        ("which", ("x", "y", "z"), 2), ("or", ("x", "y"), 1),
    ]  # fmt: skip
    folder("rows.json", [{"text": "nothing to choose", "answer": "1"}])
    with pytest.raises(RowError):
        examples("pick")


def test_label_sets_of_the_rows_own_labels(folder):
    folder("true.yaml", """
type: MultiLabelClassification
cluster: c
source: {path: .}
format: json
splits: {train: rows.json}
fields: {options: statements, labels: right}
""")  # fmt: skip
    folder("rows.json", [
        {"text": "a?", "statements": ["x", "y"], "right": ["y"]},
        {"text": "b?", "statements": ["u", "v", "w"], "right": ["u", "w"]},
    ])  # fmt: skip
    assert examples("true") == [
        MultiLabelClassification("true/train/0", "a?", LabelSpace(("x", "y")), gold={"y"}),
        MultiLabelClassification(
            "true/train/1", "b?", LabelSpace(("u", "v", "w")), gold={"u", "w"}
        ),
    ]
    folder("rows.json", [{"text": "a?", "statements": ["x", "y"], "right": ["z"]}])
    with pytest.raises(RowError, match="'z'"):
        examples("true")


def test_targets_that_are_published_as_numbers(folder):
    folder("sum.yaml", """
type: TextGeneration
cluster: c
source: {path: .}
format: json
splits: {train: rows.json}
fields: {source: ask, targets: answers, rationale: "{steps:; }"}
""")  # fmt: skip
    folder("rows.json", [
        {"ask": "1+1", "answers": [2.0, 0.875], "steps": ["add", "done"]},
        {"ask": "1-3", "answers": [-2.0], "steps": []},
    ])  # fmt: skip
    assert examples("sum") == [
        TextGeneration("sum/train/0", "1+1", ("2", "0.875"), "add; done"),
        TextGeneration("sum/train/1", "1-3", ("-2",), None),
    ]
