"""Exported folders, loaded by transformers alone: the same predictions as the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from unify_helpers import tiny

import formats
from formats.errors import ConfigError, RunError
from unify import Unified
from unify.backbones import Backbone, build
from unify.backbones.factory import HEADS
from unify.cli import main
from unify.export import export
from unify.export.plain import _MAKE
from unify.report.data import Report, write_json
from unify.results import TaskResult
from unify.runs import write_facts

TEXT, LABELS = "Ann keeps three red boats in the harbour of Port Lund.", ["boats", "dogs", "rain"]


def saved(backbone: Backbone, format: str, folder: Path, **settings: Any) -> Unified:
    """A run folder with a report, as a finished run leaves it."""
    model = Unified(backbone, formats.FORMATS[format](**settings), seen=["sample_trade_goods"])
    model.save(folder)
    result = TaskResult(
        "sea", "TextClassification", format, "accuracy", 0.725, 0.7, 0.75, 200,
        {"majority": 0.25, "random": 0.125}, 1.0,
    )  # fmt: skip
    write_json(Report("t", [result], seen=["sample_trade_goods"]), folder / "report.json")
    write_facts(folder, seen=["sample_trade_goods", "imported_elsewhere"])
    return model


def roformer(**head: Any) -> Backbone:
    """The default encoder's shape: no token types."""
    from format_tokenizers import made

    torch.manual_seed(0)
    return build(
        architecture="roformer", tokenizer=made("bpe"), format="entail", head_options=head,
        window=96,
        config={"hidden_size": 32, "embedding_size": 32, "num_hidden_layers": 2,
                "num_attention_heads": 2, "intermediate_size": 48, "type_vocab_size": 1,
                "max_position_embeddings": 96},
        init={"std": 0.3, "head_std": 0.5},
    )  # fmt: skip


def entails(name: str) -> Backbone:
    if name == "roformer":
        return roformer(act="gelu")
    if name == "nsp":
        return tiny("bert", "entail", "nsp", tokenizer="wordpiece", spread=3.0)
    return tiny("bert", "entail", tokenizer="wordpiece", spread=3.0)


@pytest.mark.parametrize("name", ["bert", "nsp", "roformer"])
def test_entail_runs_are_zero_shot_pipelines_with_the_same_scores(
    name: str, tmp_path: Path
) -> None:
    from transformers import pipeline

    model = saved(entails(name), "entail", tmp_path / "run")
    note = export(tmp_path / "run", tmp_path / "out")
    assert note["hypothesis_template"] == "Which label fits? {}"
    ask = pipeline("zero-shot-classification", model=str(tmp_path / "out"))
    template = note["hypothesis_template"]
    for several in (False, True):
        theirs = ask(TEXT, LABELS, hypothesis_template=template, multi_label=several)
        ours = model.classify(TEXT, LABELS, several=several, instruction="Which label fits?").scores
        assert ours is not None and len(set(ours.values())) == 3
        for label, score in zip(theirs["labels"], theirs["scores"], strict=True):
            assert score == pytest.approx(ours[label], abs=1e-5)


@pytest.mark.parametrize("name", ["bert", "modernbert"])
def test_extract_runs_answer_questions(name: str, tmp_path: Path) -> None:
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer

    tokenizer = "wordpiece" if name == "bert" else "bpe"
    made = tiny(name, "extract", tokenizer=tokenizer)
    with torch.no_grad():
        made.head.out.bias += 2.0  # type: ignore[operator, union-attr]  # some spans are answers
    model = saved(made, "extract", tmp_path / "run")
    note = export(tmp_path / "run", tmp_path / "out")
    assert note["auto"] == "AutoModelForQuestionAnswering" and note["off"] < 1e-4
    reader = AutoTokenizer.from_pretrained(tmp_path / "out")
    plain = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "out").eval()
    found: list[str] = []
    for question in ("Who keeps the boats?", "Where are they?", "How many?"):
        given = reader(question, TEXT, return_tensors="pt", return_offsets_mapping=True)
        offsets = given.pop("offset_mapping")[0].tolist()
        with torch.inference_mode():
            out = plain(**given)
        start, end = out.start_logits[0].tolist(), out.end_logits[0].tolist()
        inside = [i for i, s in enumerate(given.sequence_ids(0)) if s == 1]
        answers = [
            (start[s] + end[e], s, e)
            for s in inside
            for e in inside
            if s <= e and start[s] > 0 and end[e] > 0
            and not any(start[t] > 0 for t in range(s + 1, e + 1))
            and not any(end[t] > 0 for t in range(s, e))
        ]  # fmt: skip
        best = [TEXT[offsets[s][0] : offsets[e][1]] for _, s, e in sorted(answers)[-1:]]
        assert model.answer(question, TEXT, unanswerable=True).answer == best
        found += best
    assert found


@pytest.mark.parametrize("name", ["llama", "t5"])
def test_language_models_write_and_rank_alike(name: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    model = saved(tiny(name, "generate"), "generate", tmp_path / "run")
    note = export(tmp_path / "run", tmp_path / "out")
    auto = {"llama": AutoModelForCausalLM, "t5": AutoModelForSeq2SeqLM}[name]
    assert note["auto"] == auto.__name__
    reader = AutoTokenizer.from_pretrained(tmp_path / "out")
    plain = auto.from_pretrained(tmp_path / "out").eval()
    source = next(iter(model.format.encode(*generation(model)))).source
    given = reader(source, return_tensors="pt")
    given.pop("token_type_ids", None)
    with torch.inference_mode():
        out = plain.generate(**given)[0]
    start = given.input_ids.shape[1] if name == "llama" else 1
    text = reader.decode(out[start:], skip_special_tokens=True).strip()
    assert text and text == model.generate(TEXT).answer


def generation(model: Unified) -> Any:
    from formats.examples import TextGeneration
    from formats.prompts import default_prompt

    example = TextGeneration("input", TEXT)
    return example, default_prompt(example.kind)


def test_what_no_plain_class_computes_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    saved(
        tiny("bert", "extract", "global_pointer", tokenizer="wordpiece"), "extract", tmp_path / "g"
    )
    with pytest.raises(ConfigError, match="no plain Hugging Face class computes what the head glo"):
        export(tmp_path / "g", tmp_path / "out")
    saved(
        roformer(), "entail", tmp_path / "tanh"
    )  # RoFormer's own classifier has another activation
    with pytest.raises(ConfigError, match="the plain class gives other scores") as caught:
        export(tmp_path / "tanh", tmp_path / "out")
    assert "model.head_options.act=gelu" in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["g", "tanh"]
    assert set(_MAKE) <= set(HEADS)


def test_the_card_tells_what_the_report_knows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(entails("bert"), "entail", tmp_path / "run")
    run, to = f"run={tmp_path / 'run'}", f"to={tmp_path / 'out'}"
    monkeypatch.setenv("HF_HOME", str(tmp_path / "nobody"))
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert main(["export", run, to, "push=me/it"]) == 1
    assert "hf auth login" in capsys.readouterr().err and not (tmp_path / "out").exists()
    assert main(["export", run, to]) == 0
    text = (tmp_path / "out" / "README.md").read_text()
    for part in ("pipeline_tag: zero-shot-classification", "72.5", "70.0 to 75.0", "majority 25.0",
                 "sample_trade_goods", "unknown here", "Which label fits? {}",
                 "**Regression**"):  # fmt: skip
        assert part in text
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert names == {"README.md", "unify.json", "config.json", "model.safetensors",
                     "tokenizer.json",
                     "tokenizer_config.json"}  # fmt: skip
    assert json.loads((tmp_path / "out" / "config.json").read_text())["label2id"]["entailment"] == 1
    with pytest.raises(RunError, match="something stands here already"):
        export(tmp_path / "run", tmp_path / "out")
    assert main(["export", "lm-eval2", run, to]) == 1
