"""Rows that list words and a tag for each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import Span
from formats.errors import RowError
from tasks import catalogue
from tasks.readers.tags import well_formed
from tasks.words import places_of, spans_of

WORDS = ["Ann", "Lee", "sails", "to", "Rome", "."]
TAGS = ["B-PER", "I-PER", "O", "O", "B-LOC", "O"]


def test_words_stand_one_behind_the_other() -> None:
    assert places_of(["to", "to", "o"], "to too") == [(0, 2), (3, 5), (5, 6)]
    assert places_of(WORDS[3:], "sails to Rome.") == [(6, 8), (9, 13), (13, 14)]
    for words in (["Rome", "to"], ["x"], [""], [7, "to"]):
        with pytest.raises(RowError, match="does not stand in the text") as caught:
            places_of(words, "sails to Rome.")
        assert "tokens" in str(caught.value)


@given(st.lists(st.text("abc", min_size=1), min_size=1))
def test_joined_words_are_found_where_they_were_put(words: list[str]) -> None:
    text = " ".join(words)
    places = places_of(words, text)
    assert [text[a:b] for a, b in places] == words
    assert [a for a, _ in places] == [len(" ".join([*words[:k], ""])) for k in range(len(words))]


def test_tags_become_spans() -> None:
    places = places_of(WORDS, " ".join(WORDS))
    assert spans_of(TAGS, places) == [
        {"start": 0, "end": 7, "type": "PER"}, {"start": 17, "end": 21, "type": "LOC"},
    ]  # fmt: skip
    assert spans_of(["NNP", "VBZ"], places[1:3]) == [
        {"start": 4, "end": 7, "type": "NNP"}, {"start": 8, "end": 13, "type": "VBZ"},
    ]  # fmt: skip
    assert spans_of([{"start": 0, "end": 3, "type": "PER"}], places) == [
        {"start": 0, "end": 3, "type": "PER"}
    ]
    assert spans_of([], places) == [] and not well_formed("NNP")
    with pytest.raises(RowError, match="2 tags for 6 tokens"):
        spans_of(["O", "O"], places)
    with pytest.raises(RowError, match="numbers"):
        spans_of([1, 2, 0, 0, 3, 0], places)


DECLARED = """
type: TokenClassification
cluster: names
lineage: [mine]
licence: mine
source: {path: %s}
format: jsonl
splits: {test: rows.jsonl}
types: {PER: person, LOC: place}
fields: {text: "{tokens: }", spans: ner_tags}
"""


def test_a_task_of_words_and_tags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[dict[str, Any]] = [
        {"tokens": WORDS, "ner_tags": TAGS}, {"tokens": ["Nobody", "."], "ner_tags": ["O", "O"]},
        {"tokens": ["Ann"], "ner_tags": ["O", "O"]},
    ]  # fmt: skip
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (tmp_path / "names.yaml").write_text(DECLARED % tmp_path)
    monkeypatch.setenv("UNIFY_TASKS", str(tmp_path))
    task = catalogue.load("names")
    first, second = task.examples("test", on_bad_row="skip")
    assert first.text == "Ann Lee sails to Rome ." and first.gold == {
        Span(0, 7, "PER"), Span(17, 21, "LOC"),
    }  # fmt: skip
    assert first.tokens == ((0, 3), (4, 7), (8, 13), (14, 16), (17, 21), (22, 23))
    assert second.gold == frozenset()
    with pytest.raises(RowError, match="2 tags for 1 tokens") as caught:
        list(task.examples("test"))
    assert "names" in str(caught.value) and "row 2" in str(caught.value)
