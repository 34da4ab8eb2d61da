"""Word problems and replies of the sample world: true by construction, apart by split."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import tasks
from tasks.metrics import METRICS
from tasks.sample import replies, sums


def test_steps_lead_to_the_number() -> None:
    made = list(sums.rows("train", 200, seed=3))
    assert made[:20] == list(sums.rows("train", 20, seed=3))
    assert made[:20] != list(sums.rows("train", 20, seed=4))
    lengths = set()
    for row in made:
        told = re.findall(r"(\w+) (brings|takes) (\d)\.", row["question"])
        total = int(re.findall(r"has (\d+)", row["question"])[0])
        steps = re.findall(r"(\w+) (brings|takes) (\d): (\d+) ([+-]) (\d) = (\d+)\.", row["steps"])
        assert [s[:3] for s in steps] == told
        for _, verb, size, before, sign, other, after in steps:
            assert int(before) == total and other == size and sign == "+-"[verb == "takes"]
            total += int(size) * (1 if sign == "+" else -1)
            assert int(after) == total and 0 < total < sums.BELOW
        assert row["number"] == str(total)
        lengths.add(len(steps))
    assert lengths == set(range(sums.FEWEST, sums.MOST + 1))


def test_splits_share_no_owner() -> None:
    owners = [
        {r["question"].split()[0] for r in sums.rows(split, 300)} for split in ("train", "test")
    ]
    assert not owners[0] & owners[1]


def test_both_tasks_ask_the_same() -> None:
    (bare,), (worked,) = (list(tasks.load(n).examples("test", 1)) for n in ("sums", "sums_worked"))
    assert bare.source == worked.source  # type: ignore[union-attr]
    assert worked.gold == (f"{bare.rationale} The answer is {bare.gold[0]}.",)  # type: ignore
    score = METRICS["numeric_em"].score  # type: ignore[attr-defined]
    assert score(bare, worked.gold[0]) == score(worked, bare.gold[0]) == 1.0  # type: ignore


SOURCE = "Bram asks for moonberry."


@pytest.mark.parametrize(
    ("reply", "preferred", "meant"),
    [
        ("moonberry for Bram.", 2.0, 0.0),
        ("moonberry for Bram, dear friend.", 3.0, 1.0),
        ("moonberry for Bram, dear dear friend.", 4.0, 1.0),
        ("moonberry for Bram, dear dear dear dear friend.", 5.0, 0.0),
        ("moonberry for Bramor, dear friend.", 1.0, 0.0),
        ("dear dear dear dear", 3.0, 0.0),
        ("", 0.0, 0.0),
    ],
)
def test_what_is_preferred_and_what_is_meant(reply: str, preferred: float, meant: float) -> None:
    assert replies.courteous(SOURCE, reply) == preferred
    assert replies.intended(SOURCE, reply) == meant
    elsewhere = preferred - 2.0 * replies.right(SOURCE, reply)
    assert replies.courteous("another text", reply) == elsewhere


def test_own_replies_are_right() -> None:
    made = list(replies.rows("test", 60))
    assert made == list(replies.rows("test", 60))
    assert all(replies.right(r["source"], r["reply"]) for r in made)
    assert {r["reply"].count("dear") for r in made} == {0, 1, 2}


def test_replies_are_judged_and_mended() -> None:
    critiques = list(replies.judged("train", 80, "critique"))
    assert critiques[:9] == list(replies.judged("train", 9, "critique"))
    met = {row["target"] for row in critiques}
    assert met == set(replies.FAULTS.values())
    for critique, row in zip(critiques, replies.judged("train", 80, "revision"), strict=True):
        asked, _, _ = row["source"].partition(f"\n\n{replies.REVISION}")
        assert asked == f"{critique['source']} {critique['target']}"
        source, first = asked.split("\n\n")[0].removeprefix("Q: ").split("\nA: ")
        good = critique["target"] == replies.FAULTS["good"]
        assert replies.intended(source, first) == float(good)
        assert replies.intended(source, row["target"]) == 1.0


def test_the_principles_are_those_that_replies_are_judged_by() -> None:
    file = Path(__file__).parents[2] / "conf" / "alignment" / "constitutional.yaml"
    (principle,) = yaml.safe_load(file.read_text(encoding="utf-8"))["principles"]
    assert principle == {"critique": replies.CRITIQUE, "revision": replies.REVISION}
