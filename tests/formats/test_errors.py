"""The one error shape."""

from __future__ import annotations

import inspect

import pytest
from format_strategies import anything, examples
from hypothesis import given
from hypothesis import strategies as st

import formats.errors as errors
from formats.errors import RowError, UnifyError, UnknownName, did_you_mean


def test_the_whole_message() -> None:
    error = RowError("text is empty", got="", expected="a text", fix="drop it", field="text")
    error.at(row=7, file="a.csv", task="t", extra="e", split=None)
    assert str(error) == (
        "text is empty\n"
        "  where:    task t, file a.csv, row 7, field text, extra e\n"
        "  got:      ''\n"
        "  expected: a text\n"
        "  to mend:  drop it"
    )


def test_what_alone() -> None:
    assert str(UnifyError("it broke")) == "it broke"


def test_at_returns_the_error_and_keeps_what_is_known() -> None:
    error = RowError("x", row=1)
    assert error.at(row=2, task=None) is error
    assert error.where == {"row": 1}


@pytest.mark.parametrize(
    ("got", "shown"),
    [
        ("plain text", "plain text"),
        ("", "''"),
        ("  ", "'  '"),
        (" a", "' a'"),
        ("a\nb", "'a\\nb'"),
        ("\u202e\x00", "'\\u202e\\x00'"),
        (0, "0"),
        ((1, 2), "(1, 2)"),
        ("正面", "正面"),
        ("a" * 500, "a" * 159 + "…"),
    ],
)
def test_what_was_got_is_seen_on_one_line(got: object, shown: str) -> None:
    assert str(UnifyError("x", got=got)) == f"x\n  got:      {shown}"


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("txet", ["text", "label"], "did you mean 'text'?"),
        ("labl", ["label", "labels"], "did you mean 'label' or 'labels'?"),
        ("zzz", ["b", "a"], "known: a, b"),
        ("zzz", [], "no field is known here"),
        ("zzz", map(str, range(20)), "known: 0, 1, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 …"),
    ],
)
def test_did_you_mean(name: str, known: list[str], hint: str) -> None:
    assert did_you_mean(name, known, "field") == hint


def test_unknown_name() -> None:
    message = str(UnknownName("task kind", "clasify", ["classify", "tag"], task="t"))
    assert message == (
        "unknown task kind 'clasify'\n  where:    task t\n  to mend:  did you mean 'classify'?"
    )


def test_every_error_is_a_unify_error() -> None:
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass) if "Error" in c.__name__]
    assert len(classes) >= 8 and all(issubclass(c, UnifyError) for c in classes)
    assert issubclass(UnknownName, UnifyError)


@examples(100)
@given(anything, anything | st.integers() | st.none(), anything)
def test_any_message_can_be_printed(what: str, got: object, place: str) -> None:
    message = str(UnifyError(what, got=got, row=place, field="\ud800"))
    assert message.startswith(what)
    message.encode("utf-8")
