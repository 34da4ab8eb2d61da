"""The published MetaICL layout: literal cases, and the token ids of real rows."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from formats.errors import RowError
from formats.metaicl import Row, context, demonstration, marks, requests, training


def letters(text: str) -> list[int]:
    """One token per character."""
    return [ord(c) for c in text]


def text(ids: list[int]) -> str:
    return "".join(map(chr, ids))


GOOD = Row("fine day", "good", ("good", "bad"))
BAD = Row("rain", "bad", ("good", "bad"))


def test_direct() -> None:
    assert text(context([GOOD, BAD], letters, "direct")) == "fine day\ngood\n\n\nrain\nbad"
    given, scored = training([GOOD, BAD], letters, "direct")
    assert (text(given), text(scored)) == ("fine day\ngood\n\n\nrain", "\nbad")
    pairs = requests(BAD, letters("x"), letters, "direct")
    assert [(text(a), text(b)) for a, b in pairs] == [
        ("x\n\n\nrain", "\ngood"),
        ("x\n\n\nrain", "\nbad"),
    ]


def test_channel() -> None:
    assert text(context([GOOD, BAD], letters, "channel")) == "good\nfine day\n\n\nbad\nrain"
    pairs = requests(BAD, letters("x"), letters, "channel")
    assert [(text(a), text(b)) for a, b in pairs] == [
        ("x\n\n\ngood", "\nrain"),
        ("x\n\n\nbad", "\nrain"),
    ]
    alone = requests(BAD, [], letters, "channel")
    assert [(text(a), text(b)) for a, b in alone] == [("good", "\nrain"), ("bad", "\nrain")]


def test_no_options_and_no_input() -> None:
    free = Row("say it", "it")
    assert text(context([free, free], letters, "direct")) == "say itit\n\n\nsay itit"
    assert marks(Row("", "good", ("good", "bad")), "direct", first=False).input == "\n\n"
    assert marks(Row("", "good", ("good", "bad")), "channel", first=False).input == ""


def test_cuts() -> None:
    long = Row("abcdefghij", "good", ("good", "wonderful"))
    # 16 tokens, less 2 spare ones and the 5 of "\ngood": 9 of the input.
    given, output = demonstration(long, letters, "direct", True, per_example=16)
    assert (text(given), text(output)) == ("abcdefghi", "\ngood")
    # A query leaves room for its longest option, "\nwonderful".
    (first, second) = requests(long, [], letters, "direct", per_example=16)
    assert text(first[0]) == text(second[0]) == "abcd"
    # The whole loses what is too much on the left.
    pairs = requests(BAD, letters("0123456789"), letters, "direct", most=15)
    assert [text(a + b) for a, b in pairs] == ["789\n\n\nrain\ngood", "6789\n\n\nrain\nbad"]


def test_an_output_that_is_no_option() -> None:
    with pytest.raises(RowError, match="no option"):
        Row("x", "fine", ("good", "bad"))


def test_the_token_ids_of_real_rows() -> None:
    folder = os.environ.get("UNIFY_DATA")
    if not folder:
        pytest.skip("UNIFY_DATA is not set")
    from tokenizers import Tokenizer

    place = Path(folder) / "metaicl_reference"
    tokenizer = Tokenizer.from_file(str(place / "tokenizer.json"))

    def encode(words: str) -> list[int]:
        return list(tokenizer.encode(words, add_special_tokens=False).ids)

    def rows(split: str) -> list[Row]:
        (file,) = place.glob(f"*_{split}.jsonl")
        read = (json.loads(line) for line in file.read_text(encoding="utf-8").splitlines())
        return [Row(r["input"], r["output"], tuple(r["options"])) for r in read]

    cases = json.loads((place / "token_ids.json").read_text())["cases"]
    assert {(c["method"], c["k"]) for c in cases} == {
        (m, k) for m in ("direct", "channel") for k in (0, 16)
    }
    for case in cases:
        sizes = {"most": case["max_length"], "per_example": case["max_length_per_example"]}
        shown = context(rows("train")[: case["k"]], encode, case["method"], sizes["per_example"])
        found = [
            pair
            for query in rows("test")
            for pair in requests(query, shown, encode, case["method"], **sizes)
        ]
        assert found == [(r["context_ids"], r["scored_ids"]) for r in case["rows"]]
