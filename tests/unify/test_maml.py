"""Gradient-based meta-learning, against finite differences and closed forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from unify_helpers import tiny

from formats import FORMATS
from formats.errors import ConfigError
from tasks import catalogue
from unify.build import build_loggers, build_trainer
from unify.callbacks import Randomness
from unify.data import Preparation, TaskFeatures, prepare
from unify.learners import MAML, Optimization
from unify.learners.maml import adapt
from unify.quiet import quiet

quiet()
NAMES = ("mapping_000", "mapping_001", "mapping_002")


def test_the_closed_form_of_a_quadratic() -> None:
    """One step on a(w-1)^2/2 from w: w' = w - r·a(w-1). The outer loss w'^2/2 has the derivative
    w'(1 - r·a) through the step, and w' without."""
    a, r = 3.0, 0.1
    for through, slope in ((True, 1 - r * a), (False, 1.0)):
        w = torch.tensor(2.0, requires_grad=True)
        moved = adapt(lambda p: a * (p["w"] - 1) ** 2 / 2, {"w": w}, 1, r, through=through)["w"]
        assert float(moved) == pytest.approx(2 - r * a)
        (grad,) = torch.autograd.grad(moved**2 / 2, w)
        assert float(grad) == pytest.approx((2 - r * a) * slope)


def test_weights_that_do_not_move() -> None:
    w, v = (torch.tensor(x, requires_grad=True) for x in (2.0, 5.0))
    found = adapt(lambda p: p["w"] ** 2 * p["v"], {"w": w, "v": v}, 2, 0.01, inner=["w"])
    assert found["v"] is v and float(found["w"]) == pytest.approx(2 * (1 - 0.1) ** 2)


def learner(variant: Any, architecture: str = "llama", **more: Any) -> tuple[MAML, Any]:
    backbone = tiny(architecture, "generate", spread=2.0, window=64)
    settings = {"shots": 3, "queries": 2, "inner_steps": 2, **more}
    made = MAML(backbone, variant=variant, **settings)
    p = Preparation(FORMATS["generate"](), backbone.coder, "train", train=True, limit=12)
    train = [TaskFeatures(n, prepare(catalogue.load(n), p)) for n in NAMES]
    rates = dict.fromkeys(NAMES, 1 / 3)
    data = made.data((), train, rates, p.format, batch_size=2)
    return made, data


@pytest.mark.parametrize("variant", ["maml", "anil"])
@pytest.mark.parametrize("architecture", ["gpt2", "bart"])  # float64 throughout
def test_the_outer_gradient_is_that_of_finite_differences(
    variant: str, architecture: str
) -> None:
    # One row each: in float64 the attention of a padded position is not a number.
    made, data = learner(variant, architecture, inner_lr=0.1, shots=1, queries=1)
    made.double()
    language: Any = made.backbone

    def in_full_precision(batch: Any) -> torch.Tensor:
        found = language.targets(batch)
        return torch.nn.functional.cross_entropy(found.logits, found.ids, reduction="sum")

    language.loss = in_full_precision  # the backbone's own is summed in float32
    support, query = data.pair(data.plan.step(0)[0][0])
    weights = [p for p in made.backbone.parameters() if p.requires_grad]
    grads = torch.autograd.grad(made.outer(support, query), weights, allow_unused=True)
    assert all(g is not None for g in grads)
    torch.manual_seed(0)
    way = [torch.randn_like(p) for p in weights]
    slope = float(sum((g * d).sum() for g, d in zip(grads, way, strict=True)))

    def moved(by: float) -> float:
        with torch.no_grad():
            for p, d in zip(weights, way, strict=True):
                p.add_(d, alpha=by)
        value = float(made.outer(support, query).detach())
        with torch.no_grad():
            for p, d in zip(weights, way, strict=True):
                p.add_(d, alpha=-by)
        return value

    step = 1e-5
    assert slope == pytest.approx((moved(step) - moved(-step)) / (2 * step), rel=1e-4)


def test_first_order_gradients() -> None:
    made, data = learner("fomaml", inner_lr=0.1)
    support, query = data.pair(data.plan.step(0)[0][0])
    given = dict(made.mean_loss.named_parameters())

    def at(weights: Any, batch: Any) -> Any:
        return torch.func.functional_call(made.mean_loss, weights, (batch,))

    adapted = adapt(lambda w: at(w, support), given, 2, 0.1, through=False)
    adapted = {n: w.detach().requires_grad_() for n, w in adapted.items()}
    wanted = torch.autograd.grad(at(adapted, query), list(adapted.values()))
    found = torch.autograd.grad(made.outer(support, query), list(given.values()))
    for a, b in zip(found, wanted, strict=True):
        assert torch.allclose(a, b, atol=1e-6)
    made.variant = "reptile"
    value = made.outer(support, query)
    pulls = torch.autograd.grad(value, list(given.values()))
    for pull, p, w in zip(pulls, given.values(), adapted.values(), strict=True):
        assert torch.allclose(pull, p - w, atol=1e-6)
    assert float(value) == pytest.approx(float(at(adapted, query)), abs=1e-5)


def test_support_and_query_share_no_row() -> None:
    _, data = learner("fomaml")
    for drawn in data.plan.step(0)[0]:
        support, query = data.pair(drawn)
        rows = [r.row for r in (*support.rows, *query.rows)]
        assert len(set(rows)) == len(rows) == 5 and len(support.rows) == 3


@pytest.mark.parametrize("variant", ["maml", "reptile"])
def test_a_run_and_its_parts(variant: str, tmp_path: Path) -> None:
    found = []
    for parts in (1, 2):
        backbone = tiny("llama", "generate", spread=1.0, window=64)
        made = MAML(backbone, Optimization(lr=1e-3, schedule="constant", warmup=0.0),
                    variant=variant, shots=3, queries=2, inner_steps=1)  # type: ignore[arg-type]
        p = Preparation(FORMATS["generate"](), backbone.coder, "train", train=True, limit=12)
        train = [TaskFeatures(n, prepare(catalogue.load(n), p)) for n in NAMES]
        data = made.data((), train, dict.fromkeys(NAMES, 1 / 3), p.format, batch_size=2,
                         parts=parts)
        pl.seed_everything(0, workers=True, verbose=False)
        trainer = build_trainer(
            {"accelerator": "cpu", "devices": 1, "precision": "32-true", "max_steps": 2,
             "val_check_interval": None, "gradient_clip_val": 1.0, "early_stopping": None,
             "checkpoint_every": 2, "threads": None},
            tmp_path / str(parts),
            build_loggers({"csv": False, "tensorboard": False}, tmp_path), [Randomness()], parts,
        )
        before = torch.cat([p.detach().cpu().flatten().clone() for p in backbone.parameters()])
        trainer.fit(made, datamodule=data)
        after = torch.cat([p.detach().cpu().flatten() for p in backbone.parameters()])
        assert not torch.equal(before, after)
        found.append(after)
    assert torch.allclose(found[0], found[1], atol=1e-5)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="unknown variant"):
        learner("odd")
    with pytest.raises(ConfigError, match="does nothing"):
        learner("maml", inner_lr=0.0)
    with pytest.raises(ConfigError, match="no weight for inner steps"):
        learner("anil", inner=["nothing*"])
    made, data = learner("fomaml")
    made.shots = 40
    with pytest.raises(ConfigError, match="fewer rows"):
        made.data((), data.train, dict.fromkeys(NAMES, 1.0), FORMATS["generate"]())
