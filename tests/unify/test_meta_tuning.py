"""Meta-tuning: the loss over a row's descriptions by hand, and the weights that are kept."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from unify_helpers import mood_task, stored, tiny

from formats.collate import collate
from formats.errors import ConfigError, UnknownName
from formats.examples import LabelSpace, MultiLabelClassification, TextClassification
from formats.instances import EntailInstance, Entailment
from unify.answers import option_scores, relative_odds
from unify.backbones.losses import label_loss
from unify.evaluation import Evaluation
from unify.learners import MetaTuning


def test_label_loss_by_hand() -> None:
    # Two rows of one true hypothesis; one with none, one with two, one of a share, one alone.
    odds = torch.tensor([0.0, math.log(3.0), 1.0, 1.0, 1.0, 5.0, 5.0, 2.0, 3.0, 0.0, 0.0, 4.0])
    gold = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.6, 0.4, 1.0])
    rows = torch.tensor([0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5])
    loss, single = label_loss(odds, gold, rows)
    expected = [math.log(4 / 3)] * 2 + [math.log(3)] * 3 + [0.0] * 7
    assert loss.tolist() == pytest.approx(expected, abs=1e-6)
    assert single.tolist() == [True] * 5 + [False] * 7


def test_label_loss_of_nothing() -> None:
    loss, single = label_loss(torch.zeros(0), torch.zeros(0), torch.zeros(0, dtype=torch.long))
    assert loss.sum().item() == 0.0 and single.tolist() == []


def batch_of(backbone: Any) -> Any:
    said = {"Ann keeps boats.": [("boats", 1.0), ("dogs", 0.0)],
            "Bob sings.": [("songs", 1.0), ("joy", 1.0)]}  # fmt: skip
    groups = [[EntailInstance(p, h, yes) for h, yes in asked] for p, asked in said.items()]
    return collate(stored(backbone, *groups), backbone.layout, "entail")


@pytest.mark.parametrize("head", ["dual", "pair"])
def test_the_three_losses(head: str) -> None:
    backbone: Any = tiny("bert", "entail", head)
    batch = batch_of(backbone)
    with torch.no_grad():
        odds = backbone.odds(batch).tolist()
        found = {
            loss: MetaTuning(backbone, loss=loss).summed(batch).item()
            for loss in ("yes", "labels", "both")
        }
    signs = [-1, 1, -1, -1]
    each = [math.log1p(math.exp(s * o)) for s, o in zip(signs, odds, strict=True)]
    chosen = 2 * math.log1p(math.exp(odds[1] - odds[0]))  # a row of two: twice its entropy
    assert found["yes"] == pytest.approx(sum(each), rel=1e-4)
    assert found["labels"] == pytest.approx(chosen + sum(each[2:]), rel=1e-4)
    assert found["both"] == pytest.approx(chosen + sum(each), rel=1e-4)


@pytest.mark.parametrize("start", [0.0, 0.25, 1.0])
def test_the_kept_weights_lie_between(start: float) -> None:
    backbone: Any = tiny("bert", "entail", "dual")
    learner = MetaTuning(backbone, start=start)
    first = backbone.head.bias.item()
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(4.0)
    learner.on_fit_end()
    assert backbone.head.bias.item() == pytest.approx(first + 4.0 * (1 - start), abs=1e-6)
    assert bool(learner.notes()) == (start > 0)


def test_refusals() -> None:
    backbone = tiny("bert", "entail", "dual")
    with pytest.raises(UnknownName):
        MetaTuning(backbone, loss="labell")
    with pytest.raises(ConfigError):
        MetaTuning(backbone, start=1.5)
    words = tiny("llama", "entail")
    assert MetaTuning(words, loss="yes").summed is not None
    with pytest.raises(ConfigError, match="answers in words"):
        MetaTuning(words, loss="labels")


def test_relative_odds_by_hand() -> None:
    # Shares 1/2, 1/4, 1/4: odds 1, 1/3, 1/3.
    found = relative_odds([math.log(2.0), 0.0, 0.0])
    assert found == pytest.approx([0.0, -math.log(3), -math.log(3)], abs=1e-12)
    assert relative_odds([900.0, 1000.0]) == pytest.approx([-100.0, 100.0])
    assert relative_odds([1.5]) == (1.5,)


def test_only_options_of_which_one_is_right_are_relative() -> None:
    labels = LabelSpace(("glad", "sad"))
    raws = [Entailment(3.0), Entailment(1.0)]
    one = TextClassification("t/data/0", "a", labels, gold="sad")
    several = MultiLabelClassification("t/data/0", "a", labels, gold=frozenset({"sad"}))
    assert option_scores(one, raws) == (3.0, 1.0)
    assert option_scores(one, raws, True) == (2.0, -2.0)
    assert option_scores(several, raws, True) == (3.0, 1.0)


def test_metrics_that_are_asked_for_come_first(tmp_path: Path) -> None:
    task = mood_task(tmp_path, metric="macro_f1")
    asked = Evaluation(metrics=("auc", "map", "rouge_l")).measuring(task)
    assert (asked.metric, *asked.also) == ("auc", "map", "macro_f1")
    assert Evaluation().measuring(task) is task
    with pytest.raises(UnknownName):
        Evaluation(metrics=("auk",)).measuring(task)
