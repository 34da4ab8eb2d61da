"""Importers over small files written here: what is found, written, loaded again and refused."""

import json

import pytest
import yaml

from formats.errors import DeclarationError
from formats.examples import MultipleChoice, TextClassification, TextGeneration
from tasks import catalogue
from tasks.importers import Found, files_of, survey, taken, write
from tasks.importers._answers import closed_set
from tasks.importers.p3 import dataset_of


@pytest.fixture
def put(tmp_path, monkeypatch):
    monkeypatch.delenv("UNIFY_DATA", raising=False)
    monkeypatch.setenv("UNIFY_CACHE", str(tmp_path / "cache"))

    def write_file(name, content):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, list):
            content = "".join(json.dumps(row) + "\n" for row in content)
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        return path

    return write_file


def results(place):
    return [r for _, found in survey(files_of(place)) for r in found]


def only(place):
    (found,) = results(place)
    assert isinstance(found, Found), found
    return found


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """Writes what was found as YAML, and loads it as any other task."""

    def load(found):
        folder = tmp_path / "out"
        assert write(found, folder)
        monkeypatch.setenv("UNIFY_TASKS", str(folder))
        task = catalogue.load(found.name)
        assert {split: task.count(split) for split in task.splits()} == dict(found.rows)
        return task

    return load


def natural(outputs, **more):
    return {
        "Source": ["fishing_log"],
        "Categories": ["Fish Counting"],
        "Definition": ["Name the fish."],
        "Input_language": ["English"],
        "Positive Examples": [
            {"input": "long and thin", "output": "eel", "explanation": "eels are thin"}
        ],
        "Negative Examples": [{"input": "flat", "output": "eel", "explanation": "not flat"}],
        "Instances": [
            {"id": f"f{i}", "input": f"fish {i}", "output": o} for i, o in enumerate(outputs)
        ],
        **more,
    }


def test_natural_instructions_as_generation(put, loaded):
    outputs = [[f"answer {i}", f"also {i}"] for i in range(20)]
    found = only(put("task7_fish.json", natural(outputs)))
    assert (found.name, found.type, found.language) == (
        "ni_task7_fish", "TextGeneration", "English",
    )  # fmt: skip
    assert dict(found.rows) == {"train": 16, "test": 4} and found.dropped == {}
    task = loaded(found)
    assert task.prompt.instruction == "Name the fish."
    assert (task.cluster, task.lineage) == ("fish_counting", {"fishing_log"})
    every = {e.source: e.gold for s in task.splits() for e in task.examples(s)}
    assert every["fish 3"] == ("answer 3", "also 3") and len(every) == 20
    guide = task.guide()
    assert guide.definition == "Name the fish." and guide.negative[0].why == "not flat"
    assert task.demonstrations() == (
        TextGeneration("ni_task7_fish/guide/0", "long and thin", ("eel",), "eels are thin"),
    )


def test_natural_instructions_as_classification(put, loaded):
    found = only(put("task8.json", natural([["eel"], ["cod"]] * 10)))
    assert found.type == "TextClassification" and found.labels == ("cod", "eel")
    task = loaded(found)
    (shown,) = task.demonstrations()
    assert shown == TextClassification("ni_task8/guide/0", "long and thin", task.labels, gold="eel")


def test_a_shown_answer_outside_of_the_set_opens_it(put):
    assert only(put("task9.json", natural([["ray"], ["cod"]] * 10))).type == "TextGeneration"


def test_all_fields_of_the_first_natural_instructions(put):
    document = natural(
        ["eel"] * 20,
        Title="Fish names",
        Prompt="Which fish is it?",
        **{"Things to Avoid": "Do not list two.", "Emphasis & Caution": "-"},
    )
    document["Examples"] = {
        "Positive Examples": [{"input": "flat", "output": "ray", "reason": "it is flat"}],
        "Negative Examples": [{"input": "flat", "output": " "}],
    }
    found = only(put("subtask1.json", document))
    from tasks.guide import guide_of

    guide = guide_of(document)
    assert (guide.title, guide.prompt, guide.avoid, guide.caution) == (
        "Fish names", "Which fish is it?", "Do not list two.", "",
    )  # fmt: skip
    assert [s.output for s in guide.positive] == ["ray"] and guide.dropped == 1
    assert "1 examples of the guide lack a text" in found.notes
    assert "every row has the same answer: eel" in found.notes


def test_other_languages_are_asked_in_english(put):
    found = only(put("t.json", natural([f"a{i}" for i in range(10)], Input_language=["French"])))
    assert found.language == "French" and found.declaration["language"] == "en"
    assert "texts in French, asked in English" in found.notes


def line(i, output, options=None, **more):
    row = {"task": "boats", "input": f"boat {i}", "output": output, **more}
    return row if options is None else {**row, "options": options}


def test_metaicl_files_of_a_task_belong_together(put, loaded):
    options = ["sail", "oar"]
    for split, n in (("train", 4), ("dev", 3), ("test", 2)):
        put(f"boats/boats-kind_16_13_{split}.jsonl", [line(i, "oar", options) for i in range(n)])
    place = put("boats/boats-kind_16_21_train.jsonl", [line(0, "sail", options)] * 2).parent
    one, two = results(place)
    assert (one.name, two.name) == ("metaicl_boats_kind_16_13", "metaicl_boats_kind_16_21")
    assert dict(one.rows) == {"train": 4, "validation": 3, "test": 2} and one.labels == (
        "sail",
        "oar",
    )
    assert [e.gold for e in loaded(one).examples("test")] == ["oar", "oar"]


@pytest.mark.parametrize(
    ("rows", "type"),
    [
        ([line(0, "a"), line(1, "b", [])], "TextGeneration"),
        ([line(0, "a", ["a", "b"]), line(1, "b", ["b", "a"])], "TextClassification"),
        ([line(0, "a", ["a", "b"]), line(1, "c", ["c", "a"])], "MultipleChoice"),
        ([line(0, "a", ["a", "b"])], "MultipleChoice"),  # one row cannot tell
    ],
)
def test_options_decide_the_type(put, rows, type):
    assert only(put("boats.jsonl", rows)).type == type


def test_rows_that_do_not_hold_are_counted_and_announced(put, loaded):
    good = [line(i, "a", ["a", f"b{i}"]) for i in range(3)]
    bad = [line(3, "z", ["a", "b"]), line(4, "a", []), line(5, None, ["a", "b"])]
    found = only(put("boats_4_1_train.jsonl", good + bad))
    assert dict(found.dropped) == {"the answer names no option": 3}
    assert found.declaration["broken"] == {"train": 3}
    examples = list(loaded(found).examples("train"))
    assert [e.options for e in examples] == [("a", "b0"), ("a", "b1"), ("a", "b2")]


CANARY = "SOME CANARY GUID 123-not-a-real-one"


def test_bigbench_choice_and_its_canary(put, loaded):
    scores = [{"yes": 1, "no": 0}, {"no": 1, "maybe": 0, "yes": 0}, {"a": 1, "b": 1}]
    examples = [
        {"input": f"q{i}", "target_scores": scores[min(i, 2)], "comment": "c"} for i in range(3)
    ]
    path = put(
        "rivers/task.json",
        {"canary": CANARY, "name": "rivers", "description": "About rivers.", "examples": examples},
    )
    found = only(path)
    assert (found.name, found.type) == ("bigbench_rivers", "MultipleChoice")
    assert dict(found.dropped) == {"the answer names no option": 1}  # two options score best
    task = loaded(found)
    assert task.prompt.instruction == "About rivers."
    assert list(task.examples("test")) == [
        MultipleChoice("bigbench_rivers/test/0", "q0", ("yes", "no"), gold=0),
        MultipleChoice("bigbench_rivers/test/1", "q1", ("no", "maybe", "yes"), gold=0),
    ]
    assert CANARY not in yaml.safe_dump(dict(found.declaration))
    assert CANARY not in json.dumps([dict(row) for row in task.rows("test")])


def test_bigbench_generation(put, loaded):
    examples = [{"input": "2+2", "target": ["4", "four"]}, {"input": "1+1", "target": "2"}]
    task = loaded(only(put("sums.json", {"canary": CANARY, "examples": examples})))
    assert [e.gold for e in task.examples("test")] == [("4", "four"), ("2",)]


def test_p3_completions_lose_their_mark(put, loaded):
    rows = [
        {"prompt": f"Is {i} even? ", "completion": f"{'no' if i % 2 else 'yes'}<|endoftext|>"}
        for i in range(40)
    ]
    rows[0]["completion"] = "yes"
    found = only(put("glue_mrpc_is_even.jsonl", rows))
    assert found.type == "TextClassification" and found.labels == ("no", "yes")
    assert found.notes == ("1 completions do not end in <|endoftext|>",)
    task = loaded(found)
    assert (task.cluster, task.lineage) == ("paraphrase", {"mrpc"})  # the catalogue's own
    (variant,) = task.prompt.variants["generate"][:1]
    assert variant.parts["source"].source == "{{ text }}"
    assert {e.gold for e in task.examples("train")} == {"yes", "no"}


def test_p3_names_say_the_dataset():
    assert dataset_of("super_glue_rte_does_it_follow") == "super_glue_rte"
    assert dataset_of("squad_v2_jeopardy") == "squad_v2"
    assert dataset_of("my_own_prompts") == "my_own_prompts"


def test_induction_pairs_and_alternatives(put, loaded):
    pairs = {str(i): {"cause": f"rain {i}", "effect": f"wet {i}"} for i in range(1, 9)}
    put("induce/why.json", {"metadata": {"num_examples": 8}, "examples": pairs})
    words = {"1": {"input": "hut", "output": "Huette", "possible_translations": ["Huette", "Kate"]}}
    put("execute/why.json", {"metadata": {"num_examples": 8}, "examples": pairs})
    place = put("execute/de.json", {"metadata": {"num_examples": 1}, "examples": words})
    de, why = results(place.parents[1])
    assert (de.name, why.name) == ("induction_de", "induction_why")
    assert dict(why.rows) == {"train": 8, "test": 8}
    rows = list(loaded(why).examples("train"))
    assert all(e.gold == (f"rain {i}",) for i, e in enumerate(rows, 1))
    assert {e.source.startswith("Sentence 1: rain") for e in rows} == {True, False}
    assert [e.gold for e in loaded(de).examples("test")] == [("Huette", "Kate")]


def test_self_instruct_is_one_task(put, loaded):
    rows = [
        {"id": "a", "name": "n", "instruction": "Greet.", "is_classification": False,
         "instances": [{"input": "", "output": "hello"}]},
        {"id": "b", "name": "m", "instruction": "Add.", "is_classification": False,
         "instances": [{"input": "1 2", "output": "3"}, {"input": "2 2", "output": "4"}]},
    ]  # fmt: skip
    task = loaded(only(put("seed_tasks.jsonl", rows)))
    assert [(e.source, e.gold) for e in task.examples("test")] == [
        ("Greet.", ("hello",)), ("Add.\n1 2", ("3",)), ("Add.\n2 2", ("4",)),
    ]  # fmt: skip


def test_the_rule_of_closed_answers():
    assert closed_set(["a", "b"] * 10) == ("a", "b")
    assert closed_set(["a", "b"] * 9) == ()  # nine rows per answer
    assert closed_set(["a"] * 30) == ()  # one answer is no choice
    assert closed_set(["a", "b"] * 15 + ["c"]) == ()  # once is no label
    assert closed_set(["a", "b" * 61] * 10) == ()
    assert closed_set(["a", "b\nc"] * 10) == ()
    assert closed_set(["a", "b"] * 10, shown=["c"]) == ()
    assert closed_set([str(i % 50) for i in range(500)]) != ()
    assert closed_set([str(i % 51) for i in range(510)]) == ()
    assert closed_set(["a", "b", ""] * 10) == ("a", "b")  # an empty answer is refused elsewhere


def test_names_that_occur_twice_get_a_number(put):
    put("x/t.json", natural([f"x{i}" for i in range(10)]))
    place = put("y/t.json", natural([f"y{i}" for i in range(10)]))
    assert [r.name for r in results(place.parents[1])] == ["ni_t", "ni_t_2"]


def test_writing_again_changes_nothing_and_other_tasks_keep_their_names(put, tmp_path, monkeypatch):
    found = only(put("t.json", natural([f"x{i}" for i in range(10)])))
    one, two = tmp_path / "one", tmp_path / "two"
    assert write(found, one) and not write(found, one)
    monkeypatch.setenv("UNIFY_TASKS", str(one))
    assert "ni_t" not in taken(one) and taken(two)["ni_t"] == one / "ni_t.yaml"


def test_files_under_the_data_folder_are_named_relative_to_it(put, tmp_path, monkeypatch):
    monkeypatch.setenv("UNIFY_DATA", str(tmp_path / "in"))
    found = only(put("set/t.json", natural([f"x{i}" for i in range(10)])))
    assert found.declaration["source"] == {"data": "set"}


def test_a_guide_needs_a_file_and_texts(put, loaded, monkeypatch, tmp_path):
    found = only(put("t.json", natural([f"x{i}" for i in range(10)])))
    raw = {**found.declaration, "type": "MultipleChoice", "fields": {}}
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "t.yaml").write_text(yaml.safe_dump(raw))
    monkeypatch.setenv("UNIFY_TASKS", str(tmp_path / "own"))
    with pytest.raises(DeclarationError, match="a guide without a file"):
        catalogue.load("t")
