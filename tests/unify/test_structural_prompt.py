"""Trained vectors for the keys and values of a layout."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from format_tokenizers import MAKERS
from format_tokenizers import coder as coder_of
from unify_helpers import moods, stored, tiny

from formats import Generate, QuestionAnswering, default_prompt
from formats.collate import collate
from formats.errors import ConfigError, UnknownName
from unify.backbones import Backbone
from unify.cli import main
from unify.tuning import attach
from unify.tuning.structural import KeyReader, StructuralPrompt

VALUES = {"Task": ["sample_sea", "mood two"], "Domain": ["sea", "land"]}
KEYS = {"Format": ["multiple choice", "extractive"], **VALUES}
PROQA = Generate(layout="proqa")


def tuned(backbone: Backbone, **more: Any) -> StructuralPrompt:
    given = {"layout": "proqa", "length": 2, "values": VALUES, **more}
    made = attach(backbone, {"name": "structural_prompt", **given})
    assert isinstance(made, StructuralPrompt)
    return made


def source(task: str, domain: str, format: str = "extractive", rest: str = "Who sails?") -> str:
    return f"[Format] {format} [Task] {task} [Domain] {domain} [Question] {rest}"


@pytest.mark.parametrize("tokenizer", MAKERS)
def test_values_are_read_from_the_head_of_a_text(tokenizer: str) -> None:
    coder = coder_of(tokenizer)
    if tokenizer == "llama":  # its tokens reach over the blanks between words
        with pytest.raises(ConfigError, match="joins a key and its value"):
            KeyReader(coder, KEYS, "Question")
        return
    reader = KeyReader(coder, KEYS, "Question")

    def found(text: str) -> list[int]:
        return reader.values_of(coder.ids([text])[0])

    assert found(source("mood two", "sea")) == [1, 1, 0]
    assert found(source("sample_sea", "land", "multiple choice")) == [0, 0, 1]
    assert found(source("mood", "sea")) == [1, -1, 0]
    assert found(source("", "", "abstractive")) == [-1, -1, -1]
    assert found("[Format] extractive [Task] sample_sea") == [1, -1, -1]
    assert found("Who sails? [Task] mood two [Domain] sea [Question]") == [-1, -1, -1]
    assert found("") == [-1, -1, -1]


def test_words_of_a_row_are_no_values() -> None:
    """A question that looks like the head of another task's text changes nothing."""
    backbone = tiny("t5", "generate")
    reader = KeyReader(backbone.coder, KEYS, "Question")
    forged = source("", "sea", rest=source("mood two", "land"))
    example = QuestionAnswering("q", "[Task] mood two [Domain] land [Question] Who?", "Ann sails.")
    prompt = replace(default_prompt("answer"), about={"task": "sample_sea", "domain": "sea"})
    (asked,) = PROQA.encode(example, prompt)
    read = [reader.values_of(ids) for ids in backbone.coder.ids([forged, asked.source])]
    assert read == [[1, -1, 0], [1, 0, 0]]


def test_the_vectors_of_a_row() -> None:
    """Indicators 1, 2, 3; then two vectors for each value, 10, 11 and 12, 13 for the first key,
    20 to 23 for the second, 30 to 33 for the third. An unknown one is the mean: 11 and 12."""
    backbone = tiny("t5", "generate")
    tuning = tuned(backbone, values={"Format": ["a", "b"], **VALUES})
    numbers = [1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23, 30, 31, 32, 33]
    with torch.no_grad():
        tuning.table.copy_(torch.tensor(numbers)[:, None].expand(-1, 32))
        rows = tuning.vectors(torch.tensor([[0, 1, 0], [-1, 0, 1]]))
    assert rows.shape == (2, 9, 32) and bool((rows == rows[..., :1]).all())
    assert rows[..., 0].tolist() == [
        [1, 10, 11, 2, 22, 23, 3, 30, 31],
        [1, 11, 12, 2, 20, 21, 3, 32, 33],
    ]


def long(architecture: str) -> Backbone:
    """A model whose window holds a whole row."""
    room = {"max_position_embeddings": 160} if architecture == "bert" else {}
    return tiny(architecture, "generate", window=160, spread=2.0, config=room)


def ask(backbone: Backbone, task: str, domain: str, train: bool = False) -> list[Any]:
    prompt = replace(default_prompt("classify"), about={"task": task, "domain": domain})
    return stored(backbone, *(PROQA.encode(e, prompt) for e in moods(3)), train=train)


@pytest.mark.parametrize("architecture", ["t5", "bert"])
def test_rows_train_the_vectors_of_their_own_values(architecture: str) -> None:
    """Rows of two tasks in one batch, of which one is not among the values: its key trains all."""
    backbone = long(architecture)
    tuning = tuned(backbone)
    batch = collate(ask(backbone, "mood two", "sea", train=True), backbone.layout, "generate")
    backbone.loss(batch).backward()
    moved = (tuning.table.grad != 0).any(-1).tolist()
    keys, formats, tasks, domains = moved[:3], moved[3:9], moved[9:13], moved[13:]
    assert keys == [True] * 3 and formats == [True, True] + [False] * 4
    assert tasks == [False, False, True, True] and domains == [True, True, False, False]
    backbone.zero_grad()
    mixed = [*ask(backbone, "mood two", "sea", True), *ask(backbone, "unmet", "land", True)]
    backbone.loss(collate(mixed, backbone.layout, "generate")).backward()
    moved = (tuning.table.grad != 0).any(-1).tolist()
    assert moved[9:13] == [True] * 4 and moved[13:] == [True] * 4


@pytest.mark.parametrize("architecture", ["t5", "bert"])
def test_what_a_row_gets_does_not_depend_on_its_neighbours(architecture: str) -> None:
    backbone = long(architecture)
    tuned(backbone)
    backbone.eval()
    rows = [*ask(backbone, "mood two", "sea"), *ask(backbone, "sample_sea", "land")]
    with torch.inference_mode():
        together = [p.raw.values for p in backbone.predict(rows)]  # type: ignore[union-attr]
        alone = [backbone.predict([r])[0].raw.values for r in rows]  # type: ignore[union-attr]
        copied = [p.raw.values for p in copy.deepcopy(backbone).predict(rows)]  # type: ignore[union-attr]
    for a, b, c in zip(together, alone, copied, strict=True):
        assert a == pytest.approx(b, abs=1e-4) and a == pytest.approx(c, abs=1e-5)
    assert together[0] != pytest.approx(together[3], abs=1e-4)


def test_refusals() -> None:
    t5 = tiny("t5", "generate")
    with pytest.raises(ConfigError, match="no keys in the texts"):
        tuned(t5, layout=None)
    with pytest.raises(ConfigError, match="no keys in the texts"):
        tuned(t5, layout="unifiedqa")
    with pytest.raises(UnknownName):
        tuned(t5, layout="nothing")
    with pytest.raises(ConfigError, match="without a value of Task"):
        tuned(t5, values={})
    with pytest.raises(ConfigError, match="begins as words"):
        tuned(t5, init="words")
    with pytest.raises(ConfigError, match="causal"):
        tuned(tiny("gpt2", "generate"))


def test_a_run_takes_the_values_of_its_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    quick = [
        "suite.seen=[sample_trade_goods,sample_mining_who]", "suite.unseen=[sample_sea_state]",
        "suite.limits.train=8", "suite.limits.test=4", "trainer.max_steps=2", "data=mixture",
        "trainer.val_check_interval=null", "trainer.early_stopping=null", "trainer.threads=1",
        "data.batch_size=2", "data.validation_rows=2", "evaluation.resamples=10",
        "format=generate", "model=tiny_t5", "learner=structural_prompt",
    ]  # fmt: skip
    assert main(["train", "name=bare", *quick]) == 1
    assert "format.layout=proqa" in capsys.readouterr().err
    given = ["format.layout=proqa", "tuning.values.Domain=[trade,mining]"]
    assert main(["train", "name=one", *quick, *given]) == 0, capsys.readouterr().err
    told = json.loads((tmp_path / "runs/one/model/backbone.json").read_text())["tuning"]
    assert told["settings"]["values"] == {
        "Format": ["multiple choice", "extractive", "abstractive"],
        "Task": ["sample_trade_goods", "sample_mining_who"], "Domain": ["trade", "mining"],
    }  # fmt: skip
    report = json.loads((tmp_path / "runs/one/report.json").read_text())
    assert report["unseen"]["sample_sea_state"]["rows"] == 4
