"""Suites, leaks and baselines, on tasks made here and on the sample world."""

import json

import numpy as np
import pytest

from formats.errors import DeclarationError, LeakError, UnknownName
from tasks import catalogue, suites, unseen
from tasks.baselines import BASELINES
from tasks.ngrams import among, hashes
from tasks.suites import Suite

LONG = "the quick brown fox jumps over the lazy dog and then it sleeps for hours"


@pytest.fixture
def tasks(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIFY_TASKS", str(tmp_path))
    monkeypatch.setenv("UNIFY_CACHE", str(tmp_path / "cache"))

    def put(name, texts, cluster=None, lineage=None):
        rows = [{"text": t, "label": "x"} for t in texts]
        file = tmp_path / f"{name}.jsonl"
        file.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
        (tmp_path / f"{name}.yaml").write_text(
            f"type: TextClassification\ncluster: {cluster or name}\nlineage: [{lineage or name}]\n"
            f"source: {{path: .}}\nformat: jsonl\nlabels: [x, y]\n"
            f"splits: {{train: {name}.jsonl, test: {name}.jsonl}}\n",
            encoding="utf-8",
        )

    return put


def kinds(seen, held):
    return [leak.kind for leak in unseen.check(Suite("s", (seen,), (held,)))]


def test_declared_leaks(tasks):
    tasks("a", ["one"], cluster="k", lineage="src")
    tasks("b", ["two"], cluster="k")
    tasks("c", ["three"], lineage="src")
    tasks("d", ["four"])
    assert kinds("a", "b") == ["cluster"]
    assert kinds("a", "c") == ["lineage"]
    assert kinds("a", "d") == []
    assert kinds("a", "a") == ["task", "rows"]


def test_text_leaks(tasks):
    tasks("a", [LONG, "short and plain"])
    tasks("b", ["unlike", "Short,  and PLAIN!"])
    tasks("c", ["He said: " + LONG.upper()])
    tasks("d", [LONG.replace("lazy", "tired")])
    rows, ngrams = (unseen.check(Suite("s", ("a",), (held,))) for held in "bc")
    assert [(k.kind, k.count, k.rows, k.example) for k in rows] == [("rows", 1, 2, "b/test/1")]
    assert [(k.kind, k.count) for k in ngrams] == [("ngrams", 1)]
    assert kinds("a", "d") == []  # no run of 13 words is left


def test_refusal_lists_all_and_names_the_flag(tasks):
    tasks("a", [LONG], cluster="k")
    tasks("b", [LONG], cluster="k")
    leaks = unseen.check(Suite("s", ("a",), ("b",)))
    assert len(leaks) == 3
    with pytest.raises(LeakError, match="allow_leaks=true") as caught:
        unseen.refuse(leaks)
    assert all(str(leak) in str(caught.value) for leak in leaks)
    unseen.refuse(leaks, allow_leaks=True)
    unseen.refuse([])


def test_hashes():
    one, two, three = hashes([["A b."], ["a  B"], ["a", "b"]], 2).rows
    assert one == two != three
    found = hashes([["a b c"], ["b c", "x"]], 2)
    assert found.owner.tolist() == [0, 0, 1]
    assert found.grams[1] == found.grams[2] != found.grams[0]
    assert len(hashes([["a b"]], 3).grams) == 0 and len(hashes([], 3).rows) == 0
    ordered = np.array([2, 5, 9], dtype=np.uint64)
    assert among(np.array([9, 1, 10, 5], dtype=np.uint64), ordered).tolist() == [1, 0, 0, 1]


def test_leaks_are_found_in_any_block(tasks, monkeypatch):
    tasks("a", [f"row {i}" for i in range(7)] + [f"{LONG} {i}" for i in range(3)])
    tasks("b", [f"other {i}" for i in range(6)] + ["row 6", f"so {LONG} 2", "row 0"])
    suite = Suite("s", ("a",), ("b",))
    whole = unseen.check(suite)
    assert [(k.kind, k.count, k.rows, k.example) for k in whole] == [
        ("rows", 2, 9, "b/test/6"),
        ("ngrams", 1, 9, "b/test/7"),
    ]
    monkeypatch.setattr(unseen, "_BLOCK", 2)
    assert unseen.check(suite) == whole


def test_selectors(tasks, tmp_path):
    tasks("mine_a", ["x"], cluster="k")
    tasks("mine_b", ["x"], cluster="k")
    assert suites.select(["mine_*", "-mine_b"]) == ("mine_a",)
    assert suites.select(["cluster:k"]) == ("mine_a", "mine_b")
    with pytest.raises(UnknownName, match="mine_a"):
        suites.select(["mine_aa"])
    with pytest.raises(UnknownName, match="cluster"):
        suites.select(["cluster:nothing"])
    path = tmp_path / "bad.yml"
    path.write_text("sen: [a]\n")
    with pytest.raises(UnknownName, match="'seen'"):
        suites.read(path)


def test_packaged_suites():
    assert {"sample", "real"} <= set(suites.names())
    real = suites.load("real_ten")
    assert len(real.seen) + len(real.unseen) == 10
    assert real.eval_split("rte") == "validation" and real.eval_split("trec") == "test"
    with pytest.raises(UnknownName, match="sample"):
        suites.load("sampel")


def test_a_task_without_gold_to_evaluate(tasks, tmp_path):
    tasks("a", ["x"])
    with pytest.raises(DeclarationError, match="without a split"):
        Suite("s", (), ("a",), evaluate=("dev",)).eval_split("a")


def test_the_sample_suite_is_unseen(monkeypatch, tmp_path):
    monkeypatch.setenv("UNIFY_CACHE", str(tmp_path))
    suite = suites.load("sample")
    some = Suite("s", suite.seen[::6], suite.unseen[::3], {"train": 100, "test": 50})
    assert unseen.check(some) == []
    assert unseen.check(suite, texts=False) == []
    asked = {catalogue.load(name).kind for name in suite.unseen}
    assert len(asked) == 8


@pytest.mark.parametrize("name", suites.load("sample").unseen)
def test_baselines_answer_every_type(name, monkeypatch, tmp_path):
    monkeypatch.setenv("UNIFY_CACHE", str(tmp_path))
    task = catalogue.load(name)
    examples = list(task.examples("test", limit=40))
    for baseline in BASELINES.values():
        answers = baseline(examples, 0)
        assert answers == baseline(examples, 0)
        assert -1 <= task.scorer().value(examples, answers) <= 1
    assert BASELINES["random"](examples, 0) != BASELINES["random"](examples, 1)
