"""Lines that hold no row: refused by readers, and rows without an example in tasks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.errors import DataError, RowError, UnknownName
from tasks import declare
from tasks.readers import READERS
from tasks.readers._unread import complain, kept
from tasks.task import Skipped, Task


def task(path: Path, format: Any) -> Task:
    raw = {
        "type": "TextClassification", "cluster": "mood", "source": {"path": str(path.parent)},
        "format": format, "splits": {"data": path.name}, "unlabelled": ["data"],
        "labels": ["sad", "glad"],
    }  # fmt: skip
    return declare.build("mine", raw, path)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIFY_CACHE", str(tmp_path / "cache"))


GOOD = {"jsonl": '{{"text": "{0}"}}', "csv": "{0},x", "tsv": "{0}\tx"}
HEAD = {"jsonl": "", "csv": "text,b\n", "tsv": "text\tb\n"}
BAD = {
    "jsonl": ['{"text": ', "[1]", "7", '{"text": ' + "1" * 5000 + "}", "[" * 100_000,
              '{"text": "He is \\ud83d Ann"}', '{"\\uDE00": 1}'],
    "csv": ["a", "a,b,c"],
    "tsv": ["a", "a\tb\tc"],
}


@pytest.mark.parametrize(("format", "bad"), [(f, b) for f in BAD for b in BAD[f]])
def test_readers_refuse_such_a_line_and_name_it(tmp_path: Path, format: str, bad: str) -> None:
    path = tmp_path / "rows"
    path.write_text(f"{HEAD[format]}{GOOD[format].format('a')}\n{bad}\n")
    with pytest.raises(DataError) as caught:
        list(READERS[format](path))
    assert caught.value.where["row"] == 2 + bool(HEAD[format])
    assert caught.value.where["file"] == str(path) and caught.value.fix


@pytest.mark.parametrize("format", GOOD)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=12))
@settings(max_examples=20, deadline=None)
def test_other_rows_keep_their_numbers(
    tmp_path_factory: pytest.TempPathFactory, format: str, lines: list[int]
) -> None:
    """Number 0 stands for a line that holds no row, the others for rows."""
    path = tmp_path_factory.mktemp("lines") / "rows"
    given = [GOOD[format].format(f"t{n}") if n else BAD[format][0] for n in lines]
    path.write_text(HEAD[format] + "\n".join(given) + "\n")
    skipped = Skipped()
    made = task(path, format)
    if not any(lines):
        with pytest.raises(DataError) as whole:
            list(made.examples("data", on_bad_row="skip"))
        assert whole.value.where["file"] == str(path)
        return
    found = list(made.examples("data", on_bad_row="skip", skipped=skipped))
    assert [e.id for e in found] == [f"mine/data/{k}" for k, n in enumerate(lines) if n]
    assert [e.text for e in found] == [f"t{n}" for n in lines if n]
    assert skipped.count == lines.count(0) and made.count("data") == len(lines)
    if 0 in lines:
        with pytest.raises(RowError) as caught:
            list(made.examples("data"))
        first = lines.index(0)
        assert caught.value.where["row"] == first
        assert caught.value.where["line"] == first + 1 + bool(HEAD[format])


def test_half_of_a_character_costs_its_own_line(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_text('{"text": "a"}\n{"text": "Is \\ud83d Ann"}\n{"text": "\\ud83d\\ude00"}\n')
    skipped = Skipped()
    found = list(task(path, "jsonl").examples("data", on_bad_row="skip", skipped=skipped))
    assert [(e.id, e.text) for e in found] == [("mine/data/0", "a"), ("mine/data/2", "😀")]
    assert skipped.first[0].where["line"] == 2 and "half of a character" in str(skipped.first[0])


def test_a_bad_line_behind_many_rows(tmp_path: Path) -> None:
    """Behind all rows whose types are inferred at once."""
    path = tmp_path / "rows"
    path.write_text('{"text": "a"}\n' * 50_500 + "oops\n" + '{"text": "b"}\n')
    skipped = Skipped()
    made = task(path, "jsonl")
    texts = [e.text for e in made.examples("data", on_bad_row="skip", skipped=skipped)]
    assert len(texts) == 50_501 and texts[-1] == "b"
    assert skipped.first[0].where["line"] == 50_501


def test_it_is_no_option(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_text("text\tb\n")
    for format in ("jsonl", "tsv"):
        with pytest.raises(UnknownName, match="'unread'"):
            task(path, {format: {"unread": "kept"}}).rows("data")


def test_what_is_kept_says_what_was_said() -> None:
    told = kept(DataError("odd", got=[1], expected="even", fix="double it", row=7))
    with pytest.raises(RowError, match="odd") as caught:
        complain(json.loads(json.dumps(told)))
    error = caught.value
    assert (error.got, error.expected, error.fix) == ("[1]", "even", "double it")
    assert error.where == {"line": 7}
    complain({"text": "a"})
