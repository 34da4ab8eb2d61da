"""Tasks to lm-evaluation-harness and back, and the same numbers on both sides."""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from unify_helpers import tiny

from formats.errors import ConfigError, RowError
from formats.examples import MultipleChoice
from tasks import catalogue
from tasks.importers import Bad, Found, files_of, survey, write
from tasks.readers.lm_eval import made
from unify.cli import main
from unify.export.lm_eval import export

# An interpreter that has lm_eval: this one, or the one that the variable names.
PEER = os.environ.get("UNIFY_LM_EVAL") or (
    sys.executable if importlib.util.find_spec("lm_eval") else None
)
TASK = "sample_sea_state"
SCRIPT = """
import json, sys
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager
folder, task, model, out = sys.argv[1:]
found = simple_evaluate(model="hf", model_args={"pretrained": model, "device": "cpu"},
    tasks=[task], task_manager=TaskManager(include_path=folder), bootstrap_iters=0, batch_size=4,
    log_samples=True)
rows = [[float(r[0]) for r in s["filtered_resps"]] for s in found["samples"][task]]
ids = [s["doc"]["id"] for s in found["samples"][task]]
json.dump({"results": found["results"][task], "rows": dict(zip(ids, rows))}, open(out, "w"))
"""


def test_a_task_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "lm-eval", TASK, f"to={tmp_path}", "limit=5"]) == 0
    assert "5 rows" in capsys.readouterr().out
    declared = yaml.safe_load((tmp_path / f"unify_{TASK}.yaml").read_text())
    assert declared["output_type"] == "multiple_choice" and declared["num_fewshot"] == 0
    (data,) = declared["dataset_kwargs"]["data_files"].values()
    rows = [json.loads(line) for line in Path(data).read_text().splitlines()]
    examples = list(catalogue.load(TASK).examples("test", limit=5))
    assert [r["choices"][r["gold"]] for r in rows] == [e.gold for e in examples]
    assert all(e.text in r["query"] for e, r in zip(examples, rows, strict=True))


@pytest.mark.parametrize(
    ("given", "said"),
    [(["sample_court_count"], "asked by options"), ([], "needs a task"),
     ([TASK, "limit=x"], "numbers")],
)  # fmt: skip
def test_what_cannot_be_written(
    given: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "lm-eval", *given, f"to={tmp_path}"]) == 1
    assert said in capsys.readouterr().err


def plain_model(folder: Path) -> None:
    """A model whose tokenizer puts no sign of its own around a text, as GPT-2's."""
    from tokenizers import processors

    backbone = tiny("gpt2", "generate", window=230, config={"n_positions": 230}, spread=2.0)
    tokenizer = copy.deepcopy(backbone.coder.tokenizer)
    tokenizer.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.model_max_length = 230
    backbone.model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@pytest.mark.skipif(PEER is None, reason="lm_eval is not installed, and UNIFY_LM_EVAL names none")
def test_the_same_numbers_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain_model(tmp_path / "model")
    path, count = export(catalogue.load(TASK), tmp_path / "lm", limit=8)
    assert count == 8
    out = tmp_path / "out.json"
    subprocess.run(
        [str(PEER), "-c", SCRIPT, str(tmp_path / "lm"), path.stem, str(tmp_path / "model"),
         str(out)], check=True, env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    theirs = json.loads(out.read_text())
    monkeypatch.chdir(tmp_path)
    for rule, metric in (("sum", "acc"), ("byte", "acc_bytes")):
        assert main(["evaluate", "model=hf", "model.name=model", f"suite.unseen=[{TASK}]",
                     "suite.limits.test=8", "evaluation.resamples=5", f"evaluation.rule={rule}",
                     "evaluation.end=false", f"name={rule}"]) == 0  # fmt: skip
        run = tmp_path / "runs" / rule
        saved = json.loads((run / "report.json").read_text())["unseen"][TASK]
        assert saved["value"] == pytest.approx(theirs["results"][f"{metric},none"])
    lines = (tmp_path / "runs/sum/predictions" / f"{TASK}.jsonl").read_text().splitlines()
    for row in map(json.loads, lines):
        assert row["scores"] == pytest.approx(theirs["rows"][row["id"]], abs=2e-4)


SCIENCE = {
    "task": "small_science",
    "dataset_path": "json",
    "dataset_kwargs": {"data_files": {"dev": "dev.jsonl"}},
    "output_type": "multiple_choice",
    "test_split": "dev",
    "description": "Answer the question.\n",
    "doc_to_text": "{{support.lstrip()}}\nQuestion: {{question}}\nAnswer:",
    "doc_to_target": "{{choices.label.index(key)}}",
    "doc_to_choice": "{{choices.text}}",
}
ROWS = [
    {"support": " Cold.", "question": "What is ice?", "key": "B",
     "choices": {"label": ["A", "B"], "text": ["gas", "water"]}},
    {"support": "", "question": "And \"steam\"?", "key": "A",
     "choices": {"label": ["A", "B"], "text": ["gas", "it's water"]}},
]  # fmt: skip


def put(folder: Path, rows: Any = ROWS, **more: Any) -> list[Any]:
    folder.mkdir(exist_ok=True)
    (folder / "dev.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (folder / "task.yaml").write_text(yaml.safe_dump({**SCIENCE, **more}))
    return [r for _, found in survey(files_of(folder / "task.yaml")) for r in found]


def test_a_yaml_becomes_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = put(tmp_path / "in")
    assert isinstance(found, Found) and found.name == "lm_eval_small_science"
    write(found, tmp_path / "out")
    monkeypatch.setenv("UNIFY_TASKS", str(tmp_path / "out"))
    catalogue.declarations.cache_clear() if hasattr(catalogue.declarations, "cache_clear") else None
    task = catalogue.load(found.name)
    first, second = task.examples("test")
    assert first == MultipleChoice(
        "lm_eval_small_science/test/0",
        "Answer the question.\nCold.\nQuestion: What is ice?\nAnswer:",
        ("gas", "water"), gold=1,
    )  # fmt: skip
    assert isinstance(second, MultipleChoice) and second.options == ("gas", "it's water")
    assert second.gold == 0


@pytest.mark.parametrize(
    ("more", "target"),
    [
        ({"doc_to_choice": ["no", "yes"], "doc_to_target": "label"}, 1),
        ({"doc_to_choice": "{{[one, two]}}", "doc_to_target": 1}, 1),
        ({"doc_to_choice": "options", "doc_to_target": "right"}, 1),
    ],
)
def test_ways_to_say_choices_and_target(tmp_path: Path, more: dict[str, Any], target: int) -> None:
    rows = [{"question": f"q{i}", "label": 1, "one": "a", "two": "b", "options": ["c", "d"],
             "right": "d"} for i in range(3)]  # fmt: skip
    (found,) = put(tmp_path / "in", rows, doc_to_text="question", **more)
    assert isinstance(found, Found) and dict(found.rows) == {"test": 3} and not found.dropped


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("{{label}}", 1),  # digits that a template writes are a place,
        ("label", 0),  # those of a column an option
        ("{{place}}", 2), ("place", 2), (0, 0), ("{{'3'}}", 3), ("{{'x'}}", -1), ("text", -1),
        ("{{[1]}}", 1), ("{{[place, 1]}}", -1), ("{{options[2]}}", 3),
    ],
)  # fmt: skip
def test_targets_as_lm_eval_reads_them(target: Any, answer: int) -> None:
    row = {"q": "x", "label": "1", "place": 2, "text": "two", "options": ["1", "2", "3", "4"]}
    assert made(row, "{{q}}", "options", target) == {
        "question": "x", "options": ["1", "2", "3", "4"], "answer": answer,
    }  # fmt: skip


def test_descriptions_and_filters_are_rendered() -> None:
    row = {"q": "a [b] c", "subject": "ice", "label": 0}
    text = r"{{q|regex_replace('\[.*?\] ', '')}}"
    found = made(row, text, ["no", "yes"], "label", "About {{subject}}:\n")
    assert found["question"] == "About ice:\na c"
    assert made(row, "q", ["no", "yes"], "label", "subject")["question"] == "icea [b] c"


@pytest.mark.parametrize("text", ["label", "{{label}}", 1])
def test_a_prompt_per_option_is_refused(text: Any) -> None:
    with pytest.raises(RowError, match="a prompt that is no text"):
        made({"label": 0, "q": "x"}, text, ["It rained.", "It snowed."], "q")


def test_shots_of_a_yaml_are_told(tmp_path: Path) -> None:
    (found,) = put(tmp_path / "in", num_fewshot=5)
    assert isinstance(found, Found) and "num_fewshot: 5" in found.notes


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"output_type": "generate_until"}, "not asked by options"),
        ({"dataset_kwargs": None, "dataset_path": "sciq"}, "on the hub"),
        ({"target_delimiter": ""}, "do not follow a blank"),
        ({"doc_to_text": "{{nothing}}"}, "a template that fails"),
        ({"doc_to_text": "{{''.__class__.__mro__}}"}, "a template that fails"),
        ({"dataset_kwargs": {"data_files": {"dev": "gone.jsonl"}}}, "not here"),
    ],
)
def test_yamls_that_cannot_be_used(tmp_path: Path, more: dict[str, Any], said: str) -> None:
    (bad,) = put(tmp_path / "in", **more)
    assert isinstance(bad, Bad) and said in bad.problem


def test_python_code_is_never_called(tmp_path: Path) -> None:
    put(tmp_path / "in")
    path = tmp_path / "in" / "task.yaml"
    path.write_text(path.read_text() + "process_docs: !function utils.process_docs\n")
    ((_, (bad,)),) = survey(files_of(path))
    assert isinstance(bad, Bad) and "Python code" in bad.problem


def test_an_exported_task_comes_back(tmp_path: Path) -> None:
    export(catalogue.load(TASK), tmp_path, limit=12)
    found = [r for _, fs in survey(files_of(tmp_path)) for r in fs if isinstance(r, Found)]
    assert [f.name for f in found] == [f"lm_eval_unify_{TASK}"] and found[0].rows == {"test": 12}


def test_options_without_a_blank_before_them(tmp_path: Path) -> None:
    from formats.instances import GenerateInstance
    from unify.export.lm_eval import _row

    with pytest.raises(ConfigError, match="script without blanks"):
        _row("a", GenerateInstance("问题", "好", ("好", "坏")))
