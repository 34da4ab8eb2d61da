"""Hostile input in small: the fuzzer's entry points, and files that would like to be code."""

from __future__ import annotations

import importlib.util
import json
import os
import random
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from unify_helpers import tiny

from formats import FORMATS
from formats.errors import ConfigError, DeclarationError, RowError, UnifyError, UnknownName
from unify import backbones, build, runs
from unify.unified import Unified


def script(name: str) -> ModuleType:
    file = Path(__file__).parents[1] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FUZZ = script("fuzz")


@pytest.mark.parametrize(
    ("entry", "count"), [("rows", 250), ("templates", 250), ("yaml", 80), ("predict", 25),
                         ("check", 6)]
)
def test_a_little_of_the_fuzzer(entry: str, count: int, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("{}\n")
    case = FUZZ.ENTRIES[entry][0](tmp_path)
    ends = {"answered": 0, "refused": 0}
    for i in range(count):
        try:
            case(random.Random(f"test/{entry}/{i}"))
            ends["answered"] += 1
        except UnifyError as error:
            assert error.what
            ends["refused"] += 1
    assert ends["refused"] > 0 and (ends["answered"] > 0 or count < 10), ends


def test_the_fuzzer_sees_answers_outside_the_answer_space() -> None:
    from formats.examples import MultipleChoice, QuestionAnswering

    choice = MultipleChoice("x", "Who?", ("Ann", "Bob"))
    assert FUZZ.outside(choice, 1, "entail") is None
    assert FUZZ.outside(choice, 2, "entail") == "no option"
    assert FUZZ.outside(choice, True, "entail") == "no option"
    question = QuestionAnswering("x", "Who?", "Ann ran")
    assert FUZZ.outside(question, frozenset({"Ann"}), "extract") is None
    said = FUZZ.outside(question, frozenset({"Bob"}), "extract")
    assert said == "a text that is not in the passage"
    assert FUZZ.outside(question, frozenset({"Ann", "ran"}), "extract") == "several answers"


def test_a_path_with_a_nul_and_a_row_with_half_an_emoji_are_refused(tmp_path: Path) -> None:
    from tasks import declare
    from unify import own

    (tmp_path / "a.yaml").write_text('base: "x\\0.yaml"\n')
    with pytest.raises(DeclarationError, match="cannot be read"):
        declare.read(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_bytes(b"type: \xff")
    with pytest.raises(DeclarationError, match="not YAML"):
        declare.read(tmp_path / "b.yaml")
    rows = [{"text": "a \ud800", "label": "glad"}]
    task = own.task_from_rows(rows, tmp_path, "classify", {"labels": ["glad", "sad"]})
    with pytest.raises(UnifyError):
        list(task.examples("data"))


class Evil:
    """Pickled, it makes a folder when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.mark),))


CODE = """
from pathlib import Path
Path({mark!r}).mkdir()
from transformers import PretrainedConfig
class Weird(PretrainedConfig):
    model_type = "weird"
"""


def test_a_model_folder_that_brings_code_is_refused(tmp_path: Path) -> None:
    mark = tmp_path / "reached"
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weird.py").write_text(CODE.format(mark=str(mark)))
    (folder / "config.json").write_text(
        json.dumps({"model_type": "weird", "auto_map": {"AutoConfig": "weird.Weird"}})
    )
    with pytest.raises(ConfigError, match="no model could be loaded"):
        backbones.load_pretrained(str(folder), format="extract")
    assert not mark.exists()


def test_a_run_whose_weights_are_code_is_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "reached"
    folder = tmp_path / "run"
    Unified(tiny("bert", "extract"), FORMATS["extract"]()).save(folder)
    model = folder / "model"
    (model / "model.safetensors").unlink()
    torch.save({"weight": Evil(mark)}, model / "pytorch_model.bin")
    with pytest.raises(Exception):  # noqa: B017  (transformers says what it likes)
        runs.load_run(folder)
    assert not mark.exists()


def test_a_configuration_names_only_what_the_tables_hold() -> None:
    backbone = tiny("bert", "extract")
    learner = {"name": "os.system", "optimization": {}}
    with pytest.raises(UnknownName, match=r"unknown learner 'os\.system'"):
        build.build_learner(learner, backbone)
    with pytest.raises(UnknownName, match=r"unknown format 'os\.system'"):
        build.build_format({"name": "os.system"})
    with pytest.raises(UnknownName, match="unknown head"):
        backbones.build(
            architecture="bert", config={}, tokenizer=backbone.coder.tokenizer, format="extract",
            head="os.system", head_options={}, window=64, max_target=8,
        )


@pytest.mark.parametrize("phrase", [2.5, None, ""])
def test_phrases_that_are_no_texts_are_named(phrase: Any) -> None:
    model = Unified(tiny("bert", "extract"), FORMATS["extract"]())
    with pytest.raises(RowError, match="head"):
        model.relate("Ann knows Bob", phrase, "Bob", ["friend", "none"])
