"""Tasks asked the other way round."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from formats.examples import TextGeneration
from tasks import catalogue
from tasks.declare import build
from tasks.inversion import inverted
from tasks.task import Skipped


def test_a_classification_the_other_way_round(tmp_path: Path) -> None:
    rows = [{"text": f"row {i}", "label": "good" if i % 2 else "bad"} for i in range(4)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    task = build(
        "moods",
        {
            "type": "TextClassification", "cluster": "a", "lineage": ["a"], "licence": "a",
            "source": {"path": str(tmp_path)}, "format": "jsonl", "splits": {"train": "a.jsonl"},
            "labels": {"good": "glad", "bad": "sad"}, "prompts": {"instruction": "Which mood?"},
        },
        tmp_path / "moods.yaml",
    )  # fmt: skip
    first, second = inverted(task)
    assert first.name == "moods#inverted0"
    assert next(first.examples("train", start=1)) == TextGeneration(
        "moods#inverted0/train/1",
        "Which mood?\nAnswer: glad\nWhich text is this the answer for?",
        ("row 1",),
    )
    asked = next(second.examples("train", start=1)).source  # type: ignore[union-attr]
    assert asked == 'Write a text whose answer to the question "Which mood?" is: glad'
    assert len({t.fingerprint() for t in (task, first, second)}) == 3


def test_the_second_text_of_a_pair_is_written() -> None:
    task = catalogue.load("sample_weather_state")
    (own,) = task.examples("train", limit=1)
    (turned,) = inverted(task)[0].examples("train", limit=1)
    assert turned.source == (  # type: ignore[union-attr]
        f"{own.text}\nWhat is the weather there?\nAnswer: {own.gold}\nFor which second text?"  # type: ignore[union-attr]
    )
    assert turned.gold == (own.text_b,)  # type: ignore[union-attr]


def test_the_question_is_written_from_its_answer() -> None:
    task = catalogue.load("sample_farming_who")
    (own,) = task.examples("train", limit=1)
    (turned,) = inverted(task)[0].examples("train", limit=1)
    (said,) = own.gold_texts()[0]  # type: ignore[union-attr]
    assert turned.source == f"{own.passage}\nAnswer: {said}\nWhat was the question?"  # type: ignore[union-attr]
    assert turned.gold == (own.question,)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "name",
    [
        "sample_craft_all_who",  # several answers
        "sample_trade_count",  # a kind of which the input cannot be told
    ],
)
def test_what_does_not_read_well_is_not_turned(name: str) -> None:
    assert inverted(catalogue.load(name)) == ()


def test_other_languages_and_unlabelled_splits_are_left() -> None:
    task = catalogue.load("sample_weather_state")
    assert inverted(replace(task, language="zh")) == ()
    assert inverted(replace(task, unlabelled=frozenset({"train"}))) == ()


def test_later_rows_that_do_not_read_well_are_counted() -> None:
    task = catalogue.load("sample_farming_goods_card")
    turned = inverted(task)[0]
    texts = {i: e.gold for i, e in enumerate(task.examples("train"))}  # type: ignore[union-attr]
    short = replace(task, adapter=lambda row: {"source": row["source"], "targets": ["one"]})
    assert inverted(short) == ()
    cut = replace(turned.adapter, task=short)  # type: ignore[type-var]
    skipped = Skipped()
    rows = replace(turned, adapter=cut).examples("train", skipped=skipped)
    assert list(rows) == [] and skipped.count == len(texts) == 2000
