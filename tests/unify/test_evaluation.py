"""Evaluation: windows merge, budgets change nothing, files hold what the report says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from unify_helpers import mood_rows, mood_task, tiny

from formats import FORMATS, Entail, Extract, Generate
from formats.base import option_words
from formats.errors import UnifyError
from formats.examples import Span
from formats.instances import ScoredSpan, Scores, Spans
from tasks import catalogue, metrics
from unify import own
from unify.data import Preparation, prepare
from unify.evaluation import (
    Evaluation,
    TaskResult,
    decoded,
    evaluate_task,
    merge,
    summary,
)

# Windows


def test_merging_scores_takes_the_best_of_each_candidate() -> None:
    parts = [Scores((1.0, -1e4, 0.5)), Scores((-1e4, 2.0, 0.75))]
    assert merge(parts) == Scores((1.0, 2.0, 0.75))
    assert merge(parts[:1]) == parts[0]


def test_merging_spans_keeps_each_once_with_its_best_margin() -> None:
    first = Spans((ScoredSpan(0, 3, 2.0), ScoredSpan(5, 9, 1.0), ScoredSpan(0, 3, 0.5, type=1)))
    second = Spans((ScoredSpan(5, 9, 3.0), ScoredSpan(7, 9, -1.0)))
    assert merge([first, second]) == Spans((
        ScoredSpan(5, 9, 3.0), ScoredSpan(0, 3, 2.0), ScoredSpan(0, 3, 0.5, 1),
        ScoredSpan(7, 9, -1.0),
    ))
    assert merge([first, second]) == merge([second, first])
    assert merge([Spans(()), Spans(())]) == Spans(())


# Whole tasks

CELLS = [
    ("extract", "modernbert", "sample_sea_what"),
    ("extract", "modernbert", "sample_sea_kinds"),
    ("entail", "modernbert", "sample_sea_state"),
    ("entail", "llama", "sample_court_who_choice"),
    ("generate", "t5", "sample_music_labels"),
    ("generate", "bert", "sample_sea_state"),
]


def set_up(format: str, architecture: str, task: str, limit: int = 8, **more: Any) -> Any:
    backbone = tiny(architecture, format, **more)
    loaded = catalogue.load(task)
    preparation = Preparation(FORMATS[format](), backbone.coder, "test", limit=limit)
    return backbone, loaded, preparation, prepare(loaded, preparation)


@pytest.mark.parametrize(("format", "architecture", "name"), CELLS)
def test_answers_do_not_depend_on_the_token_budget(
    format: str, architecture: str, name: str
) -> None:
    setting = set_up(format, architecture, name)
    found = [list(decoded(*setting, tokens)) for tokens in (1, 500, 100_000)]
    assert [r.example.id for r in found[0]] == [f"{name}/test/{i}" for i in range(8)]
    answers = [[r.answer for r in f] for f in found]
    assert answers[0] == answers[1] == answers[2]


def read(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("format", "architecture", "name"), CELLS)
def test_the_report_is_the_metric_of_the_written_answers(
    tmp_path: Path, format: str, architecture: str, name: str
) -> None:
    backbone, task, preparation, store = set_up(format, architecture, name)
    settings = Evaluation(tokens=2000, examples=3, resamples=50, predictions=tmp_path)
    result = evaluate_task(backbone, task, preparation, store, settings)
    records = read(tmp_path, name)
    examples = list(task.examples("test", limit=8))
    assert [r["id"] for r in records] == [e.id for e in examples]
    metric = metrics.metric(task.metric)
    answers = [answer_of(r["answer"], e) for r, e in zip(records, examples, strict=True)]
    assert result.value == pytest.approx(metric.value(examples, answers), abs=1e-12)
    assert result.metric == task.metric and result.rows == 8
    assert result.low <= result.value <= result.high
    assert [s["id"] for s in result.examples] == [r["id"] for r in records[:3]]
    assert all(s["prompt"] for s in result.examples)
    assert result.baselines and all(0 <= v <= 1 for v in result.baselines.values())


@pytest.mark.parametrize(
    ("format", "architecture", "name"),
    [
        ("entail", "modernbert", "sample_sea_state"),
        ("entail", "llama", "sample_court_who_choice"),
        ("extract", "modernbert", "sample_music_labels"),
        ("generate", "bert", "sample_sea_state"),
        ("generate", "llama", "sample_court_who_choice"),
    ],
)
def test_scores_of_options_are_written_beside_the_answer(
    tmp_path: Path, format: str, architecture: str, name: str
) -> None:
    setting = set_up(format, architecture, name)
    evaluate_task(*setting, Evaluation(resamples=10, predictions=tmp_path))
    found = list(decoded(*setting, 16_000))
    for row, record in zip(read(tmp_path, name), found, strict=True):
        words = option_words(record.example)
        assert record.scores is not None and len(row["scores"]) == len(words)
        assert row["scores"] == pytest.approx(record.scores, rel=1e-4)
        best = max(range(len(words)), key=record.scores.__getitem__)
        if record.example.kind == "multilabel":
            chosen = {w for w, s in zip(words, record.scores, strict=True) if s > 0}
            assert {record.example.labels.word(a) for a in row["answer"]} == chosen
        elif record.example.kind == "choose":
            assert row["answer"]["index"] == best
        else:
            assert record.example.labels.index(row["answer"]) == best


def test_open_answers_have_no_scores(tmp_path: Path) -> None:
    setting = set_up("extract", "modernbert", "sample_sea_kinds")
    evaluate_task(*setting, Evaluation(resamples=10, predictions=tmp_path))
    assert all("scores" not in r and "group" not in r for r in read(tmp_path, "sample_sea_kinds"))


def test_groups_and_further_metrics(tmp_path: Path) -> None:
    rows = [{**row, "set": f"s{i // 3}"} for i, row in enumerate(mood_rows(9))]
    declared = {"labels": ["glad", "sad"], "group": "set", "metric": "consistency",
                "also": ["accuracy", "map", "auc"], "positive": "glad"}
    task = own.task_from_rows(rows, tmp_path, "classify", declared)
    backbone = tiny("modernbert", "entail")
    preparation = Preparation(Entail(), backbone.coder, "data")
    store = prepare(task, preparation, tmp_path)
    settings = Evaluation(resamples=10, predictions=tmp_path / "out")
    result = evaluate_task(backbone, task, preparation, store, settings)
    written = read(tmp_path / "out", "own")
    assert [r["group"] for r in written] == [f"s{i // 3}" for i in range(9)]
    right = [r["right"] for r in written]
    assert result.value == sum(all(right[i : i + 3]) for i in (0, 3, 6)) / 3
    also = result.as_dict()["also"]
    assert also["accuracy"] == pytest.approx(sum(right) / 9)
    examples = list(task.examples("data"))
    scores = [r["scores"] for r in written]
    for name in ("map", "auc"):
        again = metrics.metric(name, "glad").value(
            examples, [None] * 9, scores, [r["group"] for r in written]
        )
        assert also[name] == pytest.approx(again)


def test_a_generation_report_names_its_signature() -> None:
    name = "sample_music_goods_card"
    setting = set_up("generate", "t5", name, limit=3)
    task = replace(setting[1], metric="bleu")
    result = evaluate_task(setting[0], task, *setting[2:], Evaluation(resamples=10))
    assert "tok:13a" in result.as_dict()["signatures"]["bleu"]


def answer_of(value: Any, example: Any) -> Any:
    """A JSON answer read back by hand."""
    kind = example.kind
    if value is None or kind in ("classify", "relate", "rate", "generate"):
        return value
    if kind == "choose":
        assert value["option"] == example.options[value["index"]]
        return value["index"]
    if kind == "tag":
        return frozenset(Span(v["start"], v["end"], v["type"]) for v in value)
    return frozenset(value)


def test_a_perfect_model_is_right_everywhere(tmp_path: Path) -> None:
    """Through the whole path: an oracle in place of the network, nothing else changed."""
    from formats.instances import oracle
    from unify.backbones.base import Partial

    name = "sample_sea_what"
    backbone, task, preparation, store = set_up("extract", "modernbert", name, limit=20, window=48)
    raws = {}
    for number, example in enumerate(task.examples("test", limit=20)):
        for i, instance in enumerate(Extract().encode(example, task.prompt)):
            raws[number, i] = oracle(instance)

    class Perfect(type(backbone)):  # type: ignore[misc]
        def predict(self, rows: Any) -> list[Partial]:
            return [
                Partial(r.row, r.instance + v, raws[r.row, r.instance + v])
                for r in rows for v in range(len(r.widths))
            ]

    backbone.__class__ = Perfect
    result = evaluate_task(backbone, task, preparation, store, Evaluation(resamples=10))
    assert result.value == result.low == result.high == 1.0
    assert len(store) > 20  # some passages had several windows


def test_rows_without_gold_do_not_count(tmp_path: Path) -> None:
    rows = mood_rows(8)
    for i in (0, 3, 4):
        rows[i]["label"] = None
    task = own.task_from_rows(rows, tmp_path, "classify", {"labels": ["glad", "sad"]})
    backbone = tiny("modernbert", "entail")
    preparation = Preparation(Entail(), backbone.coder, "data")
    store = prepare(task, preparation, tmp_path)
    settings = Evaluation(resamples=10, predictions=tmp_path / "out")
    result = evaluate_task(backbone, task, preparation, store, settings)
    assert result.rows == 5
    written = [r["id"] for r in read(tmp_path / "out", "own")]
    assert written == [f"own/data/{i}" for i in (1, 2, 5, 6, 7)]


def test_a_split_without_gold_is_refused(tmp_path: Path) -> None:
    task = mood_task(tmp_path, unlabelled=["data"])
    backbone = tiny("modernbert", "entail")
    preparation = Preparation(Entail(), backbone.coder, "data")
    store = prepare(task, preparation, tmp_path)
    with pytest.raises(UnifyError, match="no labelled row to evaluate on") as caught:
        evaluate_task(backbone, task, preparation, store, Evaluation())
    assert caught.value.where == {"task": "own", "split": "data"}


@pytest.mark.parametrize("format", ["entail", "generate"])
def test_skipped_rows_leave_the_others_in_place(tmp_path: Path, format: str) -> None:
    rows: list[dict[str, Any]] = [
        {"question": f"Which {i}?", "answer": i % 2,
         "options": ["b", "c " * (40 * (i in (0, 5))) + "d"]}
        for i in range(8)
    ]
    rows[2]["question"] = " "
    task = own.task_from_rows(rows, tmp_path, "choose", {})
    backbone = tiny("llama", format)
    preparation = Preparation(
        {"entail": Entail(), "generate": Generate()}[format], backbone.coder, "data",
        on_bad_row="skip",
    )
    store = prepare(task, preparation, tmp_path)
    settings = Evaluation(resamples=10, predictions=tmp_path / "out")
    result = evaluate_task(backbone, task, preparation, store, settings)
    kept = [i for i in range(8) if i != 2 and (format == "entail" or i not in (0, 5))]
    records = read(tmp_path / "out", "own")
    assert [r["id"] for r in records] == [f"own/data/{i}" for i in kept]
    assert [r["gold"]["index"] for r in records] == [i % 2 for i in kept]
    assert result.notes["skipped_rows"]["rows"] == 8 - len(kept)


def test_what_the_format_cannot_hold_is_in_the_notes(tmp_path: Path) -> None:
    rows = [
        {"question": "Who?", "passage": "the big red boat", "answers": [{"text": t, "start": 4}]}
        for t in ("big red boat", "big")
    ]
    task = own.task_from_rows(rows, tmp_path, "answer", {})
    backbone = tiny("modernbert", "entail")
    preparation = Preparation(Entail(max_words=2), backbone.coder, "data")
    store = prepare(task, preparation, tmp_path)
    result = evaluate_task(backbone, task, preparation, store, Evaluation(resamples=10))
    assert result.notes["unheld"] == {"a gold span is not a run of at most 2 whole words": 1}
    entry = result.as_dict()
    assert entry["unheld"] == result.notes["unheld"] and entry["rows"] == 2


def test_the_summary_is_a_mean_over_tasks() -> None:
    result = TaskResult("a", "T", "extract", "accuracy", 0.25, 0.0, 1.0, 4,
                        {"majority": 0.5, "random": 0.3}, 1.0)
    other = replace(result, task="b", value=0.75, baselines={"majority": 0.1, "random": 0.2})
    assert summary([result, other]) == {"value": 0.5, "best_baseline": 0.35}
    assert summary([]) == {"value": None, "best_baseline": None}


def test_a_model_is_left_in_the_mode_it_was_in() -> None:
    backbone, task, preparation, store = set_up("entail", "modernbert", "sample_sea_state", 2)
    for mode in (True, False):
        backbone.train(mode)
        list(decoded(backbone, task, preparation, store, 1000))
        assert backbone.training is mode
