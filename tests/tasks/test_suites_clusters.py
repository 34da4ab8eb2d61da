"""Suites by cluster, one cluster left out, bases, and cleaning by rows."""

from __future__ import annotations

import json
import os

import pytest

from formats.errors import DeclarationError, UnknownName
from tasks import catalogue, suites, unseen
from tasks.cleaning import cleaned

LONG = "the quick brown fox jumps over the lazy dog and then it sleeps for hours"
CLUSTERS = {
    "commonsense", "correction", "dialogue_summary", "emotion", "inference", "question_type",
    "relation", "slots",
}  # fmt: skip


def test_real_holds_eight_clusters_back():
    real = suites.load("real")
    assert set(suites.clusters_of(real.unseen)) == CLUSTERS
    assert CLUSTERS.isdisjoint(suites.clusters_of(real.seen))
    assert {catalogue.load(n).kind for n in real.unseen} == {
        "classify", "multilabel", "choose", "answer", "tag", "relate", "generate"
    }  # fmt: skip
    assert unseen.check(real, texts=False) == []
    for name in real.unseen:
        assert real.eval_split(name) in ("test", "validation")
    for name in real.seen:
        assert real.train_split(name) in catalogue.load(name).splits()


@pytest.mark.parametrize(
    "cluster",
    suites.clusters_of((*suites.load("meta_tuning").seen, *suites.load("meta_tuning").unseen)),
)
def test_each_cluster_left_out_leaves_no_declared_leak(cluster):
    suite = suites.load("leave_one_cluster_out", base="meta_tuning", cluster=cluster)
    base = suites.load("meta_tuning")
    assert {catalogue.load(n).cluster for n in suite.unseen} == {cluster}
    assert sorted((*suite.seen, *suite.unseen)) == sorted((*base.seen, *base.unseen))
    assert (suite.limits, suite.train) == (base.limits, base.train)
    result = cleaned(suite, texts=False)
    assert unseen.check(result.suite, texts=False) == []
    sentences = {"sentiment": {"subj"}, "subjectivity": {"mr", "sst2", "sst5"}}
    assert set(result.removed) == sentences.get(cluster, set())


def test_flan_and_meta_tuning_are_clean():
    flan = suites.load("flan_clusters")
    assert {catalogue.load(n).cluster for n in flan.unseen} == {"inference"}
    assert "mrpc" not in flan.seen and "boolq" in flan.seen
    result = cleaned(flan, texts=False)
    assert unseen.check(result.suite, texts=False) == []
    assert {name.partition("_")[0] for name in result.removed} == {"multi30k"}  # Flickr30k's
    tuning = suites.load("meta_tuning")
    assert {catalogue.load(n).language for n in (*tuning.seen, *tuning.unseen)} == {"en"}
    assert unseen.check(tuning, texts=False) == []


@pytest.fixture
def put(tmp_path, monkeypatch):
    (tmp_path / "task").mkdir()
    (tmp_path / "suite").mkdir()
    monkeypatch.setenv("UNIFY_TASKS", str(tmp_path / "task"))
    monkeypatch.setenv("UNIFY_CACHE", str(tmp_path / "cache"))

    def task(name, *texts, cluster=None):
        rows = "".join(json.dumps({"text": t, "label": "x"}) + "\n" for t in texts)
        (tmp_path / "task" / f"{name}.jsonl").write_text(rows)
        (tmp_path / "task" / f"{name}.yaml").write_text(
            f"type: TextClassification\ncluster: {cluster or name}\nsource: {{path: .}}\n"
            f"format: jsonl\nlabels: [x, y]\n"
            f"splits: {{train: {name}.jsonl, test: {name}.jsonl}}\n"
        )

    def suite(name, text):
        (tmp_path / "suite" / f"{name}.yaml").write_text(text)

    return task, suite


def test_cleaning_finds_rows_and_runs_of_words(put):
    task, suite = put
    task("held", "short and plain", LONG)
    task("rows", "Short and PLAIN!")
    task("runs", f"he said: {LONG}")
    task("same", "other", cluster="held")
    task("free", "unlike any")
    suite("mine", "seen: [rows, runs, same, free]\nunseen: [held]\nclean: true\n")
    result = cleaned(suites.load("mine"))
    assert result.suite.seen == ("free",) and unseen.check(result.suite) == []
    kinds = {name: [leak.kind for leak in leaks] for name, leaks in result.removed.items()}
    assert kinds == {"rows": ["rows"], "runs": ["ngrams"], "same": ["cluster"]}
    assert cleaned(suites.load("mine"), texts=False).suite.seen == ("rows", "runs", "free")
    assert cleaned(suites.load("mine", clean="rows")).suite.seen == ("runs", "same", "free")
    plain = suites.load("mine", clean=False)
    assert cleaned(plain).suite == plain


def test_a_suite_may_have_a_base(put):
    task, suite = put
    task("a", "one", cluster="k")
    task("b", "two", cluster="l")
    suite("below", "seen: [a]\nunseen: [b]\nlimits: {train: 3}\nevaluate: test\n")
    suite("over", "base: below\nlimits: {train: 5}\n")
    suite("around", "base: round\n")
    suite("round", "base: around\n")
    over = suites.load("over")
    assert (over.seen, over.unseen, over.limits, over.evaluate) == (
        ("a",), ("b",), {"train": 5}, ("test",)
    )  # fmt: skip
    left = suites.load("over", cluster="k")
    assert (left.seen, left.unseen) == (("b",), ("a",))
    with pytest.raises(DeclarationError, match="its own base"):
        suites.load("round")
    with pytest.raises(UnknownName, match="below"):
        suites.made("s", {"base": "belo"})
    with pytest.raises(UnknownName, match="'l'"):
        suites.load("over", cluster="ll")


@pytest.mark.skipif(not os.environ.get("UNIFY_DATA"), reason="UNIFY_DATA names no datasets")
def test_no_row_of_real_is_in_both():
    assert unseen.check(suites.load("real")) == []
