"""A killed evaluation continues where it stopped, and nothing stale is ever taken for its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from unify_helpers import tiny

from formats import FORMATS
from formats.store import StoredRow
from tasks import catalogue
from unify import evaluation
from unify.answers import answer_of, plain
from unify.data import Preparation, prepare
from unify.evaluation import Evaluation, TaskResult, block_end, evaluate_task
from unify.kept import weights, whole_lines

CELLS = [
    ("extract", "modernbert", "sample_sea_what"),
    ("extract", "modernbert", "sample_sea_kinds"),
    ("entail", "modernbert", "sample_sea_state"),
    ("generate", "llama", "sample_court_who_choice"),
    ("extract", "modernbert", "sample_music_labels"),
    ("generate", "t5", "sample_music_goods_card"),
]


class Killed(RuntimeError):
    pass


def spied(backbone: Any, stop_after: float = float("inf")) -> list[int]:
    """The row numbers that ``backbone`` is asked about from now on; raises after that many."""
    asked: list[int] = []
    kind = backbone.__class__

    def predict(self: Any, rows: Sequence[StoredRow]) -> Any:
        if len(asked) > stop_after:
            raise Killed
        asked.extend(r.row for r in rows)
        return kind.predict(self, rows)

    backbone.__class__ = type(kind.__name__, (kind,), {"predict": predict, "spied": True})
    return asked


def set_up(format: str, architecture: str, name: str, seed: int = 0) -> Any:
    backbone = tiny(architecture, format, seed=seed)
    task = catalogue.load(name)
    preparation = Preparation(FORMATS[format](), backbone.coder, "test", limit=30)
    return backbone, task, preparation, prepare(task, preparation)


def numbers(result: TaskResult) -> dict[str, Any]:
    found = result.as_dict()
    return {k: v for k, v in found.items() if k not in ("seconds", "kept_rows")}


@pytest.mark.parametrize(("format", "architecture", "name"), CELLS)
def test_a_killed_evaluation_continues_and_ends_with_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str, architecture: str, name: str
) -> None:
    monkeypatch.setattr(evaluation, "BLOCK", 8)
    setting = set_up(format, architecture, name)
    how = Evaluation(tokens=400, resamples=30, examples=4, predictions=tmp_path / "whole")
    whole = evaluate_task(*setting, how)
    lines = (tmp_path / "whole" / f"{name}.jsonl").read_text()

    how = replace(how, predictions=tmp_path / "killed")
    path = tmp_path / "killed" / f"{name}.jsonl"
    plain_kind = setting[0].__class__
    first = spied(setting[0], stop_after=0.6 * len(setting[3]))
    with pytest.raises(Killed):
        evaluate_task(*setting, how)
    kept = [json.loads(line)["id"] for line in path.read_text().splitlines()]
    assert 0 < len(kept) < 30 and lines.startswith(path.read_text())
    with path.open("a") as file:
        file.write('{"id": "torn')  # as a power cut leaves it

    setting[0].__class__ = plain_kind
    second = spied(setting[0])
    again = evaluate_task(*setting, how)
    done = {int(i.rsplit("/", 1)[1]) for i in kept}
    assert done <= set(first) and not done & set(second)
    assert again.notes["kept_rows"] == len(kept)
    found, expected = path.read_text().splitlines(), lines.splitlines()
    assert len(found) == len(expected)
    for a, b in zip(map(json.loads, found), map(json.loads, expected), strict=True):
        assert a.pop("scores", []) == pytest.approx(b.pop("scores", []), abs=1e-4, rel=1e-4)
        assert a == b
    close(numbers(again), numbers(whole))
    assert [e["id"] for e in again.examples] == [e["id"] for e in whole.examples]
    assert [e["prompt"] for e in again.examples] == [e["prompt"] for e in whole.examples]

    third = spied(setting[0])
    last = evaluate_task(*setting, how)
    assert third == [] and last.as_dict() == again.as_dict() and last.examples == again.examples


def close(a: Any, b: Any) -> None:
    """The same values, numbers within 1e-4."""
    if isinstance(b, dict):
        assert set(a) == set(b)
        for key in b:
            close(a[key], b[key])
    elif isinstance(b, list):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            close(x, y)
    elif isinstance(b, float):
        assert a == pytest.approx(b, abs=1e-4)
    else:
        assert a == b


def another_seed(setting: Any, how: Evaluation) -> tuple[Any, Evaluation]:
    with torch.no_grad():
        next(setting[0].parameters())[0, 0] += 1.0
    return setting, how


def another_limit(setting: Any, how: Evaluation) -> tuple[Any, Evaluation]:
    backbone, task, preparation, _ = setting
    fewer = replace(preparation, limit=12)
    return (backbone, task, fewer, prepare(task, fewer)), how


def other_demonstrations(setting: Any, how: Evaluation) -> tuple[Any, Evaluation]:
    return setting, replace(how, about="16-shot, seed 1")


def another_prompt(setting: Any, how: Evaluation) -> tuple[Any, Evaluation]:
    backbone, task, preparation, _ = setting
    prompt = replace(task.prompt, instruction="Say it in other words.")
    changed = replace(task, prompt=prompt)
    return (backbone, changed, preparation, prepare(changed, preparation)), how


@pytest.mark.parametrize(
    "change", [another_seed, another_limit, other_demonstrations, another_prompt]
)
@pytest.mark.parametrize("finished", [True, False])
def test_rows_of_another_evaluation_are_not_reused(
    tmp_path: Path, finished: bool, change: Callable[[Any, Evaluation], tuple[Any, Evaluation]]
) -> None:
    setting = set_up("entail", "modernbert", "sample_sea_state")
    how = Evaluation(resamples=10, predictions=tmp_path)
    evaluate_task(*setting, how)
    if not finished:
        forget_the_end(tmp_path / "sample_sea_state.state.json")
    setting, how = change(setting, how)
    asked = spied(setting[0])
    result = evaluate_task(*setting, how)
    assert len(set(asked)) == result.rows and "kept_rows" not in result.notes
    assert len((tmp_path / "sample_sea_state.jsonl").read_text().splitlines()) == result.rows


def forget_the_end(path: Path) -> None:
    state = json.loads(path.read_text())
    path.write_text(json.dumps({**state, "result": None}))


def test_other_resamples_need_no_row_again(tmp_path: Path) -> None:
    setting = set_up("entail", "modernbert", "sample_sea_state")
    how = Evaluation(resamples=10, predictions=tmp_path)
    first = evaluate_task(*setting, how)
    asked = spied(setting[0])
    second = evaluate_task(*setting, replace(how, resamples=500))
    fresh = evaluate_task(*setting, Evaluation(resamples=500))
    assert len(asked) == len(setting[3])  # those of the fresh one alone
    assert second.value == first.value == fresh.value
    assert (second.low, second.high) == (fresh.low, fresh.high) != (first.low, first.high)


def test_rows_without_the_state_beside_them_are_not_trusted(tmp_path: Path) -> None:
    setting = set_up("entail", "modernbert", "sample_sea_state")
    how = Evaluation(resamples=10, predictions=tmp_path)
    evaluate_task(*setting, how)
    (tmp_path / "sample_sea_state.state.json").write_text("{")
    asked = spied(setting[0])
    evaluate_task(*setting, how)
    assert len(asked) == len(setting[3])


def test_the_batch_size_is_no_part_of_the_identity(tmp_path: Path) -> None:
    setting = set_up("entail", "modernbert", "sample_sea_state")
    evaluate_task(*setting, Evaluation(tokens=200, resamples=10, predictions=tmp_path))
    asked = spied(setting[0])
    evaluate_task(*setting, Evaluation(tokens=900, resamples=10, predictions=tmp_path))
    assert asked == []


def test_what_is_written_whole_is_kept() -> None:
    row = b'{"id": "t/0", "answer": 1, "gold": 1, "right": true}\n'
    for data, rows in [
        (b"", 0), (row, 1), (row[:-1], 0), (row + row[:20], 1), (row + b"null\n" + row, 1),
        (row + b'{"id": "t/1"}\n', 1), (row + b"\xff\n", 1), (row * 3, 3),
    ]:
        found = whole(data)
        assert (len(found[0]), found[1]) == (rows, rows * len(row))


def whole(data: bytes) -> tuple[list[dict[str, Any]], int]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_bytes(data)
        return whole_lines(path)


def test_a_block_is_bounded_by_rows_and_by_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    monkeypatch.setattr(evaluation, "BLOCK", 5)
    lengths = np.array([10] * 6 + [900] + [10] * 3)
    assert evaluation.BATCHES == 8
    assert block_end(lengths, 0, 100) == 5
    assert block_end(lengths, 5, 100) == 6  # the next one alone is above 8 * 100 tokens
    assert block_end(lengths, 6, 100) == 7
    assert block_end(lengths, 7, 100) == 10


@pytest.mark.parametrize(
    "name",
    ["sample_sea_what", "sample_sea_kinds", "sample_sea_state", "sample_court_who_choice",
     "sample_music_labels", "sample_music_goods_card", "sample_court_count"],
)
def test_gold_answers_read_back_as_they_were(name: str) -> None:
    for example in catalogue.load(name).examples("test", limit=20):
        gold: Any = example.gold
        if example.kind == "answer":
            gold = example.gold_texts()[0]
        elif example.kind == "generate":
            gold = gold[0]
        value = json.loads(json.dumps(plain(gold, example)))
        assert answer_of(value, example) == gold
        assert answer_of(plain(None, example), example) is None


def test_weights_are_told_apart_by_any_number() -> None:
    backbone, other = tiny("llama", "generate"), tiny("llama", "generate")
    assert weights(backbone) == weights(other)
    with torch.no_grad():
        list(other.parameters())[-1].view(-1)[-1] += 1e-3
    assert weights(backbone) != weights(other)
