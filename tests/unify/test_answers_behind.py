"""Free answers behind demonstrations; queries that do not fit; demonstrations of every label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from unify_helpers import chatty, greedy, stored, tiny

from formats import Generate
from formats.errors import ConfigError
from formats.instances import GenerateInstance
from tasks import catalogue
from tasks.task import Task
from unify import own
from unify.backbones import Backbone
from unify.evaluation import Evaluation
from unify.few_shot import FewShot, evaluate_shots
from unify.results import TaskResult

ASK = Generate()


def goes_on() -> Backbone:
    """A model that writes ``glad`` and then line breaks, whatever stands before."""
    backbone = tiny("gpt2", "generate", window=1500, max_target=150,
                    config={"n_positions": 1500})
    word, line = backbone.coder.ids([" glad"])[0][-3:], backbone.coder.ids(["\n"])[0][-1]
    following = dict(zip(word, [*word[1:], line], strict=True)) | {line: line}

    def next_only(module: Any, args: Any, output: torch.Tensor) -> torch.Tensor:
        ids = seen[-1]
        wanted = [[following.get(int(i), word[0]) for i in row] for row in ids]
        made = torch.full_like(output, -30.0)
        kept = torch.tensor(wanted)[:, -output.shape[1] :]
        return made.scatter(-1, kept[..., None], 30.0)

    seen: list[torch.Tensor] = []

    def note(module: Any, args: Any, kwargs: Any) -> None:
        seen.append(kwargs["input_ids"])

    backbone.model.register_forward_pre_hook(note, with_kwargs=True)
    backbone.model.get_output_embeddings().register_forward_hook(next_only)
    return backbone


def shots_result(
    backbone: Backbone, task: Task, few: FewShot, rows: int = 4, **more: Any
) -> TaskResult:
    (result,) = evaluate_shots(
        backbone, task, ASK, "test" if "test" in task.splits() else "data", few,
        Evaluation(resamples=5, examples=4, **more), limits=lambda split: rows,
    )  # fmt: skip
    return result


def test_an_answer_ends_where_the_next_demonstration_would_begin() -> None:
    task = catalogue.load("sample_farming_goods_card")
    backbone = goes_on()
    alone = shots_result(backbone, task, FewShot(shots=(0,), style="plain"))
    behind = shots_result(backbone, task, FewShot(shots=(2,), style="plain"))
    assert {e["answer"] for e in behind.examples} == {"glad"}
    assert all(len(e["answer"]) > len("glad") + 4 for e in alone.examples)


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "t5"])
def test_what_is_written_up_to_there_is_what_the_model_writes(architecture: str) -> None:
    """With and without a shared prefix: the greedy text, cut at the string that ends it."""
    backbone = tiny(architecture, "generate", spread=3.0)
    begin = "Ann is glad. Bo is quick. "
    sources = [begin + rest for rest in ("Who?", "So, who sails?", "Dogs.")]
    rows = [stored(backbone, [GenerateInstance(s, None)])[0] for s in sources]
    backbone.stop = (" a",)
    found = backbone._write(rows)  # type: ignore[attr-defined]
    for source, partial in zip(sources, found, strict=True):
        ids = greedy(backbone, source, backbone.layout.max_target)
        whole = backbone.coder.tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        assert partial.raw.text == whole.split(" a")[0].strip()


@pytest.mark.parametrize("chat", ["off", "turns"])
def test_a_query_that_does_not_fit_loses_its_beginning_and_is_counted(
    chat: str, tmp_path: Path
) -> None:
    rows = [{"text": f"{'so ' * n}quick", "label": ("glad", "sad")[n % 2]} for n in (1, 120, 2, 3)]
    task = own.task_from_rows(rows, tmp_path, "classify", {"labels": ["glad", "sad"]})
    few = FewShot(shots=(0,), chat=chat, style="plain", budget=90)
    result = shots_result(chatty(window=200), task, few)
    assert result.rows == 4 and result.notes["cut_rows"] == 1 and result.notes["cut_tokens"] > 20


def test_shots_of_every_label(tmp_path: Path) -> None:
    from unify.data.choices import picked
    from unify.data.turns import Turns

    backbone = tiny("gpt2", "generate")
    rows = [{"text": f"{'so ' * n}quick", "label": "glad" if n < 4 else "sad"} for n in range(6)]
    task = own.task_from_rows(rows, tmp_path, "classify", {"labels": ["glad", "sad"]})
    from unify.suite_data import features

    (made,) = features([task], ASK, backbone.coder, "data", "x", train=True)
    few = FewShot(shots=(2,), choose="per_label")
    turns = Turns(task, made, backbone.coder, few.episodes)
    shown = picked("per_label", turns, made.store, 2, 0)
    assert not callable(shown)
    words = [backbone.coder.text(list(t.output)).strip() for t in shown]
    assert sorted(words) == ["glad", "glad", "sad", "sad"]
    with pytest.raises(ConfigError, match="too few examples"):
        picked("per_label", turns, made.store, 3, 0)
    with pytest.raises(ConfigError, match="of every label"):
        FewShot(shots=(2,), choose="per_label", orders="all")


def test_scores_are_computed_once_whatever_asks(tmp_path: Path) -> None:
    """Another rule over the same rows, and another process's worth of the same evaluation."""
    from unify.ranking import Ranking

    task = catalogue.load("mapping_304")
    few = FewShot(shots=(3,), style="plain")
    values, computed = [], []
    for rule in ("sum", "sum", "token", "byte"):
        backbone = tiny("llama", "generate")
        more = {"cache": tmp_path / "scores", "ranking": Ranking(rule=rule)}
        result = shots_result(backbone, task, few, 9, **more)
        values.append(result.value)
        kept = backbone.kept  # type: ignore[union-attr]
        computed.append(kept.computed)  # type: ignore[union-attr]
        assert result.notes.get("kept_scores", 0) == (0 if len(values) == 1 else 27)
    assert computed[0] > 0 and computed[1:] == [0, 0, 0]
    stepped = FewShot(shots=(0, 3), style="plain", steps=(3,), step_lr=5.0)
    tuned = [
        evaluate_shots(
            tiny("llama", "generate"), task, ASK, "test", stepped,
            Evaluation(resamples=5, cache=cache), limits=lambda split: 9,
        )[-1] for cache in (tmp_path / "scores", None)
    ]  # fmt: skip
    assert tuned[0].examples == tuned[1].examples  # other weights, other scores
    plain = shots_result(tiny("llama", "generate"), task, few, 9, ranking=Ranking(rule="sum"))
    assert values[0] == values[1] == plain.value
    other = tiny("llama", "generate", seed=1)
    shots_result(other, task, few, 9, cache=tmp_path / "scores")
    assert other.kept.computed == computed[0]  # type: ignore[union-attr]
