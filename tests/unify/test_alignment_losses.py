"""Every alignment loss against values worked out by hand, in float64."""

from __future__ import annotations

import math

import pytest
import torch

from unify.alignment import losses
from unify.alignment.choose import Kept, best, best_of_n_kl, safe_and_best
from unify.alignment.reward import ranks_of


def t(*values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def nls(x: float) -> float:
    """-log sigmoid(x)."""
    return math.log1p(math.exp(-x))


def test_ranking_is_the_mean_over_all_pairs() -> None:
    found = losses.ranking(t(2.0, 0.5, -1.0), torch.tensor([0, 1, 2]))
    assert float(found) == pytest.approx((nls(1.5) + nls(3.0) + nls(1.5)) / 3, abs=1e-12)
    turned = losses.ranking(t(2.0, 0.5, -1.0), torch.tensor([2, 0, 0]))  # equals make no pair
    assert float(turned) == pytest.approx((nls(-1.5) + nls(-3.0)) / 2, abs=1e-12)
    rewards = t(1.0, 2.0).requires_grad_()
    losses.ranking(rewards, torch.tensor([0, 0])).backward()
    assert rewards.grad is not None and rewards.grad.tolist() == [0, 0]


def test_ranking_gradient() -> None:
    rewards = t(0.0, 0.0).requires_grad_()
    losses.ranking(rewards, torch.tensor([1, 0])).backward()
    assert rewards.grad is not None and rewards.grad.tolist() == [0.5, -0.5]


def test_binary() -> None:
    found = losses.binary(t(2.0, -1.0), t(1.0, 1.0))
    assert float(found) == pytest.approx((nls(2.0) + nls(-1.0)) / 2, abs=1e-12)


def test_dpo_by_hand() -> None:
    policy, reference = t([-3.0, -4.0], [-2.0, -2.0]), t([-3.5, -3.0], [-2.0, -2.0])
    expected = (nls(0.1 * (0.5 + 1.0)) + math.log(2)) / 2
    assert float(losses.dpo(policy, reference, 0.1)) == pytest.approx(expected, abs=1e-12)


def test_rewards_per_token() -> None:
    policy, reference = t([-1.0, -2.0, 0.0], [-1.0, -1.0, -1.0]), t([-1.5, -1.0, 0.0], [0, 0, 0])
    mask = t([1.0, 1.0, 0.0], [1.0, 1.0, 1.0])
    found = losses.rewarded(t(3.0, -1.0), policy, reference, mask, 0.5)
    assert found.tolist() == [[-0.25, 3.5, 0.0], [0.5, 0.5, -0.5]]


def test_gae_by_hand() -> None:
    rewards, values = t([1.0, 0.0, 2.0], [4.0, 9.0, 9.0]), t([0.5, 1.0, 0.0], [1.0, 7.0, 7.0])
    mask = t([1.0, 1.0, 1.0], [1.0, 0.0, 0.0])
    found = losses.gae(rewards, values, mask, 0.9, 0.8)
    d2, d1, d0 = 2.0 - 0.0, 0.0 + 0.9 * 0.0 - 1.0, 1.0 + 0.9 * 1.0 - 0.5
    a2, a1 = d2, d1 + 0.72 * d2
    a0 = d0 + 0.72 * a1
    assert found.advantages.tolist() == [pytest.approx([a0, a1, a2]), [3.0, 0.0, 0.0]]
    assert found.returns.tolist() == [pytest.approx([a0 + 0.5, a1 + 1, a2]), [4.0, 0.0, 0.0]]


def test_normalised_counts_the_mask_alone() -> None:
    found = losses.normalised(t([1.0, 3.0, 99.0]), t([1.0, 1.0, 0.0]))
    assert found.tolist() == [pytest.approx([-1.0, 1.0, 0.0], abs=1e-6)]


def test_clipped_policy_by_hand() -> None:
    new, old = t([math.log(1.5), math.log(0.5), 0.0]), t([0.0, 0.0, 0.0])
    mask = t([1.0, 1.0, 0.0])
    up = losses.clipped_policy(new, old, t([2.0, 2.0, 9.0]), mask, 0.2)
    assert float(up) == pytest.approx(-(1.2 * 2 + 0.5 * 2) / 2, abs=1e-12)
    down = losses.clipped_policy(new, old, t([-2.0, -2.0, 9.0]), mask, 0.2)
    assert float(down) == pytest.approx((1.5 * 2 + 0.8 * 2) / 2, abs=1e-12)


def test_clipped_value_by_hand() -> None:
    found = losses.clipped_value(t([1.0, 0.0]), t([0.0, 0.0]), t([1.0, 1.0]), t([1.0, 1.0]), 0.2)
    assert float(found) == pytest.approx(0.5 * (max(0.0, 0.8**2) + 1.0) / 2, abs=1e-12)


def test_kl_by_hand() -> None:
    found = losses.kl(t([-1.0, -2.0]), t([-1.5, -1.0]), t([1.0, 1.0]))
    first, second = math.exp(-0.5) - 1 + 0.5, math.exp(1.0) - 1 - 1.0
    assert found.tolist() == pytest.approx([first + second], abs=1e-12)
    assert losses.kl(t([-1.0]), t([-3.0]), t([0.0])).tolist() == [0.0]


def test_choices() -> None:
    assert ranks_of([0.5, 2.0, 0.5, -1.0]) == (1, 0, 1, 2)
    assert best([1.0, 3.0, 5.0], 2) == 1 and best([1.0, 1.0], 2) == 0
    assert best_of_n_kl(1) == 0.0 and best_of_n_kl(4) == pytest.approx(math.log(4) - 0.75)
    assert safe_and_best([0.9, 0.2, 0.8], [1.0, 9.0, 2.0], 0.5) == Kept(2, 1)
    assert safe_and_best([0.1, 0.2], [1.0, 9.0], 0.5) == Kept(None, 2)
