"""Models whose tokenizer has a chat template: demonstrations as turns, or in one turn."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from unify_helpers import ML, chatty, tiny

from formats.errors import ConfigError
from tasks import catalogue
from unify.backbones import load_pretrained
from unify.cli import main
from unify.data.chat import Chat
from unify.evaluation import Evaluation
from unify.few_shot import FewShot, evaluate_shots

INST = (  # strips its texts, and writes a blank before an answer
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content | trim }} "
    "[/INST]{% else %} {{ m.content | trim }}{{ eos_token }}{% endif %}{% endfor %}"
)
DIALOGUE = ["Dogs are quick.\n", " glad", "Boats so slow?"]


@pytest.mark.parametrize("template", [ML, INST], ids=["signs", "words"])
def test_tokens_are_the_templates_own(template: str) -> None:
    backbone = chatty(template)
    chat = Chat(backbone.coder)
    ids, answers = chat.answered(DIALOGUE, ["glad", "sad"])
    tokenizer = backbone.coder.tokenizer
    messages = [{"role": ("user", "assistant")[i % 2], "content": t}
                for i, t in enumerate(DIALOGUE)]  # fmt: skip
    for word, answer in zip(("glad", "sad"), answers, strict=True):
        whole = tokenizer.apply_chat_template(
            [*messages, {"role": "assistant", "content": word}], tokenize=True, return_dict=False
        )
        assert [*ids, *answer] == list(whole)[: len(ids) + len(answer)]
        assert len(whole) - len(ids) - len(answer) <= 2  # a line break behind the last sign
    assert ids.count(tokenizer.bos_token_id) == 1
    end = "<|im_end|>" if template == ML else tokenizer.eos_token
    assert answers[0][-1] == tokenizer.convert_tokens_to_ids(end) == chat.coder.layout.eos


def test_texts_never_become_signs() -> None:
    chat = Chat(chatty().coder)
    ids, _ = chat.answered(["so <|im_end|> what"], ["x"])
    assert ids.count(chat.coder.layout.eos) == 1  # the template's own


@pytest.mark.parametrize("mode", ["turns", "one_turn"])
def test_demonstrations_are_shared_and_signs_stand_once(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = chatty()
    given: list[list[int]] = []
    from unify.backbones import tree

    def spy(rows: Any, layout: Any, start: Any) -> Any:
        coded = lowered(rows, layout, start)
        given.extend(list(c.ids) for c in coded)
        return coded

    lowered = tree.lowered
    monkeypatch.setattr(tree, "lowered", spy)
    few = FewShot(shots=(3,), chat=mode, style="plain")
    (result,) = evaluate_shots(
        backbone, catalogue.load("mapping_304"), build_generate(), "test", few,
        Evaluation(resamples=5), limits=lambda split: 9,
    )  # fmt: skip
    bos, start = backbone.layout.bos, backbone.coder.tokenizer.convert_tokens_to_ids("<|im_start|>")
    assert result.rows == 9 and "unshared" not in result.notes
    assert all(ids.count(bos) == 1 for ids in given)
    assert {ids.count(start) for ids in given} == {8 if mode == "turns" else 2}
    assert backbone.engine.path == "shared"
    assert backbone.engine.work.tokens < sum(map(len, given)) / 3

    alone = chatty()
    (again,) = evaluate_shots(
        alone, catalogue.load("mapping_304"), build_generate(), "test", few,
        Evaluation(resamples=5, shared=False), limits=lambda split: 9,
    )  # fmt: skip
    assert again.value == result.value


def test_rows_of_another_template_are_not_kept(tmp_path: Path) -> None:
    few = FewShot(shots=(3,), chat="turns", style="plain")
    passes = []
    other = ML.replace("<|im_start|>{{ m.role }}", "<|im_start|>all {{ m.role }}")
    assert other != ML
    for template in (ML, ML, other):
        backbone = chatty(template)
        seen: list[int] = []
        backbone.model.register_forward_hook(lambda *_, seen=seen: seen.append(1))
        evaluate_shots(
            backbone, catalogue.load("mapping_304"), build_generate(), "test", few,
            Evaluation(resamples=5, predictions=tmp_path), limits=lambda split: 9,
        )  # fmt: skip
        passes.append(len(seen))
    assert passes[1] < passes[0] <= passes[2]


def build_generate() -> Any:
    from formats import Generate

    return Generate()


def test_demonstrations_that_do_not_fit_are_dropped_and_counted() -> None:
    few = FewShot(shots=(8,), chat="turns", style="plain", budget=120)
    (result,) = evaluate_shots(
        chatty(), catalogue.load("mapping_304"), build_generate(), "test", few,
        Evaluation(resamples=5), limits=lambda split: 9,
    )  # fmt: skip
    assert 9 <= result.notes["dropped_demonstrations"] < 72


def test_a_chat_model_is_evaluated_from_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = chatty()
    backbone.model.save_pretrained(tmp_path / "model")
    backbone.coder.tokenizer.save_pretrained(tmp_path / "model")
    assert load_pretrained(
        str(tmp_path / "model"), format="generate", head="auto", window=400, head_options={},
        max_target=12,
    ).coder.tokenizer.chat_template  # fmt: skip
    monkeypatch.chdir(tmp_path)
    found = {}
    for mode in ("auto", "turns", "one_turn", "off"):
        ask = ["evaluate", "model=hf", "model.name=model", "suite=mappings", f"name={mode}",
               "suite.unseen=[mapping_304]", "suite.limits.test=4", "evaluation.resamples=5",
               "evaluation.shots=[2]", "evaluation.style=plain", f"evaluation.chat={mode}"]
        assert main(ask) == 0
        folder = tmp_path / "runs" / mode
        (path,) = folder.rglob("mapping_304.jsonl")
        found[mode] = [json.loads(line)["scores"] for line in path.read_text().splitlines()]
        said = "chat template" in (folder / "report.json").read_text()
        assert said == (mode != "off")
    assert found["auto"] == found["turns"]
    assert len({json.dumps(f) for f in found.values()}) == 3


def test_chats_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="no chat template"):
        Chat(chatty(None).coder)
    with pytest.raises(ConfigError, match="refuses turns"):
        Chat(chatty("{{ raise_exception('never') }}").coder)
    with pytest.raises(ConfigError, match="every message once"):
        Chat(chatty("{{ messages[0].content }}").coder)
    with pytest.raises(ConfigError, match="channel scoring in a chat"):
        FewShot(chat="turns", direction="channel")
    seq2seq = copy.deepcopy(tiny("t5", "generate").coder)
    seq2seq.tokenizer.chat_template = ML
    with pytest.raises(ConfigError, match="a seq2seq model"):
        Chat(seq2seq)
