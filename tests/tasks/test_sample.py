"""The sample world: same seed same rows, labels true by construction, nothing shared that leaks."""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations
from typing import Any

import pytest

from tasks.sample import HELD_OUT, SPLITS, TASKS, SampleTask, rows
from tasks.sample.domains import (
    DOMAINS,
    SHARED_COUNT_FRAMES,
    SHARED_GOODS_FRAMES,
    SHARED_RELATION_FRAMES,
    SHARED_STATE_FRAMES,
    WHO_ASKS,
)
from tasks.sample.names import pool
from tasks.sample.table import PLAN

TYPES = {
    "TextClassification",
    "MultiLabelClassification",
    "MultipleChoice",
    "QuestionAnswering",
    "TokenClassification",
    "RelationClassification",
    "Regression",
    "TextGeneration",
}
SHARED_FRAMES = (
    *SHARED_STATE_FRAMES,
    *SHARED_GOODS_FRAMES,
    *SHARED_RELATION_FRAMES,
    *SHARED_COUNT_FRAMES,
)
NAMES = {
    (number, split): set(pool(number, len(DOMAINS), split))
    for number in range(len(DOMAINS))
    for split in SPLITS
}
each_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)


def _text(row: dict[str, Any]) -> str:
    """The text that a row asks about."""
    return str(row.get("text") or row.get("context") or row.get("passage") or row.get("source"))


def _facts(text: str) -> list[str]:
    """The facts of a text: its sentences, or the parts of its one sentence."""
    return re.split(r"\. |, and |, ", text)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def test_every_type_is_asked_by_seen_and_held_out_clusters() -> None:
    clusters = {task.cluster for task in TASKS}
    assert len(TASKS) >= 24
    assert len(clusters) >= 8
    for task_type in TYPES:
        asking = {task.cluster for task in TASKS if task.type == task_type}
        assert len(asking - set(HELD_OUT)) >= 2, task_type
        assert asking & set(HELD_OUT), task_type
    assert {task.type for task in TASKS} == TYPES
    assert len({task.name for task in TASKS}) == len(TASKS)
    assert set(PLAN) == {domain.name for domain in DOMAINS}


@each_task
def test_rows_depend_on_seed_split_and_number_alone(task: SampleTask) -> None:
    first = list(rows(task.name, "train", 30, seed=3))
    assert first == list(rows(task.name, "train", 30, seed=3))
    assert first[17:25] == list(rows(task.name, "train", 8, seed=3, start=17))
    assert first != list(rows(task.name, "train", 30, seed=4))
    assert first != list(rows(task.name, "test", 30, seed=3))
    assert len({repr(row) for row in first}) > 25


def test_far_rows_are_as_cheap_as_near_ones() -> None:
    assert list(rows(TASKS[0].name, "train", 2, start=10**12))


def test_no_name_is_shared_between_clusters_or_splits() -> None:
    for (one, names), (other, more) in combinations(NAMES.items(), 2):
        assert not names & more, (one, other)
    assert all(len(names) >= 36 for names in NAMES.values())


def test_names_are_none_of_the_words() -> None:
    words = {
        word
        for domain in DOMAINS
        for part in (domain.states, domain.goods, domain.relations, domain.kinds)
        for word in part
    }
    words |= {word for frame in SHARED_FRAMES for word in _words(frame)}
    for domain in DOMAINS:
        for frame in (*domain.state_frames, *domain.goods_frames, *domain.relation_frames):
            words |= set(_words(frame))
        words |= {word.lower() for word in _words(f"{domain.state_ask} {domain.goods_ask}")}
    for names in NAMES.values():
        assert words & {name.lower() for name in names} == set()


def test_answer_words_belong_to_one_cluster() -> None:
    owners = Counter(
        word
        for domain in DOMAINS
        for word in {*domain.states, *domain.goods, *domain.relations, *domain.kinds}
    )
    assert [word for word, count in owners.items() if count > 1] == []


def test_answer_words_stand_in_no_frame() -> None:
    for domain in DOMAINS:
        frames = (
            *domain.state_frames,
            *domain.goods_frames,
            *domain.relation_frames,
            *domain.count_frames,
            *SHARED_FRAMES,
            *WHO_ASKS,
        )
        said = {word for frame in frames for word in _words(frame)}
        for part in (domain.states, domain.goods, domain.relations, domain.kinds):
            assert not said & set(part), domain.name
            assert len(part) == len(set(part))


@each_task
def test_texts_are_short_and_name_only_their_own_cluster(task: SampleTask) -> None:
    number = next(i for i, domain in enumerate(DOMAINS) if domain.name == task.cluster)
    own = NAMES[number, "test"]
    others = set().union(*(names for key, names in NAMES.items() if key != (number, "test")))
    for row in rows(task.name, "test", 200):
        words = _words(_text(row))
        assert 8 <= len(words) <= 40
        assert not others & set(words)
        gap = 0
        for word in words:
            gap = 0 if word in own or word.capitalize() in own else gap + 1
            assert gap <= 12, row


@each_task
def test_labels_and_offsets_are_what_the_text_says(task: SampleTask) -> None:
    for row in rows(task.name, "validation", 200):
        _check(task, row)


def _check(task: SampleTask, row: dict[str, Any]) -> None:
    text = _text(row)
    facts = _facts(text)
    if task.type == "TextClassification" and task.flavor == "claim":
        name, value = row["text_b"].split()
        said = [fact for fact in facts if name in _words(fact)]
        truth = "unknown" if not said else "true" if value in _words(said[0]) else "false"
        assert row["label"] == truth
    elif task.type == "TextClassification":
        assert row["label"] in task.labels
        (fact,) = (fact for fact in facts if row["text_b"] in _words(fact))
        assert [label for label in task.labels if label in _words(fact)] == [row["label"]]
    elif task.type == "MultiLabelClassification":
        (fact,) = (fact for fact in facts if row["text_b"] in _words(fact))
        assert row["labels"] == [label for label in task.labels if label in _words(fact)]
        assert row["labels"]
    elif task.type == "MultipleChoice":
        options, answer = row["options"], row["answer"]
        assert len(set(options)) == len(options)
        asked = set(_words(row["question"]))
        fits = [
            option
            for option in options
            for fact in facts
            if option in _words(fact) and len(_particular(task, fact) & asked) > 0
        ]
        assert fits == [options[answer]]
    elif task.type == "QuestionAnswering":
        for span in row["answers"]:
            assert text[span["start"] : span["start"] + len(span["text"])] == span["text"]
        asked = set(_words(row["question"]))
        fits = [fact for fact in facts if _particular(task, fact) & asked]
        assert len(fits) == len(row["answers"])
        for fact, span in zip(fits, row["answers"], strict=True):
            assert span["text"] in _words(fact)
    elif task.type == "TokenClassification":
        for span in row["spans"]:
            name, kind = text[span["start"] : span["end"]], span["type"]
            assert kind in task.entity_types
            assert re.search(rf"\b([Tt]he {kind} {name}|{name} the {kind})\b", text)
        assert len(row["spans"]) == sum(word in task.entity_types for word in _words(text))
    elif task.type == "RelationClassification":
        head, tail = (text[row[end]["start"] : row[end]["end"]] for end in ("head", "tail"))
        (fact,) = (fact for fact in facts if {head, tail} <= set(_words(fact)))
        assert [label for label in task.labels if label in _words(fact)] == [row["label"]]
    elif task.type == "Regression":
        assert task.scale is not None and task.scale[0] <= row["value"] <= task.scale[1]
        (fact,) = (fact for fact in facts if row["text_b"] in _words(fact))
        assert re.findall(r"\d+", fact) == [str(row["value"])]
    else:
        name, values = row["targets"][0].split(": ")
        assert text.startswith(f"Card for {name}. ")
        (fact,) = (fact for fact in facts[1:] if name in _words(fact))
        assert set(values.split(", ")) <= set(_words(fact))


def _particular(task: SampleTask, fact: str) -> set[str]:
    """The words of a fact that a question can be about: its names and its values."""
    number, domain = next((i, d) for i, d in enumerate(DOMAINS) if d.name == task.cluster)
    values = {*domain.states, *domain.goods}
    names = {name for split in SPLITS for name in NAMES[number, split]}
    return {word for word in _words(fact) if word in values or word.capitalize() in names}


@each_task
def test_no_answer_is_the_answer_of_most_rows(task: SampleTask) -> None:
    made = list(rows(task.name, "test", 400))
    if task.type in ("TextClassification", "RelationClassification", "MultipleChoice"):
        answers = Counter(row.get("label", row.get("answer")) for row in made)
        assert answers.most_common(1)[0][1] / len(made) < 0.45
    if task.type == "QuestionAnswering":
        empty = sum(not row["answers"] for row in made) / len(made)
        assert empty < 0.3
        assert (empty > 0.1) == (task.flavor != "who")


@each_task
def test_picking_a_mentioned_label_fails(task: SampleTask) -> None:
    if not task.labels or task.type == "MultiLabelClassification":
        return
    hits = total = 0
    for row in rows(task.name, "test", 400):
        counts = {label: _words(row["text"]).count(label) for label in task.labels}
        most = [label for label, count in counts.items() if count == max(counts.values())]
        hits += (row["label"] in most) / len(most)
        total += 1
    assert hits / total < 0.45
