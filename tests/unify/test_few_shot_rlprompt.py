"""RLPrompt: its formulas by hand, and a policy that earns what it is paid for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from unify_helpers import moods, shots_of

from formats.errors import ConfigError
from formats.examples import Example
from unify.prompts import rlprompt

SMALL: dict[str, Any] = {"length": 2, "vocabulary": 20}


def test_gap_reward_and_z_scores() -> None:
    p = torch.tensor([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1]])
    rewards = rlprompt.gap_reward(p, torch.tensor([0, 0]))
    assert rewards.tolist() == pytest.approx([200 * 0.5, 180 * -0.3], abs=1e-3)
    z = rlprompt.standardised(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
    assert z.tolist() == [[-1.0, 0.0], [1.0, 0.0]]


def test_path_loss() -> None:
    q = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])
    actions = torch.tensor([[0, 1]])
    v = [float(q[0, t].logsumexp(0)) for t in range(2)]
    advantage = [1.0 - v[0], 2.0 - v[1]]
    first = v[0] + advantage[0] + advantage[1] - 0.5
    second = v[1] + advantage[1] - 0.5
    found_loss = float(rlprompt.path_loss(q, actions, torch.tensor([0.5])))
    assert found_loss == pytest.approx((first**2 + second**2) / 2, rel=1e-5)


def test_a_policy_learns_a_reward() -> None:
    """Any scoring function will do: here, how often word 3 is written."""
    torch.manual_seed(0)
    policy = rlprompt.Policy(torch.randn(9, 4), [2, 3, 4], 2, 16)

    def reward(prompts: Sequence[Sequence[int]], rows: Sequence[Example]) -> torch.Tensor:
        return torch.tensor([float([*p].count(3)) for p in prompts])

    history = rlprompt.train_policy(policy, reward, lambda: moods(1), 60, 16, 1e-2, 0)
    assert sum(history[-10:]) > sum(history[:10]) + 3


def test_a_policy_that_reads_writes_what_its_row_is_paid_for() -> None:
    """Word 3 for dogs and word 4 for boats."""
    torch.manual_seed(0)
    policy = rlprompt.Policy(torch.randn(9, 4), [2, 3, 4], 2, 16, reads=True)
    rows = moods(2)
    paid = {rows[0].id: 3, rows[1].id: 4}

    def reward(prompts: Sequence[Sequence[int]], asked: Sequence[Example]) -> torch.Tensor:
        # The second row pays more whatever is written: each is compared with its own prompts.
        more = [100.0 * (e.id == rows[1].id) for e in asked]
        return torch.tensor([
            [*p].count(paid[e.id]) + m for p, e, m in zip(prompts, asked, more, strict=True)
        ])  # fmt: skip

    def inputs(asked: Sequence[Example]) -> torch.Tensor:
        return torch.eye(4)[[paid[e.id] - 3 for e in asked]]

    rlprompt.train_policy(policy, reward, lambda: rows, 150, 16, 1e-2, 0, inputs)
    actions, _ = policy.write(2, inputs(rows), greedy=True)
    assert policy.tokens(actions) == [[3, 3], [4, 4]]


def test_each_row_is_asked_with_its_own_prompt(tmp_path: Path) -> None:
    shots = shots_of(tmp_path, ("dogs", "7777"))
    learned = rlprompt.rlprompt(shots, {**SMALL, "reads": True})
    scores = learned.scores(shots.train)
    assert scores.shape == (12, 2) and float(scores.std()) > 0
    assert learned.again == "a policy writes a prompt for each row"
    assert learned.notes[0].count(";") == 2
    with pytest.raises(ConfigError, match="no other"):
        rlprompt.rlprompt(shots, {**SMALL, "prompts": 1})


def test_a_reward_is_named_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "paying.py").write_text(
        "def letters(prompts, rows):\n"
        "    assert {r.gold for r in rows} <= {'glad', 'sad'}\n"
        "    return [len(p) for p in prompts]\n"
        "def one(prompts, rows):\n    return [1.0]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    shots = shots_of(tmp_path, ("dogs", "7777"))
    learned = rlprompt.rlprompt(shots, {**SMALL, "reward": "paying.letters"})
    start = float(learned.notes[1].split()[1])
    assert 6 < start < 40  # two words of three letters and more
    with pytest.raises(ConfigError, match="one number per prompt"):
        rlprompt.rlprompt(shots, {**SMALL, "reward": "paying.one"})
