"""Declarations, the catalogue, and tasks made from small files written here."""

import json
import pickle
import subprocess
import sys

import pytest

from formats import MultipleChoice, Span, TextClassification
from formats.errors import DataError, DeclarationError, RowError, UnifyError, UnknownName
from tasks import catalogue, suites
from tasks.derive import assign
from tasks.task import Skipped

PLAIN = """
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
    (tmp_path / "train.csv").write_text("1,so nice\n0,so bad\n1,lovely\n", encoding="utf-8")

    def put(name, text):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return put


def test_ten_lines_make_a_task(folder):
    folder("mood.yaml", PLAIN)
    task = catalogue.load("mood")
    assert task.splits() == ("train",) and task.count("train") == 3
    assert task.metric == "accuracy" and task.lineage == {"mood"}
    first, *_ = task.examples("train")
    assert first == TextClassification("mood/train/0", "so nice", task.labels, gold="1")
    assert first.labels.word("1") == "glad"
    assert [e.id for e in task.examples("train", limit=1, start=2)] == ["mood/train/2"]
    assert task.supports("extract") and "mood" in catalogue.names()


def test_runs_that_stand_among_the_tasks_are_none(folder, tmp_path):
    """Someone who keeps tasks where they work finds the runs there, too."""
    folder("mood.yaml", PLAIN)
    for name, text in (("runs/one/config.yaml", "name: one\nseed: 0\nsuite: {seen: [mood]}\n"),
                       ("runs/few/multirun.yaml", "hydra:\n  run: {dir: runs}\n"),
                       ("runs/few/0/config.yaml", "seed: -1\nname: 0\n"),
                       ("more/config.yaml", PLAIN.replace("mood", "more"))):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        folder(name, text)
    assert not catalogue.broken() and {"mood", "config"} <= set(catalogue.names())
    assert catalogue.load("mood").count("train") == 3


def test_bases_and_variants(folder):
    folder("_base.yaml", PLAIN)
    variants = "variants:\n  m1: {cluster: one}\n  m2: {labels: [0, 1]}\n"
    folder("moods.yaml", "base: _base.yaml\n" + variants)
    assert catalogue.load("m1").cluster == "one"
    assert catalogue.load("m2").labels.words == ("0", "1")
    assert "moods" not in catalogue.names() and "_base" not in catalogue.names()


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (("cluster: mood", "clutser: mood"), UnknownName, "did you mean 'cluster'"),
        (("cluster: mood", ""), DeclarationError, "cluster is missing"),
        (("TextClassification", "TextClasification"), UnknownName, "did you mean"),
        (("labels: {0: sad, 1: glad}", ""), DeclarationError, "needs labels"),
        (("labels: {0: sad, 1: glad}", "labels: [0]"), DeclarationError, "fewer than"),
        (("labels:", "scale: [0, 1]\nlabels:"), DeclarationError, "has no scale"),
        (("labels:", "fields: {txt: a}\nlabels:"), UnknownName, "'text'"),
        (("labels:", "metric: acuracy\nlabels:"), UnknownName, "'accuracy'"),
        (("labels:", "also: [macro_f]\nlabels:"), UnknownName, "'macro_f1'"),
        (("labels:", "metric: map\nlabels:"), DeclarationError, "groups of rows"),
        (("labels:", "metric: positive_f1\nlabels:"), DeclarationError, "one of the labels"),
        (("labels:", "positive: joy\nlabels:"), UnknownName, "'joy'"),
        (("labels:", "prompts: {generat: x}\nlabels:"), UnknownName, "'generate'"),
        (("{path: .}", "{path: ., data: x}"), DeclarationError, "one home"),
        (("{path: .}", "{hub: x}"), DeclarationError, "revision"),
        (("labels:", "derive: {from: tset, parts: {a: 1}}\nlabels:"), UnknownName, "split"),
        (("labels:", "derive: {from: train, parts: {a: 0.5}}\nlabels:"), DeclarationError, "sum"),
        (("labels:", "adapter: tasks.nothing.x\nlabels:"), DeclarationError, "imported"),
    ],
)
def test_errors_name_the_file(folder, change, error, says):
    folder("mood.yaml", PLAIN.replace(*change))
    with pytest.raises(error, match=says) as caught:
        catalogue.load("mood")
    assert "mood.yaml" in str(caught.value)


def test_not_yaml_and_circles(folder):
    path = folder("a.yaml", "x: [")
    with pytest.raises(DeclarationError, match="not YAML"):
        catalogue.declarations()
    path.write_text("base: a.yaml\n")
    with pytest.raises(DeclarationError, match="circle"):
        catalogue.declarations()


def test_a_file_that_cannot_be_read_hides_no_other_task(folder):
    folder("mood.yaml", PLAIN)
    path = folder("a.yaml", "x: [")
    assert catalogue.load("mood").name == "mood" and "mood" in catalogue.names()
    assert list(catalogue.broken()) == [path]
    assert suites.select(["mood"]) == ("mood",)
    for unsure in ("moo*", "cluster:sentiment", "a"):  # may mean what the file would declare
        with pytest.raises(DeclarationError, match="not YAML"):
            suites.select([unsure])
    with pytest.raises(DeclarationError, match="not YAML"):
        catalogue.load("a")
    path.unlink()
    assert catalogue.broken() == {} and suites.select(["moo*"]) == ("mood",)


def test_a_miss_and_a_double(folder):
    folder("mood.yaml", PLAIN)
    with pytest.raises(UnknownName, match="did you mean 'mood'"):
        catalogue.load("moood")
    folder("z.yaml", PLAIN + "variants: {mood: {}}\n")
    with pytest.raises(DeclarationError, match=r"mood\.yaml and .*z\.yaml"):
        catalogue.names()


def test_unknown_column_and_split(folder):
    folder("mood.yaml", PLAIN + "fields: {text: txt}\n")
    with pytest.raises(UnknownName, match="did you mean 'text'"):
        list(catalogue.load("mood").examples("train"))
    with pytest.raises(UnknownName, match="split"):
        catalogue.load("mood").rows("trian")


def test_a_missing_gold_column_is_not_silently_unlabelled(folder):
    text = PLAIN.replace("[label, text]", "[other, text]")
    folder("mood.yaml", text)
    with pytest.raises(UnknownName, match="unlabelled"):
        list(catalogue.load("mood").examples("train"))
    folder("mood.yaml", text + "unlabelled: [train]\n")
    assert next(catalogue.load("mood").examples("train")).gold is None


def test_bad_rows_are_placed_and_counted(folder):
    folder("mood.yaml", PLAIN)
    folder("train.csv", "1,fine\n7,odd\n0, \n1,good\n")
    task = catalogue.load("mood")
    place = r"task mood, split train, file train.csv, row 1, field label"
    with pytest.raises(RowError, match=place):
        list(task.examples("train"))
    skipped = Skipped()
    kept = list(task.examples("train", on_bad_row="skip", skipped=skipped))
    assert [e.id for e in kept] == ["mood/train/0", "mood/train/3"]
    assert skipped.count == 2 and [e.where["row"] for e in skipped.first] == [1, 2]
    assert "2 rows skipped" in str(skipped)


def test_changed_files_are_read_again(folder):
    folder("mood.yaml", PLAIN)
    task = catalogue.load("mood")
    before = task.fingerprint()
    assert task.count("train") == 3 and before == catalogue.load("mood").fingerprint()
    folder("train.csv", "1,only one\n")
    again = catalogue.load("mood")
    assert again.count("train") == 1 and again.fingerprint() != before
    folder("mood.yaml", PLAIN.replace("glad", "happy"))
    assert catalogue.load("mood").fingerprint() != again.fingerprint()


def test_changed_bases_and_new_and_gone_files_are_seen(folder, tmp_path):
    outside = tmp_path.parent / f"{tmp_path.name}_base.yaml"
    outside.write_text(PLAIN, encoding="utf-8")
    folder("_base.yaml", f"base: ../{outside.name}\n")
    folder("mood.yaml", "base: _base.yaml\ncluster: one\n")
    assert catalogue.load("mood").labels.words == ("sad", "glad")
    outside.write_text(PLAIN.replace("glad", "happy"), encoding="utf-8")
    assert catalogue.load("mood").labels.words == ("sad", "happy")
    folder("_base.yaml", PLAIN.replace("sad", "low"))
    assert catalogue.load("mood").labels.words == ("low", "glad")
    (tmp_path / "sub").mkdir()
    folder("sub/other.yaml", PLAIN.replace("path: .", "path: .."))
    assert catalogue.load("other@n2s1").count("train") == 2
    (tmp_path / "mood.yaml").unlink()
    with pytest.raises(UnknownName, match="unknown task 'mood'"):
        catalogue.load("mood")
    folder("mood.yaml", PLAIN)
    assert catalogue.load("mood").cluster == "mood"


def test_one_task_of_many_is_loaded_without_a_look_at_all_files(folder, monkeypatch):
    for number in range(200):
        folder(f"mood_{number}.yaml", PLAIN)
    catalogue.load("mood_0")
    looked = []
    real = catalogue._time
    monkeypatch.setattr(catalogue, "_time", lambda path: looked.append(path) or real(path))
    assert catalogue.load("mood_7").name == "mood_7"
    assert len(looked) < 100 and sum(path.suffix == ".yaml" for path in looked) == 1


def test_data_root_that_is_not_set(folder, monkeypatch):
    monkeypatch.delenv("UNIFY_DATA", raising=False)
    folder("mood.yaml", PLAIN.replace("{path: .}", "{data: x}"))
    task = catalogue.load("mood")  # declared and shown without data
    with pytest.raises(DataError, match="UNIFY_DATA"):
        task.rows("train")


def test_empty_and_corrupt_files(folder):
    folder("mood.yaml", PLAIN)
    folder("train.csv", "")
    with pytest.raises(DataError, match="task mood, split train"):
        catalogue.load("mood").rows("train")
    folder("train.csv", "1,a,b\n")
    with pytest.raises(DataError, match="3 cells"):
        catalogue.load("mood").rows("train")


def choices(row):
    return {"question": row["q"], "options": row["o"].split("|"), "answer": int(row["a"])}


def test_adapter_patterns_and_nested_columns(folder):
    row = {"q": {"stem": "why"}, "c": [{"k": "A", "t": "x"}, {"k": "B", "t": "y"}], "a": "B"}
    folder("r.jsonl", json.dumps(row) + "\n")
    folder("pick.yaml", """
type: MultipleChoice
cluster: c
source: {path: .}
format: jsonl
splits: {train: r.jsonl}
fields: {question: "{q.stem}, {a}?", options: c.t, keys: c.k, answer: a}
""")
    (example,) = catalogue.load("pick").examples("train")
    assert example == MultipleChoice("pick/train/0", "why, B?", ("x", "y"), gold=1)


def test_a_wrong_answer_start_is_mended_once_or_refused(folder):
    rows = [
        {"question": "q", "passage": "a bee", "answers": [{"text": "bee", "start": 0}]},
        {"question": "q", "passage": "bee bee", "answers": [{"text": "bee", "start": 1}]},
    ]
    folder("r.jsonl", "".join(json.dumps(r) + "\n" for r in rows))
    folder("ask.yaml", "type: QuestionAnswering\ncluster: c\nsource: {path: .}\n"
           "format: jsonl\nsplits: {train: r.jsonl}\n")  # fmt: skip
    skipped = Skipped()
    (kept,) = catalogue.load("ask").examples("train", on_bad_row="skip", skipped=skipped)
    assert kept.gold == (frozenset([Span(2, 5)]),)
    assert skipped.count == 1 and "2 times" in str(skipped)


def test_an_option_listed_twice_is_one_option(folder):
    folder("r.jsonl", json.dumps({"question": "q", "options": ["x", "y", "x"], "answer": 2}) + "\n")
    folder("pick.yaml", "type: MultipleChoice\ncluster: c\nsource: {path: .}\n"
           "format: jsonl\nsplits: {train: r.jsonl}\n")  # fmt: skip
    (example,) = catalogue.load("pick").examples("train")
    assert example.options == ("x", "y") and example.gold == 0


def test_derived_splits(folder):
    folder("train.csv", "".join(f"{i % 2},text {i // 2}\n" for i in range(100)))
    derive = "derive: {from: train, parts: {train: 0.8, test: 0.2}, group: text}\n"
    folder("mood.yaml", PLAIN + derive)
    task = catalogue.load("mood")
    assert task.splits() == ("train", "test")
    train, test = ({e.text for e in task.examples(s)} for s in task.splits())
    assert not train & test and len(train | test) == 50
    assert task.count("train") == 80 and task.count("test") == 20
    assert "derived from the published train by text, seed 0" in task.notes[0]


def test_tasks_travel_between_processes(folder):
    folder("mood.yaml", PLAIN)
    task = catalogue.load("mood")
    task.rows("train")
    again = pickle.loads(pickle.dumps(task))
    assert list(again.examples("train")) == list(task.examples("train"))


def test_parquet_and_python_sources(folder, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": ["p"], "label": [1]}), tmp_path / "x.parquet")
    parquet = PLAIN.replace("{csv: {columns: [label, text]}}", "parquet")
    folder("mood.yaml", parquet.replace("train.csv", "x.parquet"))
    assert [e.gold for e in catalogue.load("mood").examples("train")] == ["1"]
    generated = PLAIN.replace("{path: .}", "{generator: tasks.sample.rows, args: {task: T}}")
    folder("mood.yaml", generated.replace("{train: train.csv}", "{train: 2}"))
    with pytest.raises(DataError, match=r"tasks\.sample\.rows"):
        catalogue.load("mood").rows("train")


def test_assign_is_seeded_and_whole():
    parts = {"a": 0.5, "b": 0.3, "c": 0.2}
    one = assign(range(1000), parts, 0)
    assert [len(v) for v in one.values()] == [500, 300, 200]
    assert sorted(row for rows in one.values() for row in rows) == list(range(1000))
    assert one["a"].tolist() == assign(range(1000), parts, 0)["a"].tolist()
    assert one["a"].tolist() != assign(range(1000), parts, 1)["a"].tolist()


def test_every_packaged_declaration_builds():
    for name in catalogue.names():
        task = catalogue.load(name)
        assert task.cluster and task.lineage and task.licence, name
        if task.labels is not None:
            assert set(task.prompt.hypotheses) <= set(task.labels.names), name


def test_import_is_light():
    code = (
        "import sys, tasks; tasks.names(); "
        "bad = {'torch', 'datasets', 'scipy', 'sklearn', 'sacrebleu', 'hydra', 'unify'}; "
        "sys.exit(', '.join(bad & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_errors_are_of_the_tree():
    assert issubclass(UnknownName, UnifyError)
