"""Shards: rows of many files are those of one file, without a copy, here and elsewhere."""

from __future__ import annotations

import gzip
import json
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from formats.errors import DataError, DeclarationError, UnknownName
from tasks import catalogue, shards
from tasks.shards import Shards

TASK = """
type: TextClassification
cluster: mood
source: {source}
format: {format}
splits: {{train: {train}}}
labels: {{0: sad, 1: glad}}
fields: {{text: text, text_b: beside, label: label}}
"""


def rows(count):
    """Rows whose second column has no value for a long while."""
    return [
        {"text": f"row number {i}", "label": i % 2, "beside": "late" if i >= 1500 else None}
        for i in range(count)
    ]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIFY_TASKS", str(tmp_path / "tasks"))
    monkeypatch.setenv("UNIFY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "tasks").mkdir()
    (tmp_path / "data").mkdir()
    return tmp_path


def declare(place, name, train, source="{path: ../data}", format="jsonl"):
    text = TASK.format(source=source, format=format, train=train)
    (place / "tasks" / f"{name}.yaml").write_text(text)
    return catalogue.load(name)


def jsonl(path, some):
    text = "".join(json.dumps(row) + "\n" for row in some)
    with gzip.open(path, "wt") if path.suffix == ".gz" else path.open("w") as file:
        file.write(text)


def parquet(path, some):
    import pyarrow as pa
    from pyarrow.parquet import write_table

    schema = pa.schema({"text": pa.string(), "label": pa.int64(), "beside": pa.string()})
    write_table(pa.Table.from_pylist(some, schema=schema), path)


def cut(place, write, ending, count=2600, parts=12):
    """``count`` rows as one file and as shards named 0 to 11; the sizes differ."""
    given, ends = rows(count), [count * k * k // parts**2 for k in range(parts + 1)]
    write(place / "data" / f"whole{ending}", given)
    for k in range(parts):
        write(place / "data" / f"part-{k}{ending}", given[ends[k] : ends[k + 1]])


def same(a, b):
    return [(e.id.rpartition("/")[2], e.text, e.text_b, e.gold) for e in a] == [
        (e.id.rpartition("/")[2], e.text, e.text_b, e.gold) for e in b
    ]


@pytest.mark.parametrize(
    ("write", "ending", "format"),
    [(jsonl, ".jsonl", "jsonl"), (jsonl, ".jsonl.gz", "jsonl"), (parquet, ".parquet", "parquet")],
)
def test_rows_of_shards_are_those_of_one_file(place, write, ending, format):
    cut(place, write, ending)
    one = declare(place, "one", f"whole{ending}", format=format)
    many = declare(place, "many", f'"part-*{ending}"', format=format)
    assert isinstance(many.source, Shards) and not isinstance(one.source, Shards)
    found = list(many.examples("train"))
    assert not (place / "cache" / "arrow").exists()  # nothing was copied
    assert len(found) == 2600 and found[1999].text == "row number 1999"
    assert found[1499].text_b is None and found[1500].text_b == "late"
    assert same(found, one.examples("train"))
    assert same(many.examples("train", limit=7), one.examples("train", limit=7))
    assert list(many.examples("train", limit=0)) == []
    assert same(many.examples("train", start=1498, limit=5), found[1498:1503])
    assert many.count("train") == 2600  # by number: now there is a copy


def test_a_list_is_read_in_its_own_order(place):
    cut(place, jsonl, ".jsonl", count=30, parts=3)
    task = declare(place, "some", "[part-2.jsonl, part-0.jsonl]")
    assert [e.text for e in task.examples("train", limit=2)] == ["row number 13", "row number 14"]
    assert task.count("train") == 20 and next(task.examples("train")).id == "some/train/0"


def test_few_rows_are_in_memory(place, monkeypatch):
    for k in range(4):
        given = [{"text": f"row {i}", "label": 0, "beside": "b"} for i in range(900)]
        jsonl(place / "data" / f"part-{k}.jsonl", given)
    pulled = []
    real = Shards._rows

    def counted(self, split):
        for row in real(self, split):
            pulled.append(row["text"])
            yield row

    monkeypatch.setattr(Shards, "_rows", counted)
    examples = declare(place, "many", '"part-*.jsonl"').examples("train")
    next(examples)
    assert len(pulled) == 1000
    for _ in range(1000):
        next(examples)
    assert len(pulled) == 2000


def test_fingerprints_follow_the_shards(place):
    cut(place, jsonl, ".jsonl", count=40, parts=4)
    task = declare(place, "many", '"part-*.jsonl"')
    before = task.fingerprint()
    assert catalogue.load("many").fingerprint() == before
    jsonl(place / "data" / "part-4.jsonl", rows(3))
    assert catalogue.load("many").fingerprint() != before
    assert len(list(catalogue.load("many").examples("train"))) == 43


def test_errors_name_the_shard(place):
    cut(place, jsonl, ".jsonl", count=40, parts=4)
    with pytest.raises(DataError, match="no shards"):
        next(declare(place, "none", '"else-*.jsonl"').examples("train"))
    with pytest.raises(DataError, match=r"(?s)a missing shard.*part-9\.jsonl"):
        next(declare(place, "gone", "[part-1.jsonl, part-9.jsonl]").examples("train"))
    (place / "data" / "part-3.jsonl").write_text("{broken\n")
    with pytest.raises(DataError, match=r"part-3\.jsonl"):
        list(declare(place, "torn", '"part-*.jsonl"').examples("train"))
    for k in range(4):
        (place / "data" / f"part-{k}.jsonl").write_text("")
    with pytest.raises(DataError, match="no rows"):
        next(declare(place, "empty", '"part-*.jsonl"').examples("train"))
    with pytest.raises(UnknownName, match="split"):
        next(declare(place, "empty", '"part-*.jsonl"').examples("test"))
    with pytest.raises(DeclarationError, match="shards of parallel files"):
        declare(place, "pairs", "{text: a, label: b}", "{url: 'file:///x'}")


def test_a_type_that_changes_late_is_refused(place):
    given = [{"text": f"row {i}", "label": 1 if i < 1000 else 0.5, "beside": ""}
             for i in range(1100)]  # fmt: skip
    jsonl(place / "data" / "part-0.jsonl", given)
    with pytest.raises(DataError, match=r"(?s)a column that changes its type.*label"):
        list(declare(place, "many", '"part-*.jsonl"').examples("train"))


ASKED = []  # of the server


class Handler(SimpleHTTPRequestHandler):
    def do_GET(self):
        ASKED.append(self.path)
        super().do_GET()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(place):
    ASKED.clear()
    made = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=place / "data"))
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()


def test_shards_of_a_server_are_fetched_once_or_never_kept(place, server):
    cut(place, jsonl, ".jsonl.gz", count=60, parts=3)
    names = "[part-0.jsonl.gz, part-1.jsonl.gz, part-2.jsonl.gz]"
    whole = declare(place, "whole", "whole.jsonl.gz")
    kept = declare(place, "kept", names, f"{{url: '{server}'}}")
    for _ in range(2):
        assert same(kept.examples("train"), whole.examples("train"))
    assert [f"/part-{k}.jsonl.gz" for k in range(3)] == ASKED
    assert len(list((place / "cache" / "shards").rglob("part-*"))) == 3
    before = kept.fingerprint()
    assert before == catalogue.load("kept").fingerprint()
    jsonl(place / "data" / "part-2.jsonl.gz", rows(9))
    assert catalogue.load("kept").fingerprint() != before
    shutil.rmtree(place / "cache")
    passing = declare(place, "passing", names, f"{{url: '{server}', keep: false}}")
    assert len(list(passing.examples("train"))) == 26 + 9
    assert not (place / "cache").exists()


def test_a_pinned_revision_needs_no_server_again(place, server, monkeypatch):
    monkeypatch.setattr(shards, "_TRIES", 1)
    cut(place, jsonl, ".jsonl", count=20, parts=2)
    source = f"{{url: '{server}', revision: v1}}"
    task = declare(place, "pinned", "[part-0.jsonl, part-1.jsonl]", source)
    found, mark = list(task.examples("train")), task.fingerprint()
    shutil.rmtree(place / "data")
    again = catalogue.load("pinned")
    assert same(again.examples("train"), found) and again.fingerprint() == mark
    with pytest.raises(DataError, match=r"(?s)a shard that cannot be had.*part-2\.jsonl"):
        list(declare(place, "gone", "[part-2.jsonl]", source).examples("train"))


def test_patterns_at_an_address(place):
    import fsspec

    memory = fsspec.filesystem("memory")
    for k in (0, 2, 10):
        memory.pipe(f"/moods/part-{k}.jsonl", b'{"text": "%d", "label": 1, "beside": ""}\n' % k)
    try:
        task = declare(place, "far", '"part-*.jsonl"', "{url: 'memory://moods'}")
        assert [e.text for e in task.examples("train")] == ["0", "2", "10"]
    finally:
        memory.rm("/moods", recursive=True)
    with pytest.raises(DataError, match="an address that cannot be opened"):
        next(declare(place, "odd", "[a.jsonl]", "{url: 'odd://x'}").examples("train"))
