"""Words and candidate spans of texts in several scripts."""

from __future__ import annotations

import pytest
from format_strategies import examples, texts
from hypothesis import given
from hypothesis import strategies as st

from formats.candidates import candidates, whole_words, words
from formats.lengths import length_in_words


def is_candidate(text: str, start: int, end: int, most: int) -> bool:
    length = length_in_words(text, start, end)
    return length is not None and length <= most


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        (" \n\t", []),
        ("Ann met Bob.", ["Ann", "met", "Bob", "."]),
        ("3.5 km", ["3", ".", "5", "km"]),
        ("don't", ["don", "'", "t"]),
        ("snake_case 2x", ["snake_case", "2x"]),
        ("我爱北京。", ["我", "爱", "北", "京", "。"]),
        ("用BERT做NER", ["用", "BERT", "做", "NER"]),
        ("東京タワー", ["東", "京", "タ", "ワ", "ー"]),
        ("𠀀𠀁", ["𠀀", "𠀁"]),
        ("か\u3099き", ["か\u3099", "き"]),
        ("서울은 좋다", ["서울은", "좋다"]),
        ("e\u0301te\u0301 a", ["e\u0301te\u0301", "a"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("مُحَمَّد", ["مُحَمَّد"]),
        ("שלום, עולם", ["שלום", ",", "עולם"]),
        ("a😀b", ["a", "😀", "b"]),
        ("a\u200bb", ["a", "\u200b", "b"]),
        ("a\x00b", ["a", "\x00", "b"]),
        ("\u0301a", ["\u0301", "a"]),
    ],
)
def test_words(text: str, found: list[str]) -> None:
    assert [text[start:end] for start, end in words(text)] == found


def test_candidates_by_start_and_length() -> None:
    text = "a bb c"
    assert [text[s:e] for s, e in candidates(text, 2)] == ["a", "a bb", "bb", "bb c", "c"]
    assert list(candidates(text, 1)) == words(text)
    assert ["我爱你"[s:e] for s, e in candidates("我爱你", 2)] == ["我", "我爱", "爱", "爱你", "你"]


def test_a_candidate_is_made_of_whole_words() -> None:
    text = "Ann met Bob"
    assert is_candidate(text, 0, 7, 2)
    assert not is_candidate(text, 0, 11, 2)
    assert is_candidate(text, 0, 11, 3)
    assert not is_candidate(text, 0, 2, 8)
    assert not is_candidate(text, 1, 3, 8)
    assert not is_candidate(text, 0, 4, 8)


@examples(200)
@given(texts, st.integers(1, 4), st.data())
def test_candidates_are_distinct_visible_and_bounded(
    text: str, most: int, data: st.DataObject
) -> None:
    found = list(candidates(text, most))
    pieces = words(text)
    assert pieces, "a text with a visible character has a word"
    assert len(set(found)) == len(found) <= most * len(pieces)
    assert all(text[s:e] == text[s:e].strip() != "" for s, e in pieces)
    assert "".join(text[s:e] for s, e in pieces) == "".join(text.split())
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    assert is_candidate(text, start, end, most) == ((start, end) in found)


@given(text=st.text(alphabet="ab ,.-_\u0301\u6771\u4eac\n'", max_size=24), data=st.data())
def test_whole_words_agree_with_the_words_of_the_text(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    found = words(text)
    wanted = start in {s for s, _ in found} and end in {e for _, e in found}
    if start < end and not text[start].isspace() and not text[end - 1].isspace():
        assert whole_words(text, start, end) == wanted
