"""Gradient-based meta-learning of a soft prompt alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from unify_helpers import tiny

from formats import FORMATS
from formats.collate import collate
from tasks import catalogue
from unify.data import Preparation, TaskFeatures, prepare
from unify.few_shot import stepped
from unify.learners import MAML
from unify.quiet import quiet
from unify.tuning import attach

quiet()
NAMES = ("mapping_000", "mapping_001")
TABLE = "backbone.tuning.table"


def learner(variant: Any, architecture: str = "llama") -> tuple[MAML, Any]:
    backbone = tiny(architecture, "generate", spread=2.0, window=64)
    attach(backbone, {"name": "prompt", "length": 4})
    made = MAML(backbone, variant=variant, shots=3, queries=2, inner_steps=2, inner_lr=0.5)
    p = Preparation(FORMATS["generate"](), backbone.coder, "train", train=True, limit=12)
    train = [TaskFeatures(n, prepare(catalogue.load(n), p)) for n in NAMES]
    return made, made.data((), train, dict.fromkeys(NAMES, 0.5), p.format, batch_size=2)


@pytest.mark.parametrize("architecture", ["llama", "t5"])
@pytest.mark.parametrize("variant", ["maml", "fomaml", "reptile"])
def test_the_prompt_alone_moves(variant: str, architecture: str) -> None:
    made, data = learner(variant, architecture)
    pairs = [data.pair(d) for d in data.plan.step(0)[0]]
    torch.stack([made.outer(s, q) for s, q in pairs]).sum().backward()
    moved = {n for n, p in made.mean_loss.named_parameters() if p.grad is not None}
    assert moved == {TABLE}
    assert float(dict(made.mean_loss.named_parameters())[TABLE].grad.norm()) > 0  # type: ignore[union-attr]


def test_the_gradient_through_the_steps_is_that_of_finite_differences() -> None:
    made, data = learner("maml")
    support, query = data.pair(data.plan.step(0)[0][0])
    table = dict(made.mean_loss.named_parameters())[TABLE]
    (grad,) = torch.autograd.grad(made.outer(support, query), table)
    way = grad / grad.norm()  # where the loss changes most, which float32 can tell
    with torch.no_grad():
        values = []
        for sign in (1, -1):
            table.add_(sign * 1e-2 * way)
            with torch.enable_grad():
                values.append(float(made.outer(support, query)))
            table.sub_(sign * 1e-2 * way)
    slope = (values[0] - values[1]) / 2e-2
    assert float(grad.norm()) == pytest.approx(slope, rel=1e-2)


def test_adapting_leaves_the_model_as_it_was() -> None:
    made, _ = learner("maml")
    backbone: Any = made.backbone
    p = Preparation(FORMATS["generate"](), backbone.coder, "train", train=True, limit=6)
    store = prepare(catalogue.load("mapping_002"), p)
    rows = [store[i] for i in range(6)]
    batch = collate(rows, backbone.layout, "generate")
    before = backbone.tuning.table.detach().clone()
    with torch.inference_mode():
        first = float(backbone.loss(batch))
    tuned: Any = stepped(backbone, rows, 5, 0.5)
    with torch.inference_mode():
        assert float(tuned.loss(batch)) < first - 1e-3
        assert float(backbone.loss(batch)) == first
    assert torch.equal(backbone.tuning.table, before)
    same = zip(backbone.model.parameters(), tuned.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in same)
