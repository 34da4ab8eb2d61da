"""The command line's messages: one each, with what was meant, and an exit status."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from unify_helpers import tiny

from formats import Entail, Extract, Generate
from unify import Unified
from unify.cli import VERBS, main
from unify.quiet import quiet

quiet()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands run in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A saved run that entails."""
    return str(Unified(tiny("modernbert", "entail"), Entail()).save(
        tmp_path_factory.mktemp("saved") / "mine"
    ))


SMALL = ["suite.seen=[sample_trade_goods]", "suite.unseen=[]", "suite.limits.train=20"]
WRONG = [  # arguments, status, what the message says, what it proposes
    (["preview", "task=sample_sea_state", "n=abc"], 1, "n is no number", "n=3"),
    (["train", "trainer.max_steps=-3", *SMALL], 1, "Lightning does not take", "max_steps"),
    (["predict", "run=RUN", "text=x", "A day."], 1, "predict needs type", "type=classify"),
    (["predict", "run=RUN", "task=x", "A day."], 1, "either a file or a split", "type=classify"),
    (["predict", "run=RUN", "task=x", "split=a", "file=b"], 1, "either a file or a split", ""),
    (["predict", "run=RUN", "task=sample_sea_stat", "split=test"], 1, "unknown task",
     "'sample_sea_state'"),
    (["frain"], 2, "unknown verb 'frain'", "did you mean 'train'"),
    (["train", "fromat=extract"], 1, "unknown config key 'fromat'", "'format'"),
    (["train", "data.batchsize=3"], 1, "unknown config key 'data.batchsize'", "'data.batch_size'"),
    (["train", "format=entail", "format.max_word=3"], 1, "'format.max_word'", "'format.max_words'"),
    (["train", "trainer.max_step=3"], 1, "unknown trainer setting 'max_step'", "'max_steps'"),
    (["train", "format=extrct"], 1, "unknown choice for format 'extrct'", "'extract'"),
    (["train", "suite=smple"], 1, "unknown choice for suite 'smple'", "'sample'"),
    (["train", "model=tiny_bart"], 1, "unknown choice for model 'tiny_bart'", "'tiny_bert'"),
    (["train", "experiment=nothing"], 1, "unknown choice for experiment 'nothing'", ""),
    (["train", "suite.seen=[sample_sea_stat]"], 1, "unknown task 'sample_sea_stat'",
     "'sample_sea_state'"),
    (["train", "suite.unseen=['cluster:sample_see']"], 1, "unknown cluster 'sample_see'",
     "'sample_sea'"),
    (["train", "data.batch_size=many"], 1, "data.batch_size is not a number", "data.batch_size="),
    (["train", "allow_leaks=perhaps"], 1, "allow_leaks is not true or false", "allow_leaks=False"),
    (["train", "model=hf"], 1, "model.name is not set", "model.name=…"),
    (["train", "seed=null"], 1, "seed is not a number", "seed=0"),
    (["train", "name=null"], 1, "the run has no name", "name="),
    (["train", "from=nothing"], 1, "no run here", ""),
    (["train", "from="], 1, "from names no run", "from=<run>"),
    (["train", "init=", *SMALL], 1, "init names no run", "init=<run>"),
    (["train", "-m", "init=", "seed=0,1"], 1, "init names no run", "init=<run>"),
    (["train", "init=nothing", *SMALL], 1, "no run here", ""),
    (["train", "oops"], 1, "oops", "conf/"),
    (["train", "format=extract", "model=tiny_llama", *SMALL], 1, "a causal model cannot extract",
     "model=tiny_encoder"),
    (["evaluate"], 1, "run is not set", "run=…"),
    (["evaluate", "run=nothing"], 1, "no run here", "config.yaml"),
    (["predict", "type=classify", "hi"], 1, "predict needs run", "run=runs/<name>"),
    (["predict", "run=nothing", "type=classify", "labels=[a,b]", "hi"], 1, "no run here", ""),
    (["predict", "run=nothing", "type=clasify", "hi"], 1, "unknown type 'clasify'", "'classify'"),
    (["predict", "run=nothing", "type=tag", "labels=[a]", "hi"], 1,
     "unknown argument of predict type=tag 'labels'", "did you mean"),
    (["predict", "run=nothing", "type=classify", "labels=[a,b]"], 1, "either texts or a file", ""),
    (["predict", "run=nothing", "type=rate", "low=abc", "hi"], 1, "low is no number", "low=0"),
    (["predict", "run=nothing", "type=generate", "instruction=3", "hi"], 1,
     "instruction is not a text", "a string"),
    (["predict", "run=nothing", "type=generate", "instruction=[1,2]", "file=a.csv"], 1,
     "instruction is not a text", "a string"),
    (["serve", "run=nothing", "port=abc"], 1, "port is no whole number", "port=8000"),
    (["serve", "run=nothing", "threads=abc"], 1, "threads is no whole number", "threads=1"),
    (["serve", "run=nothing", "queue=abc"], 1, "queue is no limit", "a whole number above 0"),
    (["serve", "run=nothing", "queue=0.5"], 1, "queue is no limit", "queue=64"),
    (["serve", "run=nothing", "wait=0"], 1, "wait is no limit", "a number above 0"),
    (["preview"], 1, "preview needs task", "task=<name>"),
    (["preview", "task=sample_sea_stat"], 1, "unknown task", "'sample_sea_state'"),
    (["preview", "task=sample_music_goods_card", "format=extract"], 1, "cannot be asked as extract",
     ""),
    (["preview", "task=sample_sea_state", "splt=test"], 1, "unknown argument of preview",
     "'split'"),
    (["tasks", "frob"], 1, "unknown word 'frob'", "unify tasks [show <name>]"),
    (["tasks", "show"], 1, "show needs one task", "unify tasks show <name>"),
    (["tasks", "show", "sst"], 1, "unknown task 'sst'", "'sst2'"),
    (["suites", "check", "smple"], 1, "unknown suite 'smple'", "'sample'"),
    (["suites", "frob"], 1, "unknown words", "unify suites check <name>"),
    (["table"], 1, "table needs runs", "unify table runs/a runs/b"),
    (["table", "nothing"], 1, "no finished run here", ""),
]


@pytest.mark.parametrize(
    ("arguments", "status", "says", "proposes"), WRONG, ids=[" ".join(w[0]) for w in WRONG]
)
def test_a_mistake_is_one_message(
    arguments: list[str], status: int, says: str, proposes: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(arguments) == status
    out, err = capsys.readouterr()
    assert out == "" and says in err and proposes in err
    assert "Traceback" not in err
    if status == 1:
        assert err.count(f"unify {arguments[0]}:") == 1


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("format=entail", "a repeated run keeps its sections"),
        ("format=null", "a repeated run keeps its sections"),
        ("format", "an override without a value"),
        ("name=null", "the run has no name"),
        ("seed=null", "seed is not a number"),
        ("trainer.max_steps=abc", "trainer.max_steps is not a number"),
    ],
)
def test_a_repetition_refuses_what_is_no_value(
    here: Path, override: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "before").mkdir()
    (here / "before" / "config.yaml").write_text(
        "seed: 0\nformat: {name: extract}\ntrainer: {max_steps: 4, early_stopping: null}\n"
    )
    assert main(["train", "from=before", override]) == 1
    assert says in capsys.readouterr().err
    assert [p.name for p in here.iterdir()] == ["before"]


@pytest.mark.parametrize("out", ["none/found.jsonl", "."])
def test_predict_says_where_it_cannot_write(
    here: Path, run: str, out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "rows.csv").write_text("text\na day\n")
    ask = ["predict", f"run={run}", "type=classify", "labels=[a,b]", "file=rows.csv"]
    assert main([*ask, f"out={out}"]) == 1
    assert "answers that cannot be written" in capsys.readouterr().err


def test_a_near_run_is_proposed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Unified(tiny("modernbert", "extract"), Extract()).save(here / "runs" / "first")
    assert main(["evaluate", "run=runs/frist"]) == 1
    assert "did you mean 'first'?" in capsys.readouterr().err


def test_help_is_instant_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, time; t = time.perf_counter(); from unify.cli import main; main(['--help']);"
        "heavy = {'torch', 'transformers', 'datasets', 'hydra', 'pytorch_lightning', 'numpy'};"
        "print(sorted(heavy & set(sys.modules)), time.perf_counter() - t < 1)"
    )
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert time.perf_counter() - begun < 1.0
    assert done.stdout.splitlines()[-1] == "[] True"
    assert "usage: unify <verb>" in done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"unify {verb}") and len(out.splitlines()) > 2


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--help"], ["help"]):
        assert main(arguments) == 0
        out = capsys.readouterr().out
        assert all(f"\n  {verb} " in out for verb in VERBS)
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("unify 0.")


def test_tasks_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "cluster=sample_sea"]) == 0
    out = capsys.readouterr().out
    assert "sample_sea_state" in out and "3 tasks" in out and "sst2" not in out
    assert main(["tasks", "type=generate"]) == 0
    out = capsys.readouterr().out
    assert "gsm8k" in out and "generate" in out and "sample_sea_state" not in out
    assert main(["tasks", "show", "sample_music_goods_card"]) == 0
    out = capsys.readouterr().out
    assert "TextGeneration" in out and "extract   refused:" in out and "test: 300 rows" in out


def test_suites_are_listed_and_checked(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["suites"]) == 0
    assert "sample: " in capsys.readouterr().out
    monkeypatch.setenv("UNIFY_TASKS", str(here / "task"))
    for folder in ("task", "suite"):
        (here / folder).mkdir()
    common = "unseen: [sample_sea_state]\nlimits: {train: 20, test: 5}\n"
    (here / "suite" / "clean.yaml").write_text("seen: [sample_trade_goods]\n" + common)
    (here / "suite" / "dirty.yaml").write_text("seen: [sample_sea_what]\n" + common)
    assert main(["suites", "check", "clean"]) == 0
    assert "clean: 0 leaks between 1 seen and 1 unseen tasks" in capsys.readouterr().out
    assert main(["suites", "check", "dirty"]) == 1
    assert "cluster also in seen sample_sea_what" in capsys.readouterr().out


@pytest.mark.parametrize("format", ["generate", "extract", "entail"])
def test_preview_shows_what_rows_become(
    here: Path, format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["suite.seen=[sample_trade_goods]", "suite.limits.train=20"]
    assert main(["preview", "task=sample_sea_state", f"format={format}", "n=2", *small]) == 0
    out = capsys.readouterr().out
    assert f"split train) as {format}" in out
    assert out.count("TextClassification") == 3 and out.count("── ") == 2
    part = {"generate": "source: ", "extract": "passage: ", "entail": "hypothesis: "}[format]
    assert part in out and "shared tokens: " in out and "0 tokens cut" in out
    assert not (here / "runs").exists()


# predict


def test_predict_answers_texts(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    ask = ["predict", f"run={run}", "type=classify", "labels=[good, bad]"]
    assert main([*ask, "a lovely day"]) == 0
    first, *shares = capsys.readouterr().out.splitlines()
    assert first in ("good", "bad") and len(shares) == 2
    assert sum(float(s.split()[0]) for s in shares) == pytest.approx(1, abs=0.002)
    assert main([*ask, "a lovely day", "a = b"]) == 0
    lines = [x for x in capsys.readouterr().out.splitlines() if not x.startswith("  ")]
    assert [x.split("\t")[1] for x in lines] == ["a lovely day", "a = b"]


ONE = {
    "multilabel": ["labels=[joy,fear]"], "choose": ["options=[Ann,Bob]", "context=Ann."],
    "answer": ["question=Who?"], "tag": ["types=[person]"],
    "relate": ["labels=[sister,uncle]", "head=Ann", "tail=Bob"], "rate": ["low=0", "high=5"],
}


@pytest.mark.parametrize("kind", ONE)
def test_predict_asks_every_type(run: str, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", f"run={run}", f"type={kind}", *ONE[kind], "Ann saw Bob"]) == 0
    assert capsys.readouterr().out.strip()


def test_predict_refuses_what_the_run_cannot(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", f"run={run}", "type=generate", "Ann"]) == 1
    assert "cannot be asked as entail" in capsys.readouterr().err


def results(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_predict_answers_a_file_in_row_order(
    here: Path, run: str, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [f"text number {i}, é" for i in range(70)]
    texts[3] = texts[66] = " "
    path = here / f"rows.{ending}"
    if ending == "csv":
        path.write_text("review\n" + "".join(f'"{t}"\n' for t in texts), encoding="utf-8")
    else:
        path.write_text("".join(json.dumps({"review": t}) + "\n" for t in texts), encoding="utf-8")
    status = main(["predict", f"run={run}", "type=classify", "labels=[good,bad]",
                   f"file={path}", "fields.text=review"])
    out, err = capsys.readouterr()
    assert status == 0
    assert out.strip() == f"68 rows answered, 2 could not be read -> {here / 'rows.results.jsonl'}"
    assert "text is empty" in err and "row 3" in err
    found = results(here / "rows.results.jsonl")
    assert [r["row"] for r in found] == list(range(70))
    assert [r["row"] for r in found if "error" in r] == [3, 66]
    for r in found:
        if "error" not in r:
            assert r["answer"] in ("good", "bad") and set(r["scores"]) == {"good", "bad"}


def test_predict_lists_rows_that_the_model_cannot_hold(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Unified(tiny("llama", "generate"), Generate()).save(here / "runs" / "lm")
    rows = [{"question": f"Which {i}?", "options": ["b", "c " * (40 * (i in (1, 4))) + "d"]}
            for i in range(5)]
    rows[2]["options"] = ["b"]
    (here / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    assert main(["predict", f"run={run}", "type=choose", "file=rows.jsonl", "out=found.jsonl"]) == 0
    assert "2 rows answered, 3 could not be read" in capsys.readouterr().out
    found = results(here / "found.jsonl")
    assert [(r["row"], "error" in r) for r in found] == [
        (0, False), (1, True), (2, True), (3, False), (4, True)
    ]
    assert "longer than the model can score" in found[1]["error"] and "row 4" in found[4]["error"]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_line_that_holds_no_row_costs_no_other_row(
    here: Path, run: str, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = {"csv": ["a;text", "1;nice", "1;2;3", "2;bad"],
             "jsonl": ['{"text": "nice"}', '{"text": ', '{"text": "bad"}']}[ending]  # fmt: skip
    (here / f"rows.{ending}").write_text("\n".join(lines) + "\n")
    ask = ["predict", f"run={run}", "type=classify", "labels=[good,bad]", f"file=rows.{ending}"]
    assert main(ask) == 0
    out, err = capsys.readouterr()
    assert "2 rows answered, 1 could not be read" in out and "row 1" in err
    found = results(here / "rows.results.jsonl")
    assert [(r["row"], "error" in r) for r in found] == [(0, False), (1, True), (2, False)]


MOODS = """
type: TextClassification
cluster: mood
source: {path: .}
format: {csv: {columns: [stars, review], delimiter: "|"}}
splits: {test: moods.csv}
fields: {text: review, label: stars}
labels: {1: bad, 2: good}
"""


def test_predict_asks_as_a_task_does(
    here: Path, run: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNIFY_TASKS", str(here))
    (here / "moods.yaml").write_text(MOODS)
    (here / "moods.csv").write_text("1|how dull\n2|how nice\n")
    (here / "new.csv").write_text("|how dull\n|how nice\n?|\n")  # no label, and no text
    (here / "new.jsonl").write_text('{"review": "how dull"}\n{"review": "how nice"}\n')
    ask = ["predict", f"run={run}", "task=moods"]
    assert main([*ask, "split=test"]) == 0
    assert "2 rows answered, 0 could not be read -> moods.test.results.jsonl" in (
        capsys.readouterr().out
    )
    expected = results(here / "moods.test.results.jsonl")
    assert [set(r["scores"]) for r in expected] == [{"bad", "good"}] * 2
    assert {r["answer"] for r in expected} <= {"1", "2"}
    assert main([*ask, "file=new.csv"]) == 0
    found = results(here / "new.results.jsonl")
    assert found[:2] == expected and "error" in found[2]
    assert main([*ask, "file=new.jsonl", "out=found.jsonl"]) == 0
    assert results(here / "found.jsonl") == expected


def test_predict_names_a_file_that_is_not_there(
    here: Path, run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ["predict", f"run={run}", "type=classify", "labels=[good,bad]"]
    assert main([*ask, "file=none.csv"]) == 1
    assert "no such file" in capsys.readouterr().err
    (here / "rows.xls").write_text("a")
    assert main([*ask, "file=rows.xls"]) == 1
    assert ".jsonl" in capsys.readouterr().err
    (here / "rows.csv").write_text("review\nnice\n")
    assert main([*ask, "file=rows.csv"]) == 1
    assert "unknown column 'text'" in capsys.readouterr().err
