"""Fifteen kinds of bad input, one message each: where, what was there, what belongs there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from unify_helpers import tiny

from formats import Extract, UnifyError
from formats.errors import ConfigError, DataError, RowError, UnknownName
from tasks import catalogue
from unify.config import compose
from unify.data import Preparation, prepare
from unify.evaluation import Evaluation, evaluate_task
from unify.own import task_from_rows
from unify.train import train

TASKS = {
    "mood": "type: TextClassification\nlabels: [glad, sad]",
    "quiz": "type: MultipleChoice",
    "read": "type: QuestionAnswering",
    "names": "type: TokenClassification\ntypes: [person]",
}
GOOD: dict[str, dict[str, Any]] = {
    "mood": {"text": "so nice", "label": "glad"},
    "quiz": {"question": "Who?", "options": ["Ann", "Bob"], "answer": 0},
    "read": {"question": "Who?", "passage": "Ann saw Bob",
             "answers": [{"text": "Ann", "start": 0}]},
    "names": {"text": "Ann saw Bob", "spans": [{"start": 0, "end": 3, "type": "person"}]},
}


class Place(NamedTuple):
    """A folder of declared tasks and their files."""

    folder: Path

    def put(self, task: str, *rows: dict[str, Any], **more: str) -> Path:
        """Declares ``task``, with a good row before ``rows``; returns its file."""
        extra = "".join(f"\n{k}: {v}" for k, v in more.items())
        (self.folder / f"{task}.yaml").write_text(
            f"{TASKS[task]}\ncluster: own\nsource: {{path: .}}\nformat: jsonl\n"
            f"splits: {{train: {task}.jsonl}}{extra}\n"
        )
        path = self.folder / f"{task}.jsonl"
        lines = [json.dumps(row) + "\n" for row in (GOOD[task], *rows)]
        path.write_text("".join(lines), encoding="utf-8")
        return path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("UNIFY_TASKS", str(tmp_path))
    return Place(tmp_path)


BACKBONE = tiny("modernbert", "extract")


def prepared(task: str, split: str = "train", **more: Any) -> Any:
    return prepare(catalogue.load(task), Preparation(Extract(), BACKBONE.coder, split, **more))


def missing_field(p: Place) -> None:
    p.put("mood", fields="{text: body}")
    prepared("mood")


def unknown_label(p: Place) -> None:
    p.put("mood", {"text": "so so", "label": "gald"})
    prepared("mood")


def empty_text(p: Place) -> None:
    p.put("mood", {"text": " \n", "label": "sad"})
    prepared("mood")


def wrong_type(p: Place) -> None:
    p.put("mood")
    (p.folder / "mood.jsonl").write_text('{"text": null, "label": "sad"}\n')
    prepared("mood")


def broken_encoding(p: Place) -> None:
    path = p.put("mood")
    line = '{"text": "caf\u00e9", "label": "sad"}\n'
    path.write_bytes(path.read_bytes() + line.encode("latin-1"))
    prepared("mood")


def span_outside(p: Place) -> None:
    p.put("names", {"text": "Bob", "spans": [{"start": 0, "end": 9, "type": "person"}]})
    prepared("names")


def one_option(p: Place) -> None:
    p.put("quiz", {"question": "Who?", "options": ["Ann"], "answer": 0})
    prepared("quiz")


def unknown_key(p: Place) -> None:
    compose("train", ["data.batchsize=8"])


def corrupt_file(p: Place) -> None:
    path = p.put("mood")
    path.write_text('{"text": "so nice", "label"')
    prepared("mood")


def no_rows(p: Place) -> None:
    p.put("mood").write_text("")
    prepared("mood")


def misspelt_option(p: Place) -> None:
    p.put("mood")
    path = p.folder / "mood.yaml"
    path.write_text(path.read_text().replace("format: jsonl", "format: {jsonl: {encodin: utf-8}}"))
    prepared("mood")


def answers_without_places(p: Place) -> None:
    p.put("read", {"question": "Who?", "passage": "Ann saw Bob", "answers": ["Bob"]})
    prepared("read")


def nothing_to_score(p: Place) -> None:
    p.put("mood")
    tiny_run = ["suite.seen=mood", "suite.unseen=[]", "suite.held_out=true", "format=extract"]
    train(compose("train", tiny_run), p.folder.with_name(f"{p.folder.name}_run"))


def unlabelled_split(p: Place) -> None:
    p.put("mood", unlabelled="[train]")
    preparation = Preparation(Extract(), BACKBONE.coder, "train")
    evaluate_task(BACKBONE, catalogue.load("mood"), preparation, prepared("mood"), Evaluation())


PLACE = {"task", "split", "file", "row", "field"}
# what is done, the error, where it says it was, what it says
KINDS: list[tuple[Callable[[Place], None], type[UnifyError], set[str], list[str]]] = [
    (missing_field, UnknownName, {"task", "split", "field"},
     ["unknown column 'body'", "task mood", "split train", "fields.text", "known: label, text"]),
    (unknown_label, RowError, PLACE,
     ["unknown label 'gald'", "task mood", "split train", "file mood.jsonl", "row 1", "field label",
      "got:      gald", "expected: one of glad, sad", "to mend:  add it to the task's labels"]),
    (empty_text, RowError, PLACE,
     ["text is empty", "task mood", "split train", "file mood.jsonl", "row 1", "field text",
      r"got:      ' \n'", "expected: a text with at least one visible character",
      "to mend:  repair the row"]),
    (wrong_type, RowError, PLACE,
     ["text is not a text", "row 0", "field text", "got:      None", "expected: a string",
      "to mend:  map the field to a text column"]),
    (broken_encoding, DataError, {"task", "split", "file"},
     ["task mood", "split train", "mood.jsonl", "utf-8"]),
    (span_outside, RowError, PLACE,
     ["a span outside its text", "task names", "row 1", "field spans", "got:      (0, 9)",
      "expected: offsets within 0..3", "to mend:  count characters"]),
    (one_option, RowError, PLACE,
     ["an option list of fewer than two", "task quiz", "row 1", "field options",
      "got:      ['Ann']", "expected: at least two options",
      "to mend:  a question with one option asks nothing"]),
    (corrupt_file, DataError, {"task", "split", "file"},
     ["task mood", "split train", "mood.jsonl"]),
    (unknown_key, UnknownName, set(),
     ["unknown config key 'data.batchsize'", "to mend:  did you mean 'data.batch_size'"]),
    (no_rows, DataError, {"task", "split", "file"},
     ["no rows", "task mood", "split train", "expected: at least one row of data"]),
    (misspelt_option, UnknownName, {"task", "split"},
     ["unknown option of format jsonl 'encodin'", "did you mean 'encoding'"]),
    (answers_without_places, RowError, PLACE,
     ["answers that are not told where they stand", "row 1", "got:      ['Bob']",
      "expected: a list of {text, start}"]),
    (nothing_to_score, UnifyError, {"task"},
     ["a task without a split to evaluate", "task mood", "take it out of suite.unseen"]),
    (unlabelled_split, UnifyError, {"task", "split"},
     ["no labelled row to evaluate on", "task mood", "split train",
      "to mend:  name a split with labels"]),
]


@pytest.mark.parametrize(
    ("kind", "error", "where", "says"), KINDS, ids=[k[0].__name__ for k in KINDS]
)
def test_bad_input_is_one_message(
    place: Place, kind: Callable[[Place], None], error: type[UnifyError], where: set[str],
    says: list[str],
) -> None:
    with pytest.raises(error) as caught:
        kind(place)
    message = str(caught.value)
    assert where <= set(caught.value.where), message
    for part in says:
        assert part in message, message
    assert len(message) < 1200


def test_a_passage_far_over_the_window_is_read_whole(place: Place) -> None:
    """The eleventh kind is no error: it becomes windows, and nothing of it is cut."""
    passage = "boats and dogs " * 3000 + "Zoltan"
    place.put("read", {"question": "Who?", "passage": passage,
                       "answers": [{"text": "Zoltan", "start": len(passage) - 6}]})
    store = prepared("read", train=True)
    rows = [store[i] for i in range(len(store)) if store[i].row == 1]
    assert len(rows) > 100 and store.facts["cut_rows"] == 0 and store.facts["longest"] <= 96
    assert rows[-1].spans.tolist() and not rows[0].spans.tolist()
    covered = set()
    for row in rows:
        places = row.offsets.reshape(-1, 2)
        covered.update(range(int(places[0, 0]), int(places[-1, 1])))
    assert len(covered) == len(passage)


def test_a_row_that_lacks_a_column_is_one_bad_row(place: Place) -> None:
    place.put("mood", {"txt": "so so", "label": "glad"}, {**GOOD["mood"], "further": 3})
    with pytest.raises(RowError, match="text is not a text") as caught:
        prepared("mood")
    assert caught.value.where["row"] == 1
    assert prepared("mood", on_bad_row="skip").column("row").tolist() == [0, 2]


def test_own_rows_that_are_none(tmp_path: Path) -> None:
    for rows, said in (([], "no rows"), ("rows.csv", "rows that are no mappings")):
        with pytest.raises(DataError, match=said):
            task_from_rows(rows, tmp_path, "classify", {"labels": ["a", "b"]})


def test_bad_rows_can_be_left_out(place: Place) -> None:
    bad = [{"text": "so so", "label": "gald"}, {"text": "", "label": "sad"}]
    place.put("mood", *bad, GOOD["mood"])
    store = prepared("mood", on_bad_row="skip")
    assert store.column("row").tolist() == [0, 3]
    assert store.facts["skipped"]["rows"] == 2


def test_a_corrupt_cache_mends_itself(place: Place) -> None:
    place.put("mood")
    store = prepared("mood")
    store.path.write_bytes(b"\x00" * 100)
    assert len(prepared("mood")) == 1
    with pytest.raises(ConfigError):
        compose("train", ["model=hf"])
