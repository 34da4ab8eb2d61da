"""Long passages in windows: answers come back to the characters of the text, or are counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from format_strategies import examples, texts
from format_tokenizers import coder, made
from hypothesis import assume, given
from hypothesis import strategies as st

from formats import Extract, QuestionAnswering, Span, matches
from formats.features import FeatureRow, Group, featurize
from formats.instances import ExtractInstance, ScoredSpan, Spans
from formats.layout import Coder
from formats.offsets import tidied
from formats.pieces import Pieces, separable
from formats.prompts import default_prompt

# Byte-level BPE of three makes, WordPiece with and without accents, Unigram, BPE with bytes.
NAMES = ("bpe", "roberta", "gpt", "wordpiece", "cased", "unigram", "llama")

# Words as they stand in real passages: accents of both kinds, scripts without blanks, vowel signs,
# emoji of several code points, zero-width signs inside, ligatures, letters that grow in lower case.
WORDS = (
    "Ann", "boats", "café", "cafe\u0301", "naïve", "e\u0301tude", "Straße", "İstanbul", "ﬁne",
    "你好", "東京で", "한국", "हिन्दी", "में", "นี้", "שָׁלוֹם", "مُحَمَّد", "Việt", "Vie\u0323\u0302t",
    "😀", "❤️", "👩‍🚀", "🇩🇪", "co\u200bop", "zero\u200dwidth", "12,5", "O'Neil", "U.S.", "½", "²",
    "ǆ", "x\u0305", "A\u030a",
)  # fmt: skip
GAPS = (" ", " ", " ", "  ", "\n", "\t", "\u00a0", "\u3000", "\u2028", ", ")


@st.composite
def passages(draw: st.DrawFn, least: int = 1, most: int = 60) -> tuple[str, list[Span]]:
    """A passage and the places of its words."""
    text, places = draw(st.sampled_from(["", "", " ", "\n"])), []
    for word in draw(st.lists(st.sampled_from(WORDS), min_size=least, max_size=most)):
        places.append(Span(len(text), len(text) + len(word)))
        text += word + draw(st.sampled_from(GAPS))
    return text, places


def rows(c: Coder, passage: str, *gold: Span, question: str = "Who?") -> list[FeatureRow]:
    instance = ExtractInstance(question, passage, gold)
    return list(featurize([Group(0, [instance])], c))


def read(row: FeatureRow) -> list[Span]:
    """The gold spans of one window as a head reads them: tokens to characters by the offsets."""
    places = np.array(row.offsets).reshape(-1, 2)
    return [
        Span(int(places[first, 0]), int(places[last, 1]))
        for _, first, last, _ in np.array(row.spans).reshape(-1, 4)
    ]


def kept(c: Coder, text: str) -> bool:
    """Whether the tokenizer makes any token of ``text``."""
    return bool(c.ids([text])[0])


# Every span comes back exactly, or is counted


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("stride", [0.5, 0.75, 1.0])
def test_a_span_comes_back_exactly_or_is_counted(name: str, stride: float) -> None:
    c = coder(name, window=24, stride=stride)

    @examples(40)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        text = data.draw(st.one_of(texts, passages().map(lambda p: p[0])))
        start = data.draw(st.integers(0, len(text) - 1))
        gold = Span(start, data.draw(st.integers(start + 1, min(len(text), start + 30))))
        assume(gold.of(text).strip() and text.strip())
        found = rows(c, text, gold)
        lost, moved = sum(r.lost for r in found), sum(r.moved for r in found)
        back = {s for row in found for s in read(row)}
        assert lost + moved <= 1
        assert len(back) == 1 - lost  # all windows that hold it agree
        assert (back == {gold}) == (lost + moved == 0)
        for span in back:  # what moved still shows nothing that its tokens do not touch
            assert 0 <= span.start < span.end <= len(text)

    check()


@pytest.mark.parametrize("name", NAMES)
def test_whole_words_come_back_exactly(name: str) -> None:
    """Runs of words parted by white space, in whatever script, in any of many windows."""
    c = coder(name, window=96)

    @examples(60)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        text, places = data.draw(passages())
        first = data.draw(st.integers(0, len(places) - 1))
        last = data.draw(st.integers(first, min(len(places) - 1, first + 2)))
        gold = Span(places[first].start, places[last].end)
        around = text[: gold.start][-1:] + text[gold.end :][:1]
        # Signs that it does not know become one token, unless blanks stand between.
        assume(not around.strip(" ") if name == "unigram" else not around.strip())
        # A tokenizer may have no sign at all for a word; then there is nothing to point at.
        assume(all(kept(c, places[i].of(text)) for i in (first, last)))
        found = rows(c, text, gold)
        room = c.layout.pair_room - len(c.ids(["Who?"])[0])
        if len(c.ids([text[gold.start : gold.end]])[0]) <= room // 2 - 2:
            assert sum(r.lost for r in found) == 0
        if name == "llama":  # its tokens may join a word with signs around it
            return
        assert sum(r.moved for r in found) == 0
        assert {s.of(text) for row in found for s in read(row)} <= {gold.of(text)}

    check()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("le cafe\u0301 noir", "cafe\u0301"),  # an accent of its own, stripped or composed
        ("यह शहर में है", "में"),  # vowel signs at the end
        ("Vie\u0323\u0302t Nam", "Vie\u0323\u0302t"),
        ("שָׁלוֹם לך", "שָׁלוֹם"),
        ("I ❤️ it", "❤️"),  # a variation selector
        ("x\u0305 is a mean", "x\u0305"),
        ("one\u200b two three", "two"),
        ("我們在東京。", "東京"),
        ("a 👩‍🚀 b", "👩‍🚀"),
        ("so\u00a0far\u3000away", "far"),
        ("line\nbreak\r\nhere", "break"),
        ("A\u030angstrom, cafe\u0301, e\u0301tude", "e\u0301tude"),
        ("İ İİ i", "İİ"),
    ],
)
def test_answers_that_end_at_tokens(name: str, text: str, answer: str) -> None:
    start = text.index(answer)
    found = rows(coder(name), text, Span(start, start + len(answer)))
    if name == "llama" and answer in ("two", "far", "break", "e\u0301tude"):
        return
    assert [(r.lost, r.moved) for r in found] == [(0, 0)]
    assert [s.of(text) for s in read(found[0])] == [answer]


# Windows and counts, by hand


def test_a_span_longer_than_the_overlap_may_be_lost_and_is_counted() -> None:
    c = coder("bpe", window=24, stride=0.5)
    room = c.layout.pair_room - len(c.ids(["Who?"])[0])
    passage = " ".join("b" * 60)  # one token per word
    assert len(c.ids([passage])[0]) == 60
    step = room // 2

    def lost(first: int, count: int) -> int:
        gold = Span(2 * first, 2 * (first + count) - 1)
        return sum(r.lost for r in rows(c, passage, gold))

    assert [lost(first, room - step) for first in range(30)] == [0] * 30
    assert lost(0, room) == 0 and lost(1, room) == 1 and lost(step, room) == 0
    assert lost(3, room + 1) == 1


def test_a_span_inside_a_token_is_moved_to_its_borders_and_counted() -> None:
    c = coder("wordpiece")
    text = "щука 你好"
    (row,) = rows(c, text, Span(0, 2))
    assert (row.lost, row.moved) == (0, 1)
    assert read(row) == [Span(0, 4)]  # a word that is not known is one token
    (row,) = rows(c, text, Span(5, 6), Span(6, 7))
    assert (row.lost, row.moved) == (0, 0)


def test_a_span_without_a_token_is_lost() -> None:
    (row,) = rows(coder("wordpiece"), "a \u200b b", Span(2, 3))
    assert (row.lost, row.moved, list(row.spans)) == (1, 0, [])


def test_counts_stand_in_the_first_window_alone() -> None:
    c = coder("wordpiece", window=24)
    text = "щука " * 60
    found = rows(c, text, Span(0, 2), Span(200, 204))
    assert len(found) > 2 and [r.moved for r in found] == [1] + [0] * (len(found) - 1)


# Through a format: prediction of the windows, merged, decoded


def merged(found: list[FeatureRow]) -> Spans:
    """What a head that is sure of the gold says, over all windows."""
    best = {s: ScoredSpan(s.start, s.end, 9.0) for row in found for s in read(row)}
    return Spans(tuple(best.values()))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("template", [0, 1])
def test_an_answer_survives_encoding_windows_and_decoding(name: str, template: int) -> None:
    c = coder(name, window=40)
    prompt = default_prompt("answer", overrides={
        "extract": {"question": "{{ question }}", "passage": "Ünï—{{ passage }} (end)"}
    })  # fmt: skip
    extract = Extract()

    @examples(40)
    @given(passages(least=2), st.data())
    def check(passage: tuple[str, list[Span]], data: st.DataObject) -> None:
        text, places = passage
        assume(text.strip())
        golds = data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=3, unique=True))
        example = QuestionAnswering("0", "Who?", text, (frozenset(golds),), several=True)
        instances = list(extract.encode(example, prompt, template=template))
        found = list(featurize([Group(0, instances)], c))
        answer = extract.decode(example, prompt, [merged(found)], template=template)
        if not sum(r.lost + r.moved for r in found):
            assert matches(example, answer)
        elif isinstance(answer, frozenset):
            exact = example.gold_texts()[0]
            assert len(exact - answer) <= sum(r.lost + r.moved for r in found)

    check()


# Offsets


def test_tidied_offsets_by_hand() -> None:
    def both(text: str, *places: tuple[int, int]) -> list[tuple[int, int]]:
        starts, stops = np.array(places).T
        return [(int(a), int(b)) for a, b in zip(*tidied(text, starts, stops), strict=True)]

    assert both("a  b\n", (0, 1), (1, 5)) == [(0, 1), (3, 4)]
    assert both("a  b", (0, 1), (1, 3), (3, 4)) == [(0, 1), (1, 3), (3, 4)]  # blanks alone
    assert both("e\u0301\u0302 x", (0, 1), (4, 5)) == [(0, 3), (4, 5)]  # no token counts the marks
    assert both("e\u0301", (0, 1), (1, 2)) == [(0, 1), (1, 2)]  # a token does
    assert both("a \u0301x", (0, 1), (1, 2), (3, 4)) == [(0, 1), (1, 2), (3, 4)]
    assert both("ab", (0, 1), (1, 1), (1, 2)) == [(0, 1), (1, 1), (1, 2)]


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("unigram", "llama")])
def test_the_table_of_pieces_is_the_tokenizer_called_on_the_text(name: str) -> None:
    backend: Any = coder(name)._backend
    assert separable(backend)
    table = Pieces(backend)

    @examples(60)
    @given(st.lists(st.one_of(texts, passages().map(lambda p: p[0])), min_size=1, max_size=4))
    def check(several: list[str]) -> None:
        coded = table.encode(several)
        ids = coded.split(coded.ids.tolist())
        starts, stops = coded.split(coded.starts.tolist()), coded.split(coded.stops.tolist())
        for k, text in enumerate(several):
            whole = backend.encode(text, add_special_tokens=False)
            assert ids[k] == whole.ids
            first, last = np.array(whole.offsets, np.int64).reshape(-1, 2).T
            wanted = tidied(text, first, last)
            assert (starts[k], stops[k]) == (wanted[0].tolist(), wanted[1].tolist())

    check()


@pytest.mark.parametrize("name", ["unigram", "llama"])
def test_tokenizers_that_look_over_blanks_are_called_on_the_whole_text(name: str) -> None:
    assert not separable(made(name).backend_tokenizer)
