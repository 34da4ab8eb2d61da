"""Suites that score seen tasks too: which split trains, which one is scored, what both share."""

import json

import pytest

from formats.errors import DeclarationError, UnknownName
from tasks import suites, unseen
from tasks.suites import Suite

LONG = "the quick brown fox jumps over the lazy dog and then it sleeps for hours"


@pytest.fixture
def put(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIFY_TASKS", str(tmp_path))

    def write(name, **splits):
        for split, texts in splits.items():
            rows = [json.dumps({"text": t, "label": "x"}) for t in texts]
            (tmp_path / f"{name}.{split}.jsonl").write_text("\n".join(rows), encoding="utf-8")
        files = ", ".join(f"{split}: {name}.{split}.jsonl" for split in splits)
        blind = [split for split in splits if split == "blind"]
        (tmp_path / f"{name}.yaml").write_text(
            f"type: TextClassification\ncluster: {name}\nlineage: [{name}]\nlabels: [x, y]\n"
            f"source: {{path: .}}\nformat: jsonl\nsplits: {{{files}}}\nunlabelled: {blind}\n",
            encoding="utf-8",
        )

    return write


def test_the_first_split_that_is_there_trains(put):
    put("a", train=["1"], validation=["2"], test=["3"])
    put("b", blind=["1"], validation=["2"], test=["3"])
    both = Suite("s", ("a", "b"), (), train=("blind", "train", "validation"))
    assert [both.train_split(n) for n in "ab"] == ["train", "validation"]
    assert [both.eval_split(n) for n in "ab"] == ["test", "test"]
    assert Suite("s", ("b",), ()).train_split("b") == "train"  # it has none: none will be found


def test_no_split_both_trains_and_is_scored(put):
    put("a", validation=["1"], test=["2"])
    turned = Suite("s", ("a",), (), train=("test",))
    assert (turned.train_split("a"), turned.eval_split("a")) == ("test", "validation")
    put("b", validation=["1"])
    with pytest.raises(DeclarationError, match="without a split"):
        Suite("s", ("b",), (), train=("validation",)).eval_split("b")
    assert Suite("s", (), ("b",), train=("validation",)).eval_split("b") == "validation"


def test_leaks_are_looked_for_in_the_rows_that_train(put):
    put("a", train=["one"], validation=["two"])
    put("b", test=["two"])
    assert unseen.check(Suite("s", ("a",), ("b",))) == []
    (leak,) = unseen.check(Suite("s", ("a",), ("b",), train=("validation",)))
    assert (leak.kind, leak.count) == ("rows", 1)


def test_what_held_out_rows_share_with_training(put):
    put("a", train=["one", LONG], test=["One!", "two", "Again: " + LONG])
    put("b", train=["two"], test=["three"])
    suite = Suite("s", ("a", "b"), (), held_out=True)
    found = {(k.seen, k.kind): (k.unseen, k.count, k.rows) for k in unseen.met(suite, ["a", "b"])}
    assert found == {
        ("a", "rows"): ("a", 1, 3),
        ("a", "ngrams"): ("a", 1, 3),
        ("b", "rows"): ("a", 1, 3),
    }
    assert unseen.met(suite, []) == []


def test_keys_of_a_suite(put, tmp_path):
    put("a", train=["1"], test=["2"])
    made = suites.made("s", {"seen": ["a"], "train": "validation", "held_out": True})
    assert made == Suite("s", ("a",), (), train=("validation",), held_out=True)
    assert suites.made("s", {}) == Suite("s", (), ())
    with pytest.raises(UnknownName, match="'held_out'"):
        suites.made("s", {"heldout": True})
