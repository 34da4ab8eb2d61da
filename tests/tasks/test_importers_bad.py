"""Importers over broken files: one message each, and the other files go on."""

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.errors import ConfigError
from tasks.importers import Bad, Found, Nothing, files_of, survey, write


@pytest.fixture
def put(tmp_path, monkeypatch):
    monkeypatch.delenv("UNIFY_DATA", raising=False)

    def write_file(name, content):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        return path

    return write_file


def results(place):
    return [r for _, found in survey(files_of(place)) for r in found]


def natural(outputs):
    return {
        "Definition": ["Name the fish."],
        "Instances": [{"input": f"fish {i}", "output": o} for i, o in enumerate(outputs)],
    }


def line(i):
    return json.dumps({"task": "boats", "input": f"boat {i}", "output": f"o{i}"}) + "\n"


def test_bad_files_do_not_stop_the_others(put):
    put("a_cut.json", json.dumps(natural(["x"] * 10))[:-40])
    put("b_no_definition.json", {**natural(["x"] * 10), "Definition": []})
    put("c_no_instances.json", natural([]))
    put("d_wrong_type.json", {**natural(["x"]), "Instances": ["text"]})
    put("e_empty.jsonl", "")
    put("f_not_json.jsonl", "{'prompt': 1}\n")
    put("g_second_line.jsonl", '{"prompt": "p", "completion": "c"}\n{"prompt": \n')
    put("h_no_rows.json", natural([[]] * 3))
    put("i_other.json", {"anything": 1})
    put("j_lists.json", {"train": ["x", "y"], "test": ["z"]})
    place = put("k_good.json", natural([f"x{i}" for i in range(10)]))
    found = results(place.parent)
    assert [r.name for r in found if isinstance(r, Found)] == ["ni_k_good"]
    bad = {r.file.name[0]: r.problem for r in found if isinstance(r, Bad)}
    assert set(bad) == set("abcdefgh")
    assert bad["a"].startswith("not JSON") and bad["b"] == "no Definition"
    assert bad["c"] == "Instances that hold nothing (got 'list')"
    assert bad["d"] == "a record that is no object (row 0, got 'text')"
    assert bad["e"] == "an empty file" and bad["f"].startswith("not JSON")
    assert bad["g"].startswith("not JSON") and "row 2" in bad["g"]
    assert bad["h"].startswith("no usable row in split test: ")
    unknown = [r for r in found if isinstance(r, Nothing)]
    assert [r.file.name for r in unknown] == ["i_other.json", "j_lists.json"]
    assert unknown[1].what == "names of tasks (train 2, test 1), no rows"


def test_one_bad_file_of_a_unit_leaves_the_rest(put):
    put("boats_4_1_dev.jsonl", '{"task": "b", "input": "i", "output": "o"}\n{"task"\n')
    place = put("boats_4_1_train.jsonl", line(0) + line(1) + line(2))
    bad, found = results(place.parent)
    assert bad.file.name == "boats_4_1_dev.jsonl" and dict(found.rows) == {"train": 3}


def test_nothing_to_import(tmp_path):
    with pytest.raises(ConfigError, match="nothing to import"):
        files_of(tmp_path)


def test_text_that_no_file_can_hold(put):
    (bad,) = results(
        put("t.json", {**natural(["x"] * 10), "Categories": ["ok"], "Definition": ["\ud800"]})
    )
    assert "lone surrogate" in bad.problem


def test_a_folder_to_write_to_that_is_a_file(put):
    from unify.commands.import_ import importing

    place = put("t.json", natural([f"x{i}" for i in range(10)]))
    with pytest.raises(ConfigError, match="no folder"):
        importing(place, place, 5)


_TEXTS = st.one_of(st.text(max_size=4), st.sampled_from(["a", "b", "\ud800", "{{ x }}", "-"]))
_ANY = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.floats(), _TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(_TEXTS, inner, max_size=3)
    ),
    max_leaves=6,
)
_KEYS = (
    "Definition", "Instances", "Positive Examples", "Examples", "Categories", "Source", "input",
    "output", "options", "task", "prompt", "completion", "metadata", "num_examples", "examples",
    "target", "target_scores", "name", "description", "instruction", "instances", "items", "cause",
    "effect", "concept", "keywords", "Input_language", "1",
)  # fmt: skip
_RECORD = st.dictionaries(st.sampled_from(_KEYS), _ANY, max_size=4)
_SOUND = (
    ("json", "Instances", {"Definition": "d", "Instances": []}, {"input": "i", "output": "o"}),
    ("json", "examples", {"examples": []}, {"input": "i", "target_scores": {"a": 1, "b": 0}}),
    ("json", "examples", {"examples": [], "name": "n"}, {"input": "i", "target": "t"}),
    ("jsonl", "", {"task": "t", "input": "i", "output": "a", "options": ["a", "b"]}, {}),
    ("jsonl", "", {"prompt": "p", "completion": "c"}, {}),
    ("jsonl", "instances", {"instruction": "i", "instances": []}, {"input": "", "output": "o"}),
    ("json", "1", {"metadata": {"num_examples": 1}, "examples": {}}, {"input": "i", "output": "o"}),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(_SOUND), _RECORD, _RECORD)
def test_no_document_stops_an_import(tmp_path_factory, sound, over, over_record):
    """A sound document with anything under its keys: a task that can be written, or a problem."""
    suffix, key, document, record = sound
    document = {**document, **over}
    records = [{**record, **over_record}, record]
    if key == "1":
        document = {**document, "examples": dict(enumerate(records)), **over}
    elif key:
        document = {**document, key: records, **over}
    folder = tmp_path_factory.mktemp("any")
    (folder / f"any.{suffix}").write_text(json.dumps(document) + "\n")
    for result in results(folder):
        assert isinstance(result, (Found, Bad, Nothing))
        if isinstance(result, Found):
            assert write(result, folder / "out")
            assert yaml.safe_load((folder / "out" / f"{result.name}.yaml").read_text("utf-8"))
        else:
            assert "\n" not in str(result)
