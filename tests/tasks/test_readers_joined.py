"""Readers of documents and blocks, and those over other readers, on small files made here."""

import json

import pytest

from formats.errors import DataError, DeclarationError, UnknownName
from tasks.readers import READERS
from tasks.readers._patterns import with_patterns
from tasks.readers.joined import by_hash
from tasks.readers.oracle import greedy


def read(format, path, **options):
    return list(READERS[format](path, **options))


@pytest.fixture
def put(tmp_path):
    def write(text, name="file"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return write


COPA = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE copa-corpus SYSTEM "copa.dtd">
<copa-corpus version="1.0">
  <item id="7" asks-for="cause"><p>It &lt;rained&gt;. </p><a1> Clouds <b>came</b>.</a1></item>
  <item id="8"><a>x</a><a>y</a><a>z</a></item>
</copa-corpus>"""


def test_xml_elements_give_attributes_and_texts(put):
    assert read("xml", put(COPA), element="item") == [
        {"id": "7", "asks-for": "cause", "p": "It <rained>.", "a1": "Clouds came."},
        {"id": "8", "a": ["x", "y", "z"]},
    ]


def test_broken_xml_names_the_file(put, tmp_path):
    with pytest.raises(DataError, match=r"torn\.xml"):
        read("xml", put(COPA[:-20], "torn.xml"), element="item")
    with pytest.raises(DataError, match="unreadable"):
        read("xml", tmp_path / "none.xml", element="item")


def block(answer, *options):
    return f"\n{answer}\nSome text.\nWhat follows?\n" + "".join(f"{o}\n" for o in options)


def options(put, *lines):
    (row,) = read("logiqa", put(block("b", *lines)))
    return row["options"]


def test_logiqa_blocks_of_eight_lines(put):
    first = block("a", "A.one", "B.two", "C.three", "D.four")
    text = first + block("d", "A.1", "B.2", "C.3", "D.4") + "\n"
    assert read("logiqa", put(text)) == [
        {"answer": "a", "context": "Some text.", "question": "What follows?",
         "options": ["one", "two", "three", "four"], "order": "ABCD"},
        {"answer": "d", "context": "Some text.", "question": "What follows?",
         "options": ["1", "2", "3", "4"], "order": "ABCD"},
    ]  # fmt: skip


def test_logiqa_options_stand_in_the_order_of_their_letters(put):
    assert options(put, "A.one", "C.three", "B.two", "D.four") == ["one", "two", "three", "four"]


def test_logiqa_letters_that_were_mangled(put):
    assert options(put, "A one", "B? two", "C.three", "D.four") == ["one", "two", "three", "four"]
    # Lines without a letter take the ones that are left, and keep their whole text.
    assert options(put, "A.one", "House B.3", "C.three", "Dfour") == [
        "one", "House B.3", "three", "Dfour",
    ]  # fmt: skip
    # A letter that is claimed twice says nothing.
    assert options(put, "A.one", "A.two", "C.three", "D.four") == ["one", "two", "three", "four"]


@pytest.mark.parametrize(
    "text", ["\ne\nc\nq\nA\nB\nC\nD\n", "a\nc\nq\nA\nB\nC\nD\nE\n", "\na\nc\nq\nA.1\n"]
)
def test_a_block_of_another_layout(put, text):
    with pytest.raises(DataError, match="another layout"):
        read("logiqa", put(text))


def test_contrast_sets(put):
    item = {
        "title": "T", "paragraph": "p", "question": "q", "answer": "TRUE",
        "perturbed_questions": [{"perturbed_q": "r", "answer": "FALSE"},
                                {"perturbed_q": "", "answer": ""}],
    }  # fmt: skip
    path = put(json.dumps({"data": [{"title": "placeholder"}, item]}))
    rows = read("boolq_contrast", path, skip=1)
    assert [(r["question"], r["answer"], r["perturbed"]) for r in rows] == [
        ("q", "TRUE", False), ("r", "FALSE", True), ("", "", True),
    ]  # fmt: skip
    assert {(r["title"], r["passage"]) for r in rows} == {("T", "p")}
    with pytest.raises(DataError, match="contrast sets"):
        read("boolq_contrast", path)


def test_grouped_rows_keep_every_row_and_the_order_of_the_file(put):
    path = put("mr,ref,n\na,1,x\nb,2,y\na,3,z\na,1,x\n")
    assert read("grouped", path, reader="csv", by="mr") == [
        {"mr": "a", "ref": ["1", "3", "1"], "n": ["x", "z", "x"]},
        {"mr": "b", "ref": ["2"], "n": ["y"]},
    ]
    assert [r["mr"] for r in read("grouped", path, reader="csv", by=["mr", "ref"])] == [
        "a", "b", "a",
    ]  # fmt: skip
    with pytest.raises(UnknownName, match="column"):
        read("grouped", path, reader="csv", by="mrs")
    with pytest.raises(UnknownName, match="reader"):
        read("grouped", path, reader="cvs", by="mr")


def test_matching_lists_the_own_text_among_others(put):
    path = put("".join(f"{i}\tt{i % 6}\n" for i in range(8)))
    rows = read("matching", path, reader="tsv", columns=["n", "text"], column="text")
    for i, row in enumerate(rows):
        assert row["answer"] == f"t{i % 6}" and row["n"] == str(i)
        assert len(set(row["options"])) == 4 and row["answer"] in row["options"]
        assert row["options"] == by_hash(row["options"])
    # Rows 2, 4 and 6 of eight; row 6 repeats t0, so the next row's text stands for it.
    assert set(rows[0]["options"]) == {"t0", "t2", "t4", "t1"}
    assert len({row["options"].index(row["answer"]) for row in rows}) > 1


def test_matching_in_a_file_with_too_few_texts(put):
    rows = read("matching", put("a\nb\na\n"), reader="text", column="text")
    assert [set(row["options"]) for row in rows] == [{"a", "b"}] * 3


def test_the_greedy_oracle_adds_what_raises_rouge(put):
    lines = ["Hello there.", "the cat sat on the mat", "a dog barked at night", "the cat sat"]
    assert greedy(lines, ["the cat sat on the mat while a dog barked"], 3) == [1, 2]
    assert greedy(lines, ["the cat sat on the mat while a dog barked"], 1) == [1]
    assert greedy(lines, ["zebra"], 3) == []
    # Every summary counts.
    assert greedy(lines, ["the cat sat", "a dog barked at night"], 2) == [2, 3]


def test_extractive_rows_point_at_whole_lines(put):
    row = {"dialogue": "A: hi\nB: rain fell all day\nA: bye", "summary1": "rain fell all day"}
    (found,) = read(
        "extractive", put(json.dumps(row)), reader="jsonl", passage="dialogue",
        summaries="summary", question="Which?",
    )  # fmt: skip
    assert found == {
        "passage": row["dialogue"],
        "question": "Which?",
        "answers": [{"text": "B: rain fell all day", "start": 6}],
    }
    with pytest.raises(DeclarationError, match="summary"):
        read("extractive", put('{"dialogue": "x"}'), reader="jsonl", passage="dialogue",
             summaries="summary", question="Which?")  # fmt: skip


def test_patterns_make_columns_of_their_groups():
    rows = [{"a": "x=1\ny", "b": 2}, {"a": "other", "b": 3}, {"a": None, "b": 4}]
    assert list(with_patterns(rows, {"a": "x=(?P<n>.)(?P<rest>.*)"})) == [
        {"a": "x=1\ny", "b": 2, "n": "1", "rest": "\ny"},
        {"a": "other", "b": 3, "n": None, "rest": None},
        {"a": None, "b": 4, "n": None, "rest": None},
    ]
    for pattern in ("(", "no group"):
        with pytest.raises(DeclarationError):
            list(with_patterns(rows, {"a": pattern}))
