"""Readers over small files written here: layouts, encodings, and errors that name the place."""

import gzip
import json

import pytest

from formats.errors import DataError
from tasks.readers import READERS
from tasks.readers.tags import tags_to_spans
from tasks.sources import Files


def read(format, path, **options):
    return list(READERS[format](path, **options))


@pytest.fixture
def put(tmp_path):
    def write(data, name="file"):
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    return write


def test_csv_with_header_bom_crlf_and_line_breaks_in_cells(put):
    path = put(b'\xef\xbb\xbftext,label\r\n"a ""b""\nc",NA\r\nnull,\r\n')
    assert read("csv", path) == [
        {"text": 'a "b"\nc', "label": "NA"}, {"text": "null", "label": ""},
    ]  # fmt: skip


def test_headerless_csv_and_tsv_whose_quotes_are_signs(put):
    assert read("csv", put("3,x\n"), columns=["label", "text"]) == [{"label": "3", "text": "x"}]
    assert read("tsv", put('a\t"b\n'), columns=["x", "y"]) == [{"x": "a", "y": '"b'}]


def test_only_newlines_end_a_line(put):
    path = put("1 a\u2028b\x0cc\u0085d\r\n\n0 e\n")
    rows = read("text", path, pattern=r"(?P<label>\d) (?P<text>.*)")
    assert rows == [{"label": "1", "text": "a\u2028b\x0cc\u0085d"}, {"label": "0", "text": "e"}]


def test_encodings(put):
    path = put("1 caf\xe9\n".encode("latin-1"))
    assert read("text", path, encoding="latin-1") == [{"text": "1 café"}]
    with pytest.raises(DataError, match="not utf-8"):
        read("text", path)


def test_parallel_files_and_gzip(put):
    en = put(gzip.compress(b"a\nb\n"), "x.en.gz")
    de = put("c\nd\n", "x.de")
    rows = list(READERS["parallel"]({"source": en, "targets": de}))
    assert rows == [{"source": "a", "targets": "c"}, {"source": "b", "targets": "d"}]
    with pytest.raises(DataError, match="different lengths"):
        list(READERS["parallel"]({"source": en, "targets": put("c\n", "short")}))


def test_json_records_and_columns(put):
    path = put(json.dumps({"train": [["hi", "greet"]]}))
    assert read("json", path, records="train", columns=["text", "label"]) == [
        {"text": "hi", "label": "greet"}
    ]
    with pytest.raises(DataError, match="no 'test'"):
        read("json", path, records="test")


def test_iob1_and_iob2():
    assert tags_to_spans(["I-A", "I-A", "B-A", "O", "I-B", "I-A"]) == [
        (0, 2, "A"), (2, 3, "A"), (4, 5, "B"), (5, 6, "A"),
    ]  # fmt: skip
    assert tags_to_spans(["B-A", "I-A", "O", "B-A", "B-A"]) == [
        (0, 2, "A"), (3, 4, "A"), (4, 5, "A"),
    ]  # fmt: skip


def test_conll(put):
    path = put("-DOCSTART- -X- O\n\nNew N I-LOC\nYork N I-LOC\nis V O\n\n\nBig A O\n")
    first, second = read("conll", path)
    assert first == {
        "text": "New York is",
        "spans": [{"start": 0, "end": 8, "type": "LOC"}],
        "tokens": [[0, 3], [4, 8], [9, 11]],
    }
    assert second["text"] == "Big" and second["spans"] == []


def test_semeval_relations(put):
    path = put('1\t"The <e1>cup</e1> holds <e2>tea</e2>."\r\nA-B(e2,e1)\r\nComment:\r\n\r\n')
    (row,) = read("semeval_relations", path)
    assert row["text"] == "The cup holds tea." and row["label"] == "A-B(e2,e1)"
    assert row["text"][row["head"]["start"] : row["head"]["end"]] == "cup"
    assert row["text"][row["tail"]["start"] : row["tail"]["end"]] == "tea"


def test_squad(put):
    answer = {"text": "b", "answer_start": 2}
    qa = {"id": 5, "question": "q", "answers": [answer]}
    doc = {"data": [{"title": "T", "paragraphs": [{"context": "a b", "qas": [qa]}]}]}
    (row,) = read("squad", put(json.dumps(doc)))
    assert row["answers"] == [{"text": "b", "start": 2}] and row["id"] == "5"


@pytest.mark.parametrize(
    ("format", "data", "options"),
    [
        ("csv", "a,b\n1\n", {}),
        ("jsonl", '{"a": 1}\n{"a": \n', {}),
        ("jsonl", "[1, 2]\n", {}),
        ("json", '{"a": ', {}),
        ("squad", '{"data": [{}]}', {}),
        ("conll", "word\n", {}),
        ("conll", "word NN X-PER\n", {}),
        ("semeval_relations", "no block\n\n", {}),
        ("semeval_relations", '1\t"<e1>x</e1>"\nOther\n\n', {}),
        ("text", "zzz\n", {"pattern": r"(?P<label>\d).*"}),
    ],
)
def test_broken_files_name_the_file(put, format, data, options):
    path = put(data)
    with pytest.raises(DataError, match=str(path.name)) as caught:
        read(format, path, **options)
    assert caught.value.expected


def test_a_missing_or_torn_file(tmp_path, put):
    with pytest.raises(DataError, match="missing"):
        read("text", tmp_path / "none")
    with pytest.raises(DataError, match="unreadable"):
        read("text", put(gzip.compress(b"a\nb\n" * 100)[:-9], "torn.gz"))


@pytest.mark.parametrize(
    ("early", "late"),
    [([], [{"start": 1}]), (1, 2.5), (None, "a"), ([], ["a"]), (None, [1])],
)
def test_a_column_may_show_its_type_late(
    tmp_path, monkeypatch, early, late
):
    monkeypatch.setenv("UNIFY_CACHE", str(tmp_path / "cache"))
    rows = [{"id": i, "value": early} for i in range(1500)] + [{"id": 1500, "value": late}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    data = Files(str(tmp_path), False, {"train": "rows.jsonl"}, "jsonl").load("train")
    assert len(data) == 1501 and data[1500]["value"] == late and data[0]["value"] == early
