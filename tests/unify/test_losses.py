"""Losses by hand: literal values, masks, empty sets, and what they are sums over."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from unify_helpers import tiny

from formats.collate import Batch
from unify.backbones.losses import multilabel_loss, yes_loss
from unify.backbones.pair import log_odds
from unify.backbones.span import closed_loss, pair_up, softplus


def zlpr(scores: list[float], gold: set[int], kept: set[int] | None = None) -> float:
    """The loss as the paper writes it, in float64."""
    kept = set(range(len(scores))) if kept is None else kept
    s = np.array(scores, np.float64)
    wrong = sum(np.exp(s[i]) for i in kept - gold)
    right = sum(np.exp(-s[i]) for i in kept & gold)
    return float(np.log1p(wrong) + np.log1p(right))


# Multi-label


def test_zlpr_by_hand() -> None:
    # log(1 + e^1 + e^-1) + log(1 + e^-2)
    loss = multilabel_loss(torch.tensor([1.0, -1.0, 2.0]), torch.tensor([0, 0, 1]))
    assert loss.item() == pytest.approx(1.4076059644 + 0.1269280110, abs=1e-6)
    # Nothing said, nothing gold: log(1 + 3) + log(1).
    assert multilabel_loss(torch.zeros(3), torch.zeros(3)).item() == pytest.approx(math.log(4))
    # All gold: log(1) + log(1 + 3).
    assert multilabel_loss(torch.zeros(3), torch.ones(3)).item() == pytest.approx(math.log(4))


def test_zlpr_agrees_with_the_paper_on_random_sets() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        n = int(rng.integers(1, 9))
        scores = (5 * rng.standard_normal(n)).tolist()
        gold = {i for i in range(n) if rng.random() < 0.4}
        kept = {i for i in range(n) if rng.random() < 0.7}
        tensors = [torch.tensor([float(i in part) for i in range(n)]) for part in (gold, kept)]
        found = multilabel_loss(torch.tensor(scores), *tensors)
        assert found.item() == pytest.approx(zlpr(scores, gold, kept), rel=1e-5, abs=1e-5)


def test_masked_classes_count_on_neither_side() -> None:
    scores = torch.tensor([[1.0, 50.0, -2.0, -50.0], [1.0, -3.0, -2.0, 9.0]])
    gold = torch.tensor([[0, 0, 1, 1], [0, 1, 1, 0]])
    mask = torch.tensor([[1, 0, 1, 0], [1, 0, 1, 0]])
    loss = multilabel_loss(scores, gold, mask)
    assert loss.tolist() == pytest.approx([zlpr([1.0, -2.0], {1})] * 2, rel=1e-6)
    nothing = multilabel_loss(scores, gold, torch.zeros_like(mask))
    assert nothing.tolist() == [0.0, 0.0]


def test_zlpr_pushes_right_up_wrong_down_and_stays_finite() -> None:
    scores = torch.tensor([300.0, -300.0, 0.0], requires_grad=True)
    loss = multilabel_loss(scores, torch.tensor([0, 1, 1]))
    assert loss.item() == pytest.approx(600.0)
    (grad,) = torch.autograd.grad(loss, scores)
    assert torch.isfinite(grad).all() and grad[0] > 0 and grad[1] < 0 and grad[2] <= 0


def closed_batch(closed: list[tuple[int, int, int]], chosen: list[bool]) -> Batch:
    empty = torch.zeros(0)
    return Batch(
        empty, empty, empty, empty, empty, 0.0,
        closed=torch.tensor(closed, dtype=torch.long).reshape(-1, 3),
        chosen=torch.tensor(chosen, dtype=torch.bool),
    )


def test_the_closed_loss_is_one_set_per_sequence() -> None:
    # Sequence 0 lists three candidates, sequence 2 two, sequence 1 none.
    batch = closed_batch(
        [(0, 1, 1), (0, 3, 4), (0, 6, 6), (2, 1, 2), (2, 4, 4)], [False, True, False, True, False]
    )
    scores = torch.tensor([0.5, 2.0, -1.0, -0.3, 0.7])
    expected = zlpr([0.5, 2.0, -1.0], {1}) + zlpr([-0.3, 0.7], {0})
    assert closed_loss(scores, batch).item() == pytest.approx(expected, rel=1e-6)


def test_the_closed_loss_of_nothing_is_zero_and_has_a_gradient() -> None:
    scores = torch.zeros(0, requires_grad=True)
    loss = closed_loss(scores, closed_batch([], []))
    loss.backward()
    assert loss.item() == 0.0


# Yes and no


def test_yes_loss_by_hand() -> None:
    loss = yes_loss(torch.tensor([0.0, 2.0, 2.0, -1.0]), torch.tensor([1.0, 1.0, 0.0, 0.25]))
    expected = [math.log(2), softplus(-2.0), softplus(2.0), softplus(-1.0) + 0.25]
    assert loss.tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("yes", [0, 1])
def test_odds_of_two_classes_are_their_difference(yes: int) -> None:
    logits = torch.tensor([[1.5, -0.5], [-2.0, 3.0]])
    sign = -1.0 if yes else 1.0
    assert log_odds(logits, yes).tolist() == pytest.approx([2.0 * sign, -5.0 * sign])


@pytest.mark.parametrize("yes", [0, 1, 2])
def test_odds_of_three_classes_are_those_of_the_softmax(yes: int) -> None:
    logits = torch.tensor([[1.5, -0.5, 0.2], [-2.0, 3.0, 3.0]], dtype=torch.float64)
    share = logits.softmax(1)[:, yes]
    expected = (share / (1 - share)).log()
    assert torch.allclose(log_odds(logits, yes), expected, atol=1e-12)


def test_softplus() -> None:
    assert softplus(0.0) == pytest.approx(math.log(2))
    assert softplus(1.0) == pytest.approx(math.log1p(math.e))
    assert softplus(1000.0) == 1000.0 and softplus(-1000.0) == 0.0


# Pairs of starts and ends


def answers(found: list[tuple[int, int, float, int]]) -> list[tuple[int, int]]:
    return [(s, e) for s, e, score, _ in found if score > 0]


def test_two_positive_sides_make_an_answer() -> None:
    found = pair_up({2: 1.5}, {4: 0.5}, 20, 48)
    assert found == [(2, 4, 2.0, 0)]


def test_several_answers_pair_with_their_nearest_side() -> None:
    found = pair_up({1: 1.0, 5: 1.0}, {2: 1.0, 7: 3.0}, 20, 48)
    # 1..7 would be the best sum, but another start and another end stand between.
    assert answers(found) == [(5, 7), (1, 2)]
    by_place = {(s, e): score for s, e, score, _ in found}
    assert by_place[1, 7] == pytest.approx(-softplus(-4.0))
    assert set(by_place) == {(1, 2), (1, 7), (5, 7)}


def test_one_positive_side_is_no_answer_and_keeps_its_rank() -> None:
    found = pair_up({1: 3.0, 2: -1.0}, {3: -1.0, 4: -2.0}, 20, 48)
    assert answers(found) == []
    assert [(s, e) for s, e, *_ in found] == [(1, 3), (1, 4), (2, 3), (2, 4)]
    assert [f[2] for f in found] == pytest.approx([-softplus(-t) for t in (2.0, 1.0, -2.0, -3.0)])


def test_bounds_of_pairs() -> None:
    starts, ends = {0: 1.0, 3: -1.0}, {0: 1.0, 2: -1.0, 5: -1.0}
    assert {(s, e) for s, e, *_ in pair_up(starts, ends, 20, 3)} == {(0, 0), (0, 2), (3, 5)}
    assert [f[:2] for f in pair_up(starts, ends, 1, 48)] == [(0, 0)]
    assert pair_up({4: 1.0}, {2: 1.0}, 20, 48) == []


# Sums


@pytest.mark.parametrize(
    ("architecture", "format", "head"),
    [("modernbert", "extract", "span"), ("modernbert", "extract", "global_pointer"),
     ("bert", "entail", "pair"), ("bert", "entail", "nsp"), ("llama", "generate", "auto"),
     ("t5", "generate", "auto"), ("bert", "generate", "masked")],
)
def test_a_loss_is_a_sum_over_its_rows(architecture: str, format: str, head: str) -> None:
    from unify_helpers import encoded, moods

    from formats import FORMATS
    from formats.collate import collate

    backbone = tiny(architecture, format, head)
    rows = encoded(backbone, FORMATS[format](), *moods(5), train=True)
    kind = format if backbone.layout.kind == "encoder" else "generate"
    with torch.inference_mode():
        whole = backbone.loss(collate(rows, backbone.layout, kind))
        alone = [backbone.loss(collate([r], backbone.layout, kind)) for r in rows]
    assert whole.ndim == 0 and whole.item() > 0
    assert whole.item() == pytest.approx(sum(a.item() for a in alone), rel=1e-5)
