"""The tally of rows that survive a format, and a few rows of every task in every format."""

import os

import pytest

from formats import FORMATS, Entail, Extract, Generate
from tasks import catalogue
from tasks.check import unavailable
from tasks.roundtrip import Tally, roundtrip
from tasks.sources import Generated


@pytest.fixture
def questions(tmp_path, monkeypatch):
    import json

    monkeypatch.setenv("UNIFY_TASKS", str(tmp_path))
    monkeypatch.setenv("UNIFY_CACHE", str(tmp_path / "cache"))
    passage = "Ann Lee met Bob"
    rows = [(0, "Ann"), (0, "Ann Lee"), (0, "Ann Lee met"), (0, "An"), (0, "Zoe")]
    with (tmp_path / "rows.jsonl").open("w") as sink:
        for start, text in rows:
            answers = [{"text": text, "start": start}]
            line = {"question": "Who?", "passage": passage, "answers": answers}
            sink.write(json.dumps(line) + "\n")
    (tmp_path / "test.jsonl").write_text(
        json.dumps({"question": "Who?", "passage": passage}) + "\n"
    )
    (tmp_path / "questions.yaml").write_text(
        "type: QuestionAnswering\ncluster: q\nsource: {path: .}\nformat: jsonl\n"
        "splits: {train: rows.jsonl, test: test.jsonl}\nunlabelled: [test]\n"
    )
    return catalogue.load("questions")


def test_a_tally(questions):
    asked = []
    found = roundtrip(questions, Entail(max_words=2), advance=asked.append)
    assert (found.rows, found.exact, found.unlabelled, found.unexplained) == (5, 2, 1, 0)
    assert found.skipped == 1  # Zoe is not in the passage
    assert found.explained == {
        "a gold span is not a run of at most 2 whole words": 1,
        "a gold span begins or ends within a word, and candidates are whole words": 1,
    }
    assert asked == [7] * 5 and found.instances == 35  # 4 + 3 runs of the four words
    assert roundtrip(questions, Extract()).exact == 4
    assert roundtrip(questions, Generate(), limit=2, templates=2).exact == 4
    assert roundtrip(questions, Generate(), limit=2, templates=9).rows == 6  # has two templates


class Wrong(Entail):
    """Reads the best candidate as the worst."""

    def decode(self, example, prompt, raws, *, template=0):
        list(raws)
        if example.id.endswith("/1"):
            raise ValueError("no idea")
        return frozenset(["Bob"])


def test_what_comes_back_wrong_is_told(questions):
    found = roundtrip(questions, Wrong(), limit=2)
    assert (found.exact, found.unexplained) == (0, 2)
    assert found.first == [
        "questions/train/0: frozenset({'Bob'}) is not the gold answer",
        "questions/train/1: ValueError: no idea",
    ]


def test_tallies_add_up(questions):
    total = Tally()
    for _ in range(2):
        total.add(roundtrip(questions, Entail(max_words=1)))
    assert (total.rows, total.exact, total.explained.total(), total.skipped) == (10, 2, 6, 2)


@pytest.mark.skipif(
    not os.environ.get("UNIFY_DATA"), reason="UNIFY_DATA does not name the folder of datasets"
)
def test_rows_of_every_task_come_back():
    """Two rows of each split of the published data; `tests/benchmarks/matrix.py` asks all."""
    failed = {}
    for task in map(catalogue.load, catalogue.names()):
        if unavailable(task) or isinstance(task.source, Generated):
            continue
        for name, make in FORMATS.items():
            if task.supports(name):
                found = roundtrip(task, make(), limit=2)
                met = found.exact + found.unlabelled + found.explained.total()
                if found.unexplained or not met:
                    failed[task.name, name] = found.first
    assert failed == {}
