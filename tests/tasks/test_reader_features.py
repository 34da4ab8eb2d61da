"""Readers' less usual features over small files written here: archives, nesting, namings."""

import gzip
import io
import json
import zipfile

import pytest

from formats.errors import DataError, DeclarationError, UnknownName
from tasks import catalogue
from tasks.fields import getter
from tasks.readers import READERS
from tasks.readers._open import on_disk
from tasks.task import Skipped


def read(format, path, **options):
    return list(READERS[format](path, **options))


@pytest.fixture
def put(tmp_path):
    def write(data, name="file"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    return write


def zipped(**members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as files:
        for name, data in members.items():
            files.writestr(name.replace("__", "/"), data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("format", "data", "options", "row"),
    [
        ("csv", "text,label\nhi,1\n", {}, {"text": "hi", "label": "1"}),
        ("tsv", "hi\t1\n", {"columns": ["text", "label"]}, {"text": "hi", "label": "1"}),
        ("text", "hi\n", {}, {"text": "hi"}),
        ("json", '[{"text": "hi"}]', {}, {"text": "hi"}),
        ("jsonl", '{"text": "hi"}\r\n', {}, {"text": "hi"}),
    ],
)
def test_every_reader_reads_plain_gzip_and_zip(put, format, data, options, row):
    archive = put(zipped(**{"in__side": data, "b.gz": gzip.compress(data.encode())}), "a.zip")
    assert read(format, put(data), **options) == [row]
    assert read(format, put(gzip.compress(data.encode()), "f.gz"), **options) == [row]
    assert read(format, archive / "in" / "side", **options) == [row]
    assert read(format, archive / "b.gz", **options) == [row]


def test_a_path_into_an_archive(put, tmp_path):
    archive = put(zipped(one="1\n"), "a.zip")
    assert on_disk(archive / "one") == archive and on_disk(archive) == archive
    assert on_disk(tmp_path / "none" / "one") == tmp_path / "none" / "one"
    with pytest.raises(DataError, match=r"no 'two' in the archive[\s\S]*got: +one"):
        read("text", archive / "two")
    torn = put(zipped(one="1\n" * 999)[:-30], "torn.zip")
    with pytest.raises(DataError, match="unreadable"):
        read("text", torn / "one")


def test_tables_as_they_come(put):
    crlf = put(b'text,label\r\n"two\nlines, and a comma",a\r\n\r\nplain,b\r\n')
    assert read("csv", crlf) == [
        {"text": "two\nlines, and a comma", "label": "a"}, {"text": "plain", "label": "b"},
    ]  # fmt: skip
    unquoted = put(b'\xef\xbb\xbfid\ttext\n1\t"open\n2\tand "closed"\n')
    assert [r["text"] for r in read("tsv", unquoted)] == ['"open', 'and "closed"']
    # With csv's own quoting the first quote swallows the line break: one row instead of two.
    assert len(read("tsv", unquoted, quote='"')) == 1


def test_encodings_by_declaration(put):
    path = put(b"caf\xe9 \x96 ok\n")
    assert read("text", path, encoding="latin-1") == [{"text": "café \x96 ok"}]
    assert read("text", path, encoding="cp1252") == [{"text": "café – ok"}]
    with pytest.raises(DataError, match="no encoding 'latin1252'"):
        read("text", path, encoding="latin1252")


def test_json_lists_of_several_records(put):
    path = put(json.dumps({"in": {"a": [["x", 1]], "b": [["y", 2]]}}))
    rows = read("json", path, records=["in.a", "in.b"], columns=["text", "n"])
    assert rows == [{"text": "x", "n": 1}, {"text": "y", "n": 2}]


def test_unwind_makes_a_row_of_each_item(put):
    one = {"p": {"text": "P", "qs": [{"q": "1", "as": ["a", "b"]}, {"q": "2", "as": ["c"]}]}}
    rows = read("jsonl", put(json.dumps(one) + "\n"), unwind=["p.qs", "p.qs.as"])
    assert [(r["p"]["text"], r["p"]["qs"]["q"], r["p"]["qs"]["as"]) for r in rows] == [
        ("P", "1", "a"), ("P", "1", "b"), ("P", "2", "c"),
    ]  # fmt: skip
    assert read("json", put(json.dumps([{"xs": [1, 2]}])), unwind=["xs"]) == [{"xs": 1}, {"xs": 2}]
    with pytest.raises(DataError, match=r"no list at 'p\.text'"):
        read("jsonl", put(json.dumps(one) + "\n"), unwind=["p.text"])


def test_a_mapping_file_names_the_cells(put):
    files = {
        "text": put("so bad\nso good\n", "t"),
        "label": put("1\n0\n", "l"),
        "names": put("0\tglad\n1\tsad", "m"),
    }
    rows = list(READERS["parallel"](files, mapping={"label": "names"}))
    assert rows == [{"text": "so bad", "label": "sad"}, {"text": "so good", "label": "glad"}]
    files["label"] = put("1\n7\n", "l2")
    with pytest.raises(DataError, match=r"does not name[\s\S]*got: +7"):
        list(READERS["parallel"](files, mapping={"label": "names"}))
    files["names"] = put("0 glad\n", "m2")
    with pytest.raises(DataError, match="names nothing new"):
        list(READERS["parallel"](files, mapping={"label": "names"}))


def test_one_file_per_class(put):
    files = {"good": put("a\nb\n", "g"), "bad": put("c\n", "b")}
    rows = [(row["text"], row["label"]) for row in READERS["per_file"](files)]
    assert rows == [("a", "good"), ("b", "good"), ("c", "bad")]
    tables = {"x": put("n\n1\n", "x")}
    assert list(READERS["per_file"](tables, column="of", reader="csv")) == [{"n": "1", "of": "x"}]
    with pytest.raises(UnknownName, match="'csv'"):
        list(READERS["per_file"](tables, reader="cvs"))


def test_tokens_published_with_more_beside_them(put):
    path = put("北0\tB-LOC\n京1\tI-LOC\n好0\tO\n\n", "w")
    (row,) = read("conll", path, joiner="", bare=r"(.+)\d")
    assert row["text"] == "北京好"
    assert row["spans"] == [{"start": 0, "end": 2, "type": "LOC"}]
    with pytest.raises(DataError, match="of another form"):
        read("conll", put("x\tO\n", "v"), bare=r"(.+)\d")


def test_a_list_within_a_pattern():
    row = {"a": ["x", "y"], "b": "z", "n": {"c": [1, 2]}}
    assert getter("{b}: {a:, }", list(row))(row) == "z: x, y"
    assert getter("{n.c:、}", list(row))(row) == "1、2"
    assert getter("{b:, }", list(row))(row) == "z"


TASK = """
type: TextClassification
cluster: mood
source: {path: .}
format: {csv: {columns: [label, text]}}
splits: {train: train.csv}
labels: {0: sad, 1: glad}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIFY_TASKS", str(tmp_path))
    monkeypatch.setenv("UNIFY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "train.csv").write_text("1,so nice\n0,\n1,lovely\n0, \n", encoding="utf-8")
    return tmp_path


def test_announced_broken_rows_are_skipped_and_counted(folder):
    (folder / "mood.yaml").write_text(TASK + "broken: {train: 2}\n")
    skipped = Skipped()
    task = catalogue.load("mood")
    assert [e.text for e in task.examples("train", skipped=skipped)] == ["so nice", "lovely"]
    assert skipped.count == 2 and skipped.reasons == {"text is empty": 2}
    assert [e.id for e in task.examples("train", limit=1, start=1)] == ["mood/train/2"]


def test_one_more_broken_row_than_announced_raises(folder):
    (folder / "mood.yaml").write_text(TASK + "broken: {train: 1}\n")
    with pytest.raises(Exception, match=r"text is empty[\s\S]*row 3"):
        list(catalogue.load("mood").examples("train"))


@pytest.mark.parametrize(
    ("broken", "error"),
    [("{test: 1}", UnknownName), ("{train: -1}", DeclarationError), ("[1]", DeclarationError)],
)
def test_what_broken_may_say(folder, broken, error):
    (folder / "mood.yaml").write_text(TASK + f"broken: {broken}\n")
    with pytest.raises(error):
        catalogue.load("mood")


def test_a_task_within_an_archive_is_read_again_when_it_changes(folder):
    (folder / "mood.yaml").write_text(TASK.replace("train.csv", "a.zip/in.csv"))
    (folder / "a.zip").write_bytes(zipped(**{"in.csv": "1,one\n"}))
    before = catalogue.load("mood").fingerprint()
    assert [e.text for e in catalogue.load("mood").examples("train")] == ["one"]
    (folder / "a.zip").write_bytes(zipped(**{"in.csv": "1,another one\n"}))
    assert [e.text for e in catalogue.load("mood").examples("train")] == ["another one"]
    assert catalogue.load("mood").fingerprint() != before
