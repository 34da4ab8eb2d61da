"""Bounds of candidates learned from seen rows, and what they keep of the gold."""

import json

import pytest

from formats import Entail
from formats.errors import ConfigError
from tasks import catalogue
from tasks.span_statistics import at_quantile, candidate_recall, span_bounds

TAGS = """
type: TokenClassification
cluster: names
source: {path: .}
format: jsonl
splits: {train: tags.jsonl, test: more.jsonl}
types: {PER: person, LOC: place}
"""
QUESTIONS = """
type: QuestionAnswering
cluster: questions
source: {path: .}
format: jsonl
splits: {train: questions.jsonl}
"""
TEXT = "Ann Lee met Bob in New York City"


def row(*spans):
    listed = [{"start": s, "end": e, "type": t} for s, e, t in spans]
    return json.dumps({"text": TEXT, "spans": listed}) + "\n"


@pytest.fixture
def tasks(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIFY_TASKS", str(tmp_path))
    monkeypatch.setenv("UNIFY_CACHE", str(tmp_path / "cache"))
    # Persons of 1, 1, 1 and 2 words and a span that cuts a word; places of 3 words.
    (tmp_path / "tags.jsonl").write_text(
        row((0, 3, "PER"), (12, 15, "PER"), (19, 32, "LOC"))
        + row((0, 7, "PER"), (12, 15, "PER"))
        + row((0, 2, "PER"))
    )
    (tmp_path / "more.jsonl").write_text(row((0, 32, "LOC")))
    answer = {"question": "Who?", "passage": TEXT, "answers": [{"text": "met Bob in", "start": 8}]}
    (tmp_path / "questions.jsonl").write_text(json.dumps(answer) + "\n")
    (tmp_path / "tags.yaml").write_text(TAGS)
    (tmp_path / "questions.yaml").write_text(QUESTIONS)
    return [catalogue.load("tags"), catalogue.load("questions")]


def test_at_quantile():
    lengths = {1: 90, 2: 8, 3: 1, 9: 1}
    assert [at_quantile(lengths, q) for q in (0.9, 0.91, 0.98, 0.99, 1.0)] == [1, 2, 2, 3, 9]
    assert at_quantile({4: 1}, 0.01) == 4


def test_bounds_are_those_of_the_training_rows(tasks):
    assert span_bounds(tasks) == {"answer": 3, "person": 2, "place": 3, "tag": 3}
    assert span_bounds(tasks[:1], quantile=0.75) == {"person": 1, "place": 3, "tag": 2}
    assert span_bounds(tasks[:1], limit=1) == {"person": 1, "place": 3, "tag": 3}
    assert span_bounds([catalogue.load("sample_sea_state")]) == {}
    with pytest.raises(ConfigError, match="no quantile"):
        span_bounds(tasks, quantile=0)


def test_of_several_tasks_the_longest_counts(tasks, tmp_path):
    (tmp_path / "short.yaml").write_text(TAGS.replace("tags.jsonl", "short.jsonl"))
    (tmp_path / "short.jsonl").write_text(row((0, 3, "PER")) * 99 + row((19, 27, "LOC")))
    short = catalogue.load("short")
    assert span_bounds([short]) == {"person": 1, "place": 2, "tag": 2}
    assert span_bounds([*tasks[:1], short], quantile=0.99)["tag"] == 3


def test_recall_and_cost(tasks):
    tags, questions = (list(t.examples("train")) for t in tasks)
    found = candidate_recall(tags, Entail(max_words=1))
    assert (found.rows, found.spans, found.kept) == (3, 6, 3)
    assert found.hypotheses == 3 * 2 * 8  # three rows, two types, eight words
    assert found.recall == 0.5 and found.per_row == 16.0
    bounds = tuple(span_bounds(tasks).items())
    found = candidate_recall([*tags, *questions], Entail(bounds=bounds))
    assert (found.spans, found.kept) == (7, 6)  # all but the one that cuts a word
    # Of eight words 15 runs of up to two (person) and 21 of up to three (place, answer).
    assert found.hypotheses == 3 * (15 + 21) + 21
    assert str(found) == "85.7% of 7 gold spans are candidates, 32 hypotheses per row"
    for example in tags:
        asked = Entail(bounds=bounds).encode(example, tasks[0].prompt)
        assert len(list(asked)) == 15 + 21
    # Two stages ask for a span of up to three words first.
    two = Entail(bounds=bounds, two_stage=True)
    assert candidate_recall([*tags, *questions], two).hypotheses == 3 * (15 + 21 + 21) + 21
    assert len(list(two.encode(tags[0], tasks[0].prompt))) == 15 + 21 + 21
    assert candidate_recall([], Entail()).recall == 1.0
