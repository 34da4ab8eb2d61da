"""Tasks that plain text makes of itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.errors import UnknownName
from tasks import catalogue
from tasks.plain_text import ASKS, last_phrase, rows, sentences
from tasks.readers.plain import plain_text

TEXT = [
    ["Ann went to the market early.", "She bought six green apples there.", "Then she left again."],
    ["Rain fell on the old town.", "The streets were empty, wet and dark.", "Nobody saw the fox."],
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Who met J. Smith. He left.", ["Dr. Who met J. Smith.", "He left."]),
        ('She said "Go." Then\n  he went.', ['She said "Go."', "Then he went."]),
        ("It cost 3.50 today", ["It cost 3.50 today"]),
        ("  ", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text(alphabet='ab .!?"\n', max_size=60))
def test_sentences_lose_no_word(text: str) -> None:
    assert " ".join(sentences(text)).split() == text.split()


def test_last_phrases() -> None:
    assert last_phrase("The streets were empty, wet and dark.") == (
        "The streets were empty,", "wet and dark.",
    )  # fmt: skip
    assert last_phrase("Ann went to the market early.") == ("Ann went to the", "market early.")
    assert last_phrase("She left at once.") is None


def test_next_sentence() -> None:
    found = list(rows(TEXT, "next_sentence"))
    assert [r["targets"] for r in found] == [[s] for p in TEXT for s in p[1:]]
    for row in found:
        passage = TEXT[row["passage"]]
        at = passage.index(row["targets"][0])
        assert " ".join(passage[:at]).endswith(row["source"])


def test_masked_words_fill_their_blanks() -> None:
    found = list(rows(TEXT, "masked_words"))
    assert len(found) == 6
    for row, whole in zip(found, (s for p in TEXT for s in p), strict=True):
        filled = row["source"]
        for word in row["targets"][0].split(", "):
            filled = filled.replace("___", word, 1)
        assert filled == whole and 1 <= row["source"].count("___") <= 3


def test_last_phrase_to_write_and_to_choose() -> None:
    written = list(rows(TEXT, "last_phrase"))
    assert written[0] == {
        "source": "Ann went to the ___", "targets": ["market early."], "passage": 0,
    }  # fmt: skip
    chosen = list(rows(TEXT, "last_phrase_choice"))
    assert [r["answer"] for r in chosen] == [r["targets"][0] for r in written]
    ends = {r["answer"] for r in chosen}
    for row in chosen:
        assert row["answer"] in row["options"] and set(row["options"]) <= ends
        assert len(set(row["options"])) == len(row["options"]) == min(4, len(ends))


def test_orders_are_what_they_are_called() -> None:
    many = [[f"{w}{k} is here." for k in range(3)] for w in "abcdefghijklmnopqrst"]
    found = list(rows(many, "sentence_order", seed=1))
    assert {r["label"] for r in found} == {"in order", "shuffled", "other"}
    for row in found:
        shown, own = sentences(row["text"]), many[row["passage"]]
        if row["label"] == "other":
            assert sum(s not in own for s in shown) == 1
        else:
            assert (shown == own) is (row["label"] == "in order")
            assert sorted(shown) == sorted(own)


@pytest.mark.parametrize("ask", ASKS)
def test_rows_are_fixed_by_their_seed(ask: str) -> None:
    many = [[f"{w} is here with {k} good {w}{k} friends." for k in range(4)] for w in "abcd"]
    assert list(rows(many, ask, 3)) == list(rows(many, ask, 3))
    if ask not in ("last_phrase", "next_sentence"):
        assert list(rows(many, ask, 3)) != list(rows(many, ask, 4))


def test_unknown_tasks_are_named() -> None:
    with pytest.raises(UnknownName, match="last_phrase"):
        list(rows(TEXT, "last_phrases"))


def test_paragraphs_of_a_file_and_columns_of_a_reader(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One is here.\nTwo is there.\n\n\n \nThree is new. Four.\n")
    found = list(plain_text(tmp_path / "a.txt", ask="next_sentence"))
    assert [(r["source"], r["targets"], r["passage"]) for r in found] == [
        ("One is here.", ["Two is there."], 0),
        ("Three is new.", ["Four."], 1),
    ]
    (tmp_path / "a.csv").write_text("t,x\nA one. B two.,1\nA one. B two.,2\n")
    twice = list(plain_text(tmp_path / "a.csv", ask="next_sentence", reader="csv", column="t"))
    assert len(twice) == 1 and twice[0]["targets"] == ["B two."]


@pytest.mark.parametrize("name", [n for n in catalogue.names() if n.startswith("plain_")])
def test_declared_tasks_hold_their_rows(name: str) -> None:
    if "xquad" in name and not os.environ.get("UNIFY_DATA"):
        pytest.skip("UNIFY_DATA does not name the folder of datasets")
    task = catalogue.load(name)
    counts = {split: len(list(task.examples(split))) for split in task.splits()}
    if "xquad" not in name:
        assert counts == {"train": 1000, "validation": 100, "test": 200}
    else:
        assert set(counts) == {"train", "test"} and min(counts.values()) >= 40
        passages = [{r["passage"] for r in task.rows(s)} for s in task.splits()]
        assert not passages[0] & passages[1]
        assert task.lineage == {"xquad", "squad"}
