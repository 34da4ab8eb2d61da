"""Answers and their places: what is mended, what is left out, what is refused; other layouts."""

import json
from collections import Counter

import pytest

from formats.errors import RowError, UnknownName
from formats.examples import Span
from tasks import declare
from tasks.adapters.subjqa import answered
from tasks.placing import NO_START, SPELT, UNPLACED, WRONG_START, gold_spans, place
from tasks.readers import READERS
from tasks.task import Skipped

PASSAGE = "Ann met Bob. Bob doesn't know Cid."


def at(text, start, **more):
    return {"text": text, "start": start, **more}


def read(format, path, **options):
    return list(READERS[format](path, **options))


# Places


@pytest.mark.parametrize(
    ("answer", "span", "mended"),
    [
        (at("Bob", 8), Span(8, 11), {}),
        (at("Bob", 13), Span(13, 16), {}),
        (at("Ann", 1), Span(0, 3), {WRONG_START: 1}),
        (at("Cid", -1), Span(30, 33), {WRONG_START: 1}),
        (at("Cid", 400), Span(30, 33), {WRONG_START: 1}),
        (at("Cid", None), Span(30, 33), {NO_START: 1}),
        ({"text": "Ann", "answer_start": 0}, Span(0, 3), {}),
        (at("does n't know", 17, end=29), Span(17, 29), {SPELT: 1}),
        (at("Ann Bob", 0, end=11), Span(0, 11), {SPELT: 1}),  # words between were left out
    ],
)
def test_where_an_answer_stands(answer, span, mended):
    counted = Counter()
    assert place(PASSAGE, answer, counted) == span
    assert counted == mended


@pytest.mark.parametrize(
    "answer",
    [
        at("Bob", 9),  # twice in the passage: which is meant?
        at("Bob", None),
        at("Dan", 0),
        at("", 0),
        at("Bob Ann", 0, end=11),  # not in this order
        at("does n't", 17, end=99),
        at(" ", 17, end=29),
    ],
)
def test_an_answer_without_a_place_is_refused(answer):
    counted = Counter()
    with pytest.raises(RowError, match="does not stand at its place"):
        place(PASSAGE, answer, counted)
    assert not counted


def test_one_annotator_without_a_place_is_left_out_and_counted():
    counted = Counter()
    answers = [at("Dan", 0), at("Ann", 0), at("Ann", 2), at("Cid", 30)]
    assert gold_spans(PASSAGE, answers, False, counted) == (
        frozenset([Span(0, 3)]), frozenset([Span(30, 33)]),
    )  # fmt: skip
    assert counted == {UNPLACED: 1, WRONG_START: 1}


def test_a_set_of_answers_is_whole_or_refused():
    counted = Counter()
    assert gold_spans(PASSAGE, [at("Ann", 1), at("Cid", 30)], True, counted) == (
        frozenset([Span(0, 3), Span(30, 33)]),
    )
    assert counted == {WRONG_START: 1}
    for answers, several in (([at("Ann", 1), at("Dan", 0)], True), ([at("Dan", 0)], False)):
        counted = Counter()
        with pytest.raises(RowError):
            gold_spans(PASSAGE, answers, several, counted)
        assert not counted
    assert gold_spans(PASSAGE, [], False, counted) == (frozenset(),)


# SQuAD's layout


def squad(*qas, context=PASSAGE):
    return json.dumps({"data": [{"title": "T", "paragraphs": [{"context": context, "qas": qas}]}]})


def qa(id, *answers, **more):
    listed = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": id, "question": "Who?", "answers": listed, **more}


def test_a_task_mends_and_skips_as_it_announces(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIFY_CACHE", str(tmp_path / "cache"))
    rows = [qa("right", ("Bob", 8)), qa("mended", ("Ann", 3)), qa("lost", ("Bob", 9)),
            qa("some", ("Bob", 9), ("Cid", 30))]  # fmt: skip
    (tmp_path / "a.json").write_text(squad(*rows))
    raw = {
        "type": "QuestionAnswering",
        "cluster": "c",
        "source": {"path": str(tmp_path)},
        "format": "squad",
        "splits": {"test": "a.json"},
        "fields": {"passage": "context"},
    }
    task = declare.build("t", raw, tmp_path / "t.yaml")
    with pytest.raises(RowError, match="2 times"):
        list(task.examples("test"))
    skipped = Skipped()
    task = declare.build("t", {**raw, "broken": {"test": 1}}, tmp_path / "t.yaml")
    found = list(task.examples("test", skipped=skipped))
    assert [sorted(e.gold_texts()) for e in found] == [
        [frozenset(["Bob"])], [frozenset(["Ann"])], [frozenset(["Cid"])],
    ]  # fmt: skip
    assert skipped.count == 1 and skipped.mended == {WRONG_START: 1, UNPLACED: 1}
    assert WRONG_START in str(skipped)


def test_squad2_says_which_questions_have_no_answer(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(squad(
        qa("none", is_impossible=True), qa("one", ("Ann", 0), is_impossible=False),
        qa("hidden", is_impossible=False), qa("old"),
        {"id": "bare", "question": "Who?"},
    ))  # fmt: skip
    rows = read("squad", path)
    assert [r["answers"] for r in rows] == [[], [{"text": "Ann", "start": 0}], None, [], None]
    assert [r["impossible"] for r in rows] == [True, False, False, False, False]


def test_squad_keeps_further_keys(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(squad(qa("edit", ("Ann", 0), original_id="first")))
    (row,) = read("squad", path, keep=["original_id"])
    assert row["original_id"] == "first"


# Other layouts


def test_quac_tells_what_was_said_before(tmp_path):
    def turn(id, question, text, start):
        answer = {"text": text, "answer_start": start}
        return {"id": id, "question": question, "answers": [answer], "orig_answer": answer,
                "yesno": "x", "followup": "n"}  # fmt: skip

    turns = [turn("0", "Who?", "Ann", 0), turn("1", "Why?", "CANNOTANSWER", 13),
             turn("2", "Whom?", "Bob", 8), turn("3", "And?", "Ann", 0)]  # fmt: skip
    context = "Ann met Bob. CANNOTANSWER"
    path = tmp_path / "a.json"
    path.write_text(squad(*turns, context=context))
    rows = read("quac", path)
    assert {r["context"] for r in rows} == {"Ann met Bob."}
    assert [r["history"] for r in rows] == [
        "", "Who? Ann\n", "Who? Ann\nWhy? unanswerable\n", "Why? unanswerable\nWhom? Bob\n",
    ]  # fmt: skip
    assert [r["answers"] for r in rows][:2] == [[{"text": "Ann", "start": 0}], []]
    assert {r["history"] for r in read("quac", path, turns=0)} == {""}


def test_drop_writes_numbers_spans_and_dates(tmp_path):
    def pair(**answer):
        return {"question": "?", "query_id": "q", "answer": answer}

    pairs = [
        pair(number="3", spans=[], date={}), pair(number="", spans=["Ann", "Bob"]),
        pair(number="", spans=[], date={"day": "5", "month": "May", "year": ""}),
        {**pair(number="3"), "validated_answers": [{"number": "4"}, {"number": "3"}]},
    ]  # fmt: skip
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"p": {"passage": " A text. ", "qa_pairs": pairs}}))
    rows = read("drop", path)
    assert [(r["kind"], r["answers"]) for r in rows] == [
        ("number", ["3"]), ("spans", ["Ann, Bob"]), ("date", ["5 May"]), ("number", ["3", "4"]),
    ]  # fmt: skip
    assert {r["passage"] for r in rows} == {"A text."}


def test_fewrel_gives_the_first_mention(tmp_path):
    record = {"tokens": ["New", "York", "is", "in", "New", "York"],
              "h": ["new york", "Q1", [[0, 1], [4, 5]]], "t": ["york", "Q2", [[5]]]}  # fmt: skip
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"P1": [record], "P2": [record]}))
    one, two = read("fewrel", path)
    assert (one["label"], two["label"], one["mentions"]) == ("P1", "P2", 3)
    assert one["head"] == {"start": 0, "end": 8} and one["tail"] == {"start": 19, "end": 23}
    assert one["text"] == "New York is in New York" and one["tail_id"] == "Q2"


def test_subjqa_takes_the_mark_out_of_the_review():
    row = {"question": "Good?", "review": "It 's not. It isn't. ANSWERNOTFOUND"}
    none = answered({**row, "human_ans_spans": "ANSWERNOTFOUND", "human_ans_indices": "(21, 35)"})
    assert none == {"question": "Good?", "passage": "It 's not. It isn't.", "answers": []}
    some = answered({**row, "human_ans_spans": "It is n't", "human_ans_indices": "(11, 19)"})
    assert place(some["passage"], some["answers"][0], Counter()) == Span(11, 19)
    with pytest.raises(RowError, match="without a place"):
        answered({**row, "human_ans_spans": "It", "human_ans_indices": ""})


def test_own_words_for_a_type_that_is_none_are_refused(tmp_path):
    raw = {"type": "TokenClassification", "cluster": "c", "source": {"path": str(tmp_path)},
           "format": "conll", "splits": {"test": "a"}, "types": {"PER": "person"}}  # fmt: skip
    for key in ("questions", "hypotheses"):
        with pytest.raises(UnknownName, match="PRE") as caught:
            declare.build("t", {**raw, "prompts": {key: {"PRE": "Who?"}}}, tmp_path / "t.yaml")
        assert caught.value.where["field"] == f"prompts.{key}"
        declare.build("t", {**raw, "prompts": {key: {"PER": "Who?"}}}, tmp_path / "t.yaml")
