"""Instances to ids: windows, gold spans in tokens, what is cut, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from format_strategies import examples, spans, texts
from format_tokenizers import coder
from hypothesis import assume, given
from hypothesis import strategies as st

from formats.errors import RowError
from formats.examples import Span
from formats.features import (
    MOST_VARIANTS,
    FeatureRow,
    Group,
    as_generate,
    cut_middle,
    featurize,
    yes_odds,
)
from formats.instances import EntailInstance, ExtractInstance, GenerateInstance, Scores, oracle
from formats.layout import Coder

NAMES = ("bpe", "wordpiece", "roberta")


def extract(passage: str, *gold: Span, question: str = "Who?", **more: object) -> ExtractInstance:
    return ExtractInstance(question, passage, gold, **more)  # type: ignore[arg-type]


def rows(c: Coder, *instances: object, train: bool = False, row: int = 0) -> list[FeatureRow]:
    """Feature rows with plain lists."""
    found = featurize([Group(row, list(instances))], c, train=train)  # type: ignore[arg-type]
    names = ("shared", "offsets", "spans", "closed")
    return [replace(r, **{n: list(map(int, getattr(r, n))) for n in names}) for r in found]


def pairs(flat: list[int], width: int) -> list[tuple[int, ...]]:
    return [tuple(flat[i : i + width]) for i in range(0, len(flat), width)]


def read_back(row: FeatureRow) -> list[tuple[int, int]]:
    """The characters of the row's gold spans, read as a head reads them: through the offsets."""
    places = pairs(row.offsets, 2)
    return [(places[first][0], places[last][1]) for _, first, last, _ in pairs(row.spans, 4)]


# Windows


@pytest.mark.parametrize("name", NAMES)
def test_windows_cover_a_long_passage(name: str) -> None:
    c = coder(name, window=40)
    passage = " ".join(f"boat{i}" for i in range(60))
    ids = c.ids([passage])[0]
    found = rows(c, extract(passage))
    assert len(found) > 2 and [r.window for r in found] == list(range(len(found)))
    question = len(c.ids(["Who?"])[0])
    room = c.layout.pair_room - question
    covered: set[int] = set()
    for i, r in enumerate(found):
        at = i * int(room * 0.5)
        assert r.shared == ids[at : at + room]
        covered.update(range(at, at + len(r.shared)))
        assert r.length == len(r.shared) + question + (40 - c.layout.pair_room) <= 40
    assert covered == set(range(len(ids)))
    assert sum(r.cut for r in found) == 0


def test_a_passage_that_fits_is_one_window() -> None:
    c = coder("bpe", window=40)
    room = c.layout.pair_room - len(c.ids(["Who?"])[0])
    for count, windows in ((room - 1, 1), (room, 1), (room + 1, 2)):
        passage = " ".join("b" * count)
        assert len(c.ids([passage])[0]) == count
        assert len(rows(c, extract(passage))) == windows


def test_every_gold_span_stands_in_a_window_and_only_there() -> None:
    c = coder("bpe", window=40)
    words = [f"boat{i}" for i in range(60)]
    passage = " ".join(words)
    for i in range(0, 60, 7):
        start = passage.index(words[i])
        gold = Span(start, start + len(words[i]))
        found = [p for r in rows(c, extract(passage, gold)) for p in read_back(r)]
        assert found and set(found) == {(gold.start, gold.end)}


# Gold spans to tokens and back


@pytest.mark.parametrize("name", NAMES)
def test_a_gold_span_reads_back(name: str) -> None:
    """It contains the gold, and is the gold where token boundaries are its boundaries."""
    c = coder(name, window=512)

    @examples(250)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        text = data.draw(texts)
        gold = data.draw(spans(text))
        (row,) = rows(c, extract(text, gold))
        back = read_back(row)
        if not back:  # a tokenizer may drop signs that nobody sees; nothing else may be lost
            assert name == "wordpiece"
            assert not c.ids([gold.of(text)])[0]
            return
        ((start, end),) = back
        assert text[start:end].strip()
        # Blanks at the gold's ends are nobody's token.
        body = gold.of(text).strip()
        lead = gold.start + gold.of(text).index(body)
        if name != "wordpiece":
            assert start <= lead and lead + len(body) <= end
        places = pairs(row.offsets, 2)
        starts, ends = {s for s, _ in places}, {e for _, e in places}
        if name != "wordpiece" and lead in starts and lead + len(body) in ends:
            assert text[start:end].strip() == body

    check()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Ann keeps three red boats.", "three red boats"),
        ("  Ann  keeps\n\nboats", "keeps"),
        ("the café in Straße 7 is naïve", "Straße 7"),
        ("the café is", "café"),
        ("a 😀 b 👩‍🚀 c", "😀"),
        ("我在東京看船。", "東京"),
        ("one\u200b two three", "two"),
        ("Bob's boat", "Bob"),
        ("12 dogs, 7 cats", "7 cats"),
        ("İstanbul is big", "big"),
        ("e\u0301tude in Paris", "Paris"),
    ],
)
def test_an_answer_of_whole_tokens_reads_back_exactly(name: str, text: str, answer: str) -> None:
    start = text.index(answer)
    (row,) = rows(coder(name), extract(text, Span(start, start + len(answer))))
    assert [text[s:e] for s, e in read_back(row)] == [answer]


def test_offsets_leave_out_the_blank_that_a_token_begins_with() -> None:
    text = "Ann keeps boats"
    _, (raw,) = coder("roberta").ids_and_offsets([text])
    assert any(text[s].isspace() and e - s > 1 for s, e in raw)  # this shape has such tokens
    (row,) = rows(coder("roberta"), extract(text))
    assert not any(text[s].isspace() and e - s > 1 for s, e in pairs(row.offsets, 2))


def test_types_and_candidates_become_tokens() -> None:
    c = coder("bpe")
    text = "good, bad. Ann saw Bob"
    where = {w: Span(text.index(w), text.index(w) + len(w)) for w in ("good", "bad", "Ann", "Bob")}
    places = tuple((where[w].start, where[w].end) for w in ("good", "bad"))
    (closed,) = rows(c, extract(text, where["bad"], candidates=places))
    listed = pairs(closed.closed, 3)
    assert [n for n, _, _ in listed] == [0, 1] and closed.candidates == 2
    assert pairs(closed.spans, 4) == [(0, *listed[1][1:], 0)]
    typed = [Span(s.start, s.end, t) for s, t in ((where["Ann"], "b"), (where["Bob"], "a"))]
    (row,) = rows(c, extract(text, *typed, types=("a", "b")))
    assert [t for *_, t in pairs(row.spans, 4)] == [1, 0]
    assert [text[s:e] for s, e in read_back(row)] == ["Ann", "Bob"]


def test_unlabelled_is_not_the_same_as_no_answer() -> None:
    c = coder("bpe")
    (none,) = rows(c, extract("Ann saw Bob"))
    (unlabelled,) = rows(c, ExtractInstance("Who?", "Ann saw Bob", None))
    assert none.gold == [1.0] and none.spans == []
    assert math.isnan(unlabelled.gold[0])


# Cuts


def test_cut_middle_keeps_both_ends() -> None:
    assert cut_middle([1, 2, 3, 4, 5, 6], 4) == [1, 2, 5, 6]
    assert cut_middle([1, 2, 3, 4, 5, 6], 3) == [1, 5, 6]
    assert cut_middle([1, 2, 3], 3) == [1, 2, 3]
    assert cut_middle([1, 2, 3], 1) == [3]


@pytest.mark.parametrize("kind", ["causal", "seq2seq", "masked"])
def test_a_long_source_loses_its_middle_and_says_how_much(kind: str) -> None:
    c = coder("bpe", kind, 40, max_target=6)  # type: ignore[arg-type]
    source = " ".join(f"boat{i}" for i in range(40))
    ids = c.ids([source])[0]
    (row,) = rows(c, GenerateInstance(source, "no", ("yes", "no")))
    assert row.cut == len(ids) - len(row.shared) > 0
    half = len(row.shared) // 2
    assert row.shared[:half] == ids[:half] and row.shared[half:] == ids[half - len(row.shared) :]
    assert len(row.shared) + max(map(len, row.variants)) * (kind != "seq2seq") <= 40
    assert row.length <= 40 + (max(map(len, row.variants)) if kind == "seq2seq" else 0)


def test_a_long_premise_and_a_long_hypothesis_are_cut_and_counted() -> None:
    c = coder("bpe", window=40)
    long = "a " * 100
    count = len(c.ids([long.strip()])[0])
    (row,) = rows(c, EntailInstance(long.strip(), "boats", 1.0))
    kept = c.layout.pair_room - len(c.ids(["boats"])[0])
    assert (len(row.shared), row.cut, row.length) == (kept, count - kept, 40)
    (row,) = rows(c, EntailInstance("boats", long.strip(), 1.0))
    assert len(row.variants[0]) == c.layout.pair_room // 2
    assert row.cut == count - c.layout.pair_room // 2


def test_a_long_target_is_cut_and_counted() -> None:
    c = coder("bpe", "causal", 64, max_target=6)
    (row,) = rows(c, GenerateInstance("Say it.", "b b b b b b b b"), train=True)
    assert row.variants == [c.ids([" b b b b b"])[0] + [c.layout.eos]]
    assert row.cut == 3


def test_writing_freely_has_room_for_the_longest_target() -> None:
    """What a source may be long does not depend on the length of its gold answer."""
    c = coder("bpe", "causal", 48, max_target=20)
    source = "a " * 100
    found = [
        rows(c, GenerateInstance(source, target))[0].shared
        for target in (None, "b", "b b b b b b b b")
    ]
    assert found[0] == found[1] == found[2]
    assert len(found[0]) + len(c.layout.single_before) + 20 <= 48


# Refusals


def test_an_option_longer_than_can_be_scored_is_refused() -> None:
    c = coder("bpe", "causal", 64, max_target=6)
    option = "b b b b b b b"
    with pytest.raises(RowError) as caught:
        rows(c, GenerateInstance("Which?", "b", ("b", option)), row=17)
    assert caught.value.where == {"row": 17, "field": "options"}
    assert caught.value.got == "7 tokens" and caught.value.expected == "at most 5 tokens"
    (row,) = rows(c, GenerateInstance("Which?", "b", ("b", "b b b b b")))
    assert [len(v) for v in row.variants] == [2, 6]


def test_a_target_that_leaves_no_room_for_the_source_is_refused() -> None:
    c = coder("bpe", "causal", 24, max_target=20)
    with pytest.raises(RowError, match="leaves no room for the source") as caught:
        rows(c, GenerateInstance("Say it.", "a " * 30), train=True, row=3)
    assert caught.value.where["row"] == 3


# Variants


def test_many_hypotheses_are_parted_and_keep_their_numbers() -> None:
    c = coder("bpe")
    count = 2 * MOST_VARIANTS + 5
    instances = [EntailInstance("Ann saw Bob", f"label {i}", float(i == 70)) for i in range(count)]
    found = rows(c, *instances)
    assert [(r.instance, len(r.variants)) for r in found] == [(0, 64), (64, 64), (128, 5)]
    variants = [v for r in found for v in r.variants]
    assert variants == c.ids([i.hypothesis for i in instances])
    assert [g for r in found for g in r.gold] == [i.gold for i in instances]


def test_many_questions_are_parted_and_keep_their_numbers() -> None:
    c = coder("bpe")
    count = MOST_VARIANTS + 3
    gold = Span(0, 3)
    instances = [
        extract("Ann saw Bob", *((gold,) if i in (2, 65) else ()), question=f"kind {i}?")
        for i in range(count)
    ]
    found = rows(c, *instances)
    assert [(r.instance, len(r.variants)) for r in found] == [(0, 64), (64, 3)]
    assert [r.instance + v for r in found for v, *_ in pairs(r.spans, 4)] == [2, 65]


def test_premises_that_differ_are_rows_of_their_own() -> None:
    instances = [EntailInstance(p, "so", 1.0) for p in ("one", "one", "two", "one")]
    found = rows(coder("bpe"), *instances)
    assert [(r.instance, len(r.variants)) for r in found] == [(0, 2), (2, 1), (3, 1)]


def test_rows_keep_their_order_and_numbers() -> None:
    c = coder("bpe")
    groups = [Group(r, [EntailInstance(f"text {r}", "so", 0.0)]) for r in (5, 2, 9)]
    assert [r.row for r in featurize(groups, c)] == [5, 2, 9]
    assert list(featurize([], c)) == []


# Generation's own


def test_training_keeps_the_target_alone_and_scoring_all_options() -> None:
    c = coder("bpe", "causal", max_target=16)
    instance = GenerateInstance("Which?", "bad", ("good", "bad"))
    (train,) = rows(c, instance, train=True)
    (score,) = rows(c, instance)
    end = [c.layout.eos]
    assert train.variants == [c.ids([" bad"])[0] + end] and train.candidates == 0
    assert score.variants == [c.ids([f" {o}"])[0] + end for o in ("good", "bad")]
    assert score.candidates == 2 and score.gold == [0.0, 1.0]
    (free,) = rows(c, GenerateInstance("Say it.", None))
    assert free.variants == [] and free.candidates == 0


def test_masked_targets_have_no_end() -> None:
    c = coder("bpe", "masked")
    (row,) = rows(c, GenerateInstance("Which?", "bad", ("good", "bad")))
    assert row.variants == c.ids([" good", " bad"])


@pytest.mark.parametrize(("gold", "target"), [(1.0, "yes"), (0.0, "no"), (0.5, "yes"),
                                              (0.4, "no"), (None, None)])
def test_entailment_in_words(gold: float | None, target: str | None) -> None:
    instance = as_generate(EntailInstance("It rains.", "It is wet.", gold))
    assert instance == GenerateInstance(
        "It rains.\nIt is wet.\nyes or no?", target, ("yes", "no")
    )


@given(st.floats(-50, 0), st.floats(-50, 0))
def test_odds_of_yes(yes: float, no: float) -> None:
    assert yes_odds(Scores((yes, no))) == yes - no
    assume(yes != no)
    assert (yes_odds(Scores((yes, no))) > 0) == (yes > no)


def test_the_oracle_of_entailment_in_words_agrees() -> None:
    for gold in (0.0, 1.0):
        raw = oracle(as_generate(EntailInstance("a", "b", gold)))
        assert (yes_odds(raw) > 0) == (gold == 1.0)


def test_sizes_count_tokens() -> None:
    c = coder("bpe")
    pair = [EntailInstance("Ann saw Bob", h, None) for h in ("yes", "no")]
    (row,) = rows(c, *pair)
    premise, frame = len(row.shared), 3
    yes, no = map(len, row.variants)
    assert row.length == premise + max(yes, no) + frame
    assert row.size == 2 * (premise + frame) + yes + no
