"""Prepared rows: cached under all that shapes them, counted where something was left out."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from format_tokenizers import coder
from unify_helpers import mood_rows, mood_task

from formats import Entail, Extract, Generate
from formats.errors import RowError
from formats.store import FeatureStore
from tasks.task import Task
from unify import own
from unify.data import Preparation, prepare
from unify.suite_data import features

CODER = coder("bpe")
MODULE: Any = import_module("unify.data.prepare")
FORK = multiprocessing.get_context("fork")


def preparation(**more: Any) -> Preparation:
    return Preparation(**{"format": Entail(), "coder": CODER, "split": "data", **more})


def everything(store: FeatureStore) -> list[list[Any]]:
    return [[x if isinstance(x, int) else x.tolist() for x in store[i]] for i in range(len(store))]


# The cache


def test_a_second_call_reads_what_the_first_one_wrote(tmp_path: Path) -> None:
    task = mood_task(tmp_path)
    first = prepare(task, preparation(), tmp_path)
    stamp = first.path.stat().st_mtime_ns
    again = prepare(task, preparation(), tmp_path)
    assert again.path == first.path and again.path.stat().st_mtime_ns == stamp
    assert len(list((tmp_path / "features").glob("*.arrow"))) == 1
    assert everything(again) == everything(first) and len(first) == 12


def _prepares(folder: Path, tasks: list[Task], start: Any) -> None:
    """A process that prepares ``tasks``, and notes which of them it made itself."""
    real = MODULE.feature_rows

    def noted(task: Task, *rest: Any) -> Any:
        time.sleep(0.05)
        with (folder / "made.txt").open("a") as file:
            file.write(f"{task.name} {os.getpid()}\n")
        return real(task, *rest)

    MODULE.feature_rows = noted
    os.environ["UNIFY_CACHE"] = str(folder / "cache")
    start.wait(10)
    found = features(tasks, Entail(), CODER, "data", "preparing")
    assert [f.name for f in found] == [t.name for t in tasks]
    assert {len(f.store) for f in found} == {12}


def test_processes_share_the_preparation(tmp_path: Path) -> None:
    task = mood_task(tmp_path)
    tasks = [replace(task, name=f"mood_{k}") for k in range(8)]
    start = FORK.Barrier(2)
    both = [FORK.Process(target=_prepares, args=(tmp_path, tasks, start)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [p.exitcode for p in both] == [0, 0]
    made = [line.split() for line in (tmp_path / "made.txt").read_text().splitlines()]
    assert sorted(name for name, _ in made) == [t.name for t in tasks]  # each of them once
    assert {int(pid) for _, pid in made} == {p.pid for p in both}


def test_a_task_that_another_process_prepares_is_waited_for_or_left(tmp_path: Path) -> None:
    task = mood_task(tmp_path)
    key, holds = preparation().fingerprint(task), FORK.Event()

    def hold() -> None:
        with MODULE.locked(tmp_path / "features", key, wait=True) as ours:
            assert ours
            holds.set()
            time.sleep(0.5)

    other = FORK.Process(target=hold)
    other.start()
    assert holds.wait(10)
    assert MODULE.attempt(task, preparation(), tmp_path) is None
    begun = time.monotonic()
    assert len(prepare(task, preparation(), tmp_path)) == 12
    assert time.monotonic() - begun > 0.2
    other.join()


@pytest.mark.parametrize("damage", [b"", b"torn", None])
def test_a_torn_file_is_made_again(tmp_path: Path, damage: bytes | None) -> None:
    task = mood_task(tmp_path)
    first = prepare(task, preparation(), tmp_path)
    before = everything(first)
    if damage is None:
        first.path.write_bytes(first.path.read_bytes()[:-40])
    else:
        first.path.write_bytes(damage)
    assert everything(prepare(task, preparation(), tmp_path)) == before


def test_torn_facts_are_made_again(tmp_path: Path) -> None:
    task = mood_task(tmp_path)
    first = prepare(task, preparation(), tmp_path)
    facts = first.path.with_suffix(".arrow.json")
    whole = facts.read_text()
    facts.write_text("{}")
    again = prepare(task, preparation(), tmp_path)
    assert again.facts == json.loads(whole)


PROMPTS = {"instruction": "Which mood is it?"}
OWN = {"entail": {"premise": "{{ text }}!", "hypothesis": "{{ label }}"}}
CHANGES: dict[str, Callable[[Path], tuple[Any, Preparation]]] = {
    "instruction": lambda d: (mood_task(d, prompts=PROMPTS), preparation()),
    "template": lambda d: (mood_task(d, prompts=OWN), preparation()),
    "labels": lambda d: (mood_task(d, labels={"glad": "happy", "sad": "sad"}), preparation()),
    "data": lambda d: (mood_task(d, 13), preparation()),
    "language": lambda d: (mood_task(d, language="zh"), preparation()),
    "tokenizer": lambda d: (mood_task(d), preparation(coder=coder("roberta"))),
    "window": lambda d: (mood_task(d), preparation(coder=coder("bpe", window=64))),
    "format": lambda d: (mood_task(d), preparation(format=Extract())),
    "format settings": lambda d: (mood_task(d), preparation(format=Entail(negatives=3))),
    "limit": lambda d: (mood_task(d), preparation(limit=5)),
    "training": lambda d: (mood_task(d), preparation(train=True)),
    "templates": lambda d: (mood_task(d), preparation(templates="all")),
    "bad rows": lambda d: (mood_task(d), preparation(on_bad_row="skip")),
    "split": lambda d: (mood_task(d), preparation(split="test")),
}


def test_a_fingerprint_changes_with_what_shapes_the_rows(tmp_path: Path) -> None:
    marks = {"": preparation().fingerprint(mood_task(tmp_path))}
    for name, change in CHANGES.items():
        task, changed = change(tmp_path)
        marks[name] = changed.fingerprint(task)
    assert len(set(marks.values())) == len(CHANGES) + 1


def test_a_fingerprint_stays_when_nothing_changes(tmp_path: Path) -> None:
    task = mood_task(tmp_path)
    mark = preparation().fingerprint(task)
    CODER.ids(["used in between"])
    assert preparation(coder=coder("bpe")).fingerprint(own.task_from_file(
        tmp_path / "rows.jsonl", "classify", {"labels": ["glad", "sad"]}, labelled=True
    )) == mark


def test_a_fingerprint_covers_the_default_prompts(tmp_path: Path) -> None:
    """The templates of formats/prompts shape rows as much as a task's own do."""
    from dataclasses import replace

    from formats.prompts import default_prompt

    task = mood_task(tmp_path)
    mark = preparation().fingerprint(task)
    other = replace(task, prompt=default_prompt("classify", "zh"))  # the declaration is the same
    assert preparation().fingerprint(other) != mark


# Facts


def write_rows(folder: Path, rows: list[dict[str, Any]], **declaration: Any) -> Any:
    return own.task_from_rows(rows, folder, "classify", {"labels": ["glad", "sad"], **declaration})


def test_bad_rows_are_skipped_and_listed_with_their_reasons(tmp_path: Path) -> None:
    rows = mood_rows(6)
    rows[1]["label"] = "angry"
    rows[4]["text"] = "  "
    task = write_rows(tmp_path, rows)
    with pytest.raises(RowError, match="unknown label 'angry'"):
        prepare(task, preparation(), tmp_path)
    store = prepare(task, preparation(on_bad_row="skip"), tmp_path)
    assert store.column("row").tolist() == [0, 2, 3, 5]
    assert store.facts["rows"] == 4
    assert store.facts["skipped"]["rows"] == 2
    assert store.facts["skipped"]["reasons"] == {"unknown label 'angry'": 1, "text is empty": 1}
    first, second = store.facts["skipped"]["first"]
    assert "row 1" in first and "row 4" in second


def test_options_too_long_for_the_model_are_skipped_rows_too(tmp_path: Path) -> None:
    rows = [
        {"question": "Which?", "options": ["b", "c " * (40 * (i == 2)) + "d"], "answer": 0}
        for i in range(5)
    ]
    task = own.task_from_rows(rows, tmp_path, "choose", {})
    lm = coder("bpe", "causal", max_target=12)
    with pytest.raises(RowError, match="longer than the model can score") as caught:
        prepare(task, preparation(format=Generate(), coder=lm), tmp_path)
    assert caught.value.where["row"] == 2 and caught.value.where["task"] == "own"
    store = prepare(task, preparation(format=Generate(), coder=lm, on_bad_row="skip"), tmp_path)
    assert store.column("row").tolist() == [0, 1, 3, 4]
    assert store.facts["skipped"]["reasons"] == {"an option longer than the model can score": 1}
    assert store.facts["rows"] == 4


def test_rows_without_a_label_do_not_train_and_are_counted(tmp_path: Path) -> None:
    rows = mood_rows(6)
    rows[2]["label"] = rows[3]["label"] = None
    task = write_rows(tmp_path, rows)
    train = prepare(task, preparation(train=True), tmp_path)
    assert train.column("row").tolist() == [0, 1, 4, 5]
    assert (train.facts["rows"], train.facts["unlabelled"]) == (4, 2)
    whole = prepare(task, preparation(), tmp_path)
    assert whole.column("row").tolist() == list(range(6)) and whole.facts["unlabelled"] == 2


def test_answers_that_the_format_cannot_hold_are_counted(tmp_path: Path) -> None:
    rows = [
        {"question": "Who?", "passage": "Ann saw the big red boat",
         "answers": [{"text": t, "start": s}]}
        for t, s in (("Ann", 0), ("the big red boat", 8), ("nn", 1))
    ]
    task = own.task_from_rows(rows, tmp_path, "answer", {})
    store = prepare(task, preparation(format=Entail(max_words=2)), tmp_path)
    assert store.facts["unheld"] == {
        "a gold span is not a run of at most 2 whole words": 1,
        "a gold span begins or ends within a word, and candidates are whole words": 1,
    }
    assert prepare(task, preparation(format=Extract()), tmp_path).facts["unheld"] == {}


def test_cut_rows_are_counted(tmp_path: Path) -> None:
    rows = mood_rows(4)
    rows[3]["text"] = "boats " * 200
    store = prepare(write_rows(tmp_path, rows), preparation(), tmp_path)
    assert store.facts["cut_rows"] == 1 and store.facts["cut_tokens"] > 100
    assert store.facts["longest"] == 96


def test_templates_are_spread_over_the_rows(tmp_path: Path) -> None:
    task = mood_task(tmp_path, 6)
    p = preparation(templates="all")
    assert [p.template(i) for i in range(3)] == [0, 1, 2]
    store = prepare(task, p, tmp_path)
    texts = [CODER.text(store[i].variant_ids()[0]) for i in range(4)]
    assert texts[0] == texts[2] == "Which label fits? glad"
    assert texts[1] == texts[3] == "Which label fits? The answer is glad."


def test_a_limit_counts_examples(tmp_path: Path) -> None:
    rows = mood_rows(8)
    rows[0]["label"] = "angry"
    store = prepare(write_rows(tmp_path, rows), preparation(limit=3, on_bad_row="skip"), tmp_path)
    assert store.column("row").tolist() == [1, 2, 3]
