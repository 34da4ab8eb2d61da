"""Few-shot subsets: which rows, by which rule, and what a subset shares with its task."""

import re

import pytest

from formats.errors import DataError, DeclarationError, UnknownName
from tasks import catalogue, suites, unseen
from tasks.subsets import Drawn, Subset, draw, ordered, parse, shortfalls
from tasks.suites import Suite
from unify.cli import main

MOODS = "sad glad sad glad sad sad glad sad calm sad glad sad".split()
TASK = """
type: TextClassification
cluster: mood
lineage: [diary]
source: {path: .}
format: {csv: {columns: [label, text]}}
splits: {train: train.csv, test: test.csv}
labels: [sad, glad, calm, bored]
"""


@pytest.fixture
def put(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIFY_TASKS", str(tmp_path))
    monkeypatch.setenv("UNIFY_CACHE", str(tmp_path / "cache"))

    def write(name, text):
        (tmp_path / name).write_text(text, encoding="utf-8")

    rows = "".join(f"{label},row {i}\n" for i, label in enumerate(MOODS))
    write("train.csv", rows)
    write("test.csv", "sad,one\nglad,two\n")
    write("mood.yaml", TASK)
    return write


def texts(task, split):
    return [e.text for e in task.examples(split)]


def test_names():
    assert parse("trec@k16s13") == ("trec", Subset(16, 13))
    assert parse("trec@n8s0") == ("trec", Subset(8, 0, balanced=False))
    assert parse("trec") == ("trec", None)
    assert str(Subset(16, 13)) == "k16s13" and str(Subset(8, 0, False)) == "n8s0"
    for bad in ("trec@16", "trec@k0s1", "trec@k16", "trec@k16s013", "trec@"):
        with pytest.raises(DeclarationError, match=r"@k16s13 \(16 rows per label"):
            parse(bad)


def test_the_order_is_the_same_everywhere():
    """From splitmix64 in plain integers. Another draw would change every few-shot figure that was
    ever reported."""
    assert ordered(range(10), 13) == [5, 4, 8, 0, 7, 1, 2, 9, 6, 3]
    assert ordered(range(10), 21) != ordered(range(10), 13)
    assert ordered([9, 3, 5], 13) == [5, 9, 3]  # other rows do not matter


def test_rows_per_label():
    labels = {i: (label,) for i, label in enumerate(MOODS)}
    found = draw(labels, Subset(2, 13))
    # In the order 11 5 4 8 0 10 7 1 2 9 6 3.
    short = {("train", "calm"): 1, ("validation", "calm"): 0}
    assert found == Drawn((1, 5, 8, 10, 11), (0, 3, 4, 6), short)
    assert [MOODS[i] for i in found.train] == ["glad", "sad", "calm", "glad", "sad"]


def test_rows_in_all():
    found = draw(dict.fromkeys(range(10), ()), Subset(4, 13, balanced=False))
    assert found == Drawn((0, 4, 5, 8), (1, 2, 7, 9), {})
    few = draw(dict.fromkeys(range(5), ()), Subset(4, 13, balanced=False))
    assert few.short == {("validation", ""): 1} and len(few.train) == 4


def test_rows_of_several_labels():
    """A row is taken when one of its labels has too few: none has less than it could."""
    labels = {0: ("a", "b"), 5: ("a",), 8: ("a",), 4: ("b", "c"), 9: ("(none)",)}
    found = draw(labels, Subset(1, 13))
    assert found.train == (4, 5, 9)  # in the order 5 4 8 0 9: neither 8 nor 0 brings anything new
    assert found.validation == (0, 8)
    assert found.short == {("validation", n): 0 for n in ("c", "(none)")}


def test_a_subset_of_a_task(put):
    task = catalogue.load("mood@k2s13")
    assert task.name == "mood@k2s13" and task.splits() == ("train", "validation", "test")
    assert texts(task, "train") == ["row 1", "row 5", "row 8", "row 10", "row 11"]
    assert texts(task, "validation") == ["row 0", "row 3", "row 4", "row 6"]
    assert texts(task, "test") == ["one", "two"]
    assert next(task.examples("train")).id == "mood@k2s13/train/0"
    assert task.count("train") == 5
    assert list(shortfalls(task)) == [
        "train: label bored: 0 of 2 rows", "train: label calm: 1 of 2 rows",
        "validation: label bored: 0 of 2 rows", "validation: label calm: 0 of 2 rows",
    ]  # fmt: skip
    assert list(shortfalls(catalogue.load("mood"))) == []
    assert "2 rows per label" in task.notes[-1]


def test_a_subset_keeps_what_its_task_is(put):
    task, parent = catalogue.load("mood@k2s13"), catalogue.load("mood")
    assert (task.cluster, task.lineage, task.metric) == (
        parent.cluster,
        parent.lineage,
        parent.metric,
    )
    prints = {n: catalogue.load(n).fingerprint() for n in ("mood", "mood@k2s13", "mood@k2s21")}
    assert len(set(prints.values())) == 3
    assert catalogue.load("mood@k2s13").fingerprint() == prints["mood@k2s13"]
    put("train.csv", "sad,new\n" * 30)
    assert catalogue.load("mood@k2s13").fingerprint() != prints["mood@k2s13"]
    assert texts(catalogue.load("mood@k2s13"), "train") == ["new"] * 2


def test_validation_becomes_the_test_where_there_is_no_other(put):
    put("mood.yaml", TASK.replace("test: test.csv", "validation: test.csv"))
    task = catalogue.load("mood@k1s13")
    assert task.splits() == ("train", "validation", "test")
    assert texts(task, "test") == ["one", "two"] and "published validation" in task.notes[-1]
    unlabelled = "{train: train.csv, validation: test.csv, test: test.csv}\nunlabelled: [test]"
    put("mood.yaml", TASK.replace("{train: train.csv, test: test.csv}", unlabelled))
    task = catalogue.load("mood@k1s13")
    assert [e.gold for e in task.examples("test")] == ["sad", "glad"]


def test_bad_rows_are_never_drawn(put):
    put("train.csv", "".join(f"{label},{'' if i == 11 else i}\n" for i, label in enumerate(MOODS)))
    put("mood.yaml", TASK + "broken: {train: 1}\n")
    assert texts(catalogue.load("mood@k2s13"), "train") == ["1", "4", "5", "8", "10"]
    (*_, last) = shortfalls(catalogue.load("mood@k2s13"))
    assert last == "1 published rows make no example and were not drawn from"


def test_refusals(put):
    with pytest.raises(UnknownName, match="did you mean 'mood'"):
        catalogue.load("moood@k1s1")
    put("mood.yaml", TASK.replace("train: train.csv, ", ""))
    with pytest.raises(DeclarationError, match="without labelled training rows"):
        catalogue.load("mood@k1s1")
    put("mood.yaml", TASK)
    put("train.csv", "sad,a\nglad,b\n")
    task = catalogue.load("mood@k1s1")
    assert len(texts(task, "train")) == 2
    with pytest.raises(DataError, match="no rows are left"):
        task.rows("validation")


def test_suites_name_subsets(put):
    put("slumber.yaml", TASK.replace("cluster: mood", "cluster: night"))
    assert suites.select(["mood@k1s1", "slumber@n4s2"]) == ("mood@k1s1", "slumber@n4s2")
    assert suites.select(["cluster:mood@k1s1"]) == ("mood@k1s1",)
    chosen = suites.select(["moo*@k1s1", "mood", "-mood"])
    assert chosen == ("mood@k1s1",)
    with pytest.raises(DeclarationError):
        suites.select(["mood@16"])


def test_a_subset_is_no_other_task_to_the_leak_check(put):
    put("slumber.yaml", TASK.replace("cluster: mood", "cluster: night"))
    leaks = unseen.check(Suite("s", ("mood@k2s13",), ("mood",)))
    assert [(leak.kind, leak.seen, leak.unseen) for leak in leaks][:2] == [
        ("cluster", "mood@k2s13", "mood"), ("lineage", "mood@k2s13", "mood"),
    ]  # fmt: skip
    leaks = unseen.check(Suite("s", ("slumber@k2s13",), ("mood@k2s13",)), texts=False)
    assert [leak.kind for leak in leaks] == ["lineage"]


def test_show(put, capsys):
    assert main(["tasks", "show", "mood@k2s13"]) == 0
    out = capsys.readouterr().out
    assert "mood@k2s13: TextClassification (cluster mood" in out
    assert re.search(r"train: 5 rows\n.*validation: 4 rows\n.*test: 2 rows", out)
    assert "short     train: label calm: 1 of 2 rows" in out


SPANS = """
type: TokenClassification
cluster: names
source: {path: .}
format: jsonl
splits: {train: names.jsonl}
types: [PER, LOC]
"""


def test_tagging_rows_count_for_each_of_their_types(put):
    rows = [
        '{"text": "Ann", "spans": [{"start": 0, "end": 3, "type": "PER"}]}',
        '{"text": "Rome", "spans": [{"start": 0, "end": 4, "type": "LOC"}]}',
        '{"text": "it", "spans": []}',
    ]
    put("names.jsonl", "\n".join(rows * 4) + "\n")
    put("names.yaml", SPANS)
    task = catalogue.load("names@k1s13")
    assert sorted(texts(task, "train")) == ["Ann", "Rome", "it"]
    assert sorted(texts(task, "validation")) == ["Ann", "Rome", "it"]
    assert task.splits() == ("train", "validation")
