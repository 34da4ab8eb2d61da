"""TransPrompt: its formulas by hand, and a prompt that two tasks share."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from unify_helpers import shots_of

from formats.errors import ConfigError
from tasks import catalogue
from unify import backbones
from unify.prompts import saved, transprompt
from unify.prompts.shots import trainable
from unify.tuning import attach


def test_a_fifth_of_the_prompt_is_universal() -> None:
    found = transprompt.mixed(torch.tensor([[1.0, 10.0]]), torch.tensor([[2.0, 0.0]]))
    assert found.tolist() == [[pytest.approx(0.2 + 1.6), pytest.approx(2.0)]]


def test_prototypes_are_means_of_their_class() -> None:
    hidden = torch.tensor([[1.0, 0.0], [3.0, 2.0], [0.0, 5.0]])
    found = transprompt.prototypes(hidden, torch.tensor([1, 1, 0]), 3)
    assert found.tolist() == [[0.0, 5.0], [2.0, 1.0], [0.0, 0.0]]


def test_a_typical_row_counts_more() -> None:
    """Cosines 1 and 0 with the prototypes of its classes: e / (e + 1)."""
    centres = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    own = transprompt.typical(torch.tensor([[5.0, 0.0], [5.0, 0.0]]), torch.tensor([0, 1]), centres)
    sure = math.e / (math.e + 1)
    assert own.tolist() == pytest.approx([sure, 1 - sure])
    other = torch.tensor([0.2, 0.6])
    mean = [(0.5 * sure + 0.1), (0.5 * (1 - sure) + 0.3)]
    found = transprompt.weights(own, [other], 0.5)
    assert found.tolist() == pytest.approx([m / (sum(mean) / 2) for m in mean], rel=1e-5)
    assert transprompt.weights(own, []).tolist() == pytest.approx([2 * sure, 2 * (1 - sure)])


def test_the_loss_takes_entropy_off() -> None:
    scores = np.array([[2.0, 0.0], [0.0, 1.0]])
    log = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    crossed = -log[[0, 1], [0, 0]]
    entropy = -(np.exp(log) * log).sum(1).mean()
    expected = (np.array([1.5, 0.5]) * crossed).mean() - 0.1 * entropy
    found = transprompt.debiased(torch.tensor(scores), torch.tensor([0, 0]),
                                 torch.tensor([1.5, 0.5]), 0.1)  # fmt: skip
    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_tasks_share_a_prompt_that_is_saved_folded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shots = shots_of(tmp_path, ("dogs", "7777"), steps=4)
    other = replace(shots.task, name="other", lineage=frozenset({"elsewhere"}))
    alike = replace(other, lineage=shots.task.lineage)
    monkeypatch.setattr(catalogue, "load", {"other": other, "alike": alike}.get)
    with pytest.raises(ConfigError, match="scored on"):
        transprompt.transprompt(shots, {"tasks": ["alike"]})
    layout = shots.start.coder.layout
    learned = transprompt.transprompt(shots, {"length": 3, "tasks": ["other"]})
    assert learned.notes[0].startswith("2 tasks") and learned.met == ("other",)
    assert learned.backbone.coder.layout == layout
    assert isinstance(learned.again, saved.Kept) and learned.again.soft == 3
    backbones.save(learned.backbone, tmp_path / "model")
    saved.write(tmp_path / "model", learned.again, "classify", shots.labels, learned.notes,
                learned.extra)  # fmt: skip
    again = saved.load(tmp_path / "model")
    before = learned.scores(shots.train)
    assert torch.allclose(before, again.scores(shots.train), atol=1e-5)
    vectors = dict(learned.extra.named_parameters())["vectors"]  # type: ignore[union-attr]
    with torch.no_grad():
        vectors.copy_(5 * torch.randn_like(vectors))
    assert not torch.allclose(before, learned.scores(shots.train), atol=1e-3)  # it is read


def test_a_tuning_is_trained_beside_the_prompt(tmp_path: Path) -> None:
    shots = shots_of(tmp_path, ("dogs", "7777"), steps=4, lr=3e-2)
    soft = replace(shots, start=shots.model())
    adapters = attach(shots.start, {"name": "adapter"})
    assert adapters is not None
    learned = transprompt.transprompt(shots, {"length": 3})
    prompts = transprompt.Prompts(torch.zeros(3, 32), 1, 128, 0.2)
    assert learned.trained == trainable(adapters, prompts)
    backbones.save(learned.backbone, tmp_path / "model")
    saved.write(tmp_path / "model", learned.again, "classify", shots.labels, learned.notes,
                learned.extra)  # fmt: skip
    again = saved.load(tmp_path / "model").scores(shots.train)
    assert torch.allclose(learned.scores(shots.train), again, atol=1e-5)
    attach(soft.start, {"name": "prompt", "length": 2})
    with pytest.raises(ConfigError, match="within a prompt"):
        transprompt.transprompt(soft, {"length": 3})
