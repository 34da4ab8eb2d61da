"""Every way of turning log-probabilities into a ranking, in numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from formats.errors import ConfigError
from unify.scoring import RULES, Request, Score
from unify.scoring.calibrate import batch, contextual, in_logs, probabilities
from unify.scoring.rules import channel, direct, perplexity, pmi, statement


def test_sum_mean_and_bytes() -> None:
    score = Score(-6.0, tokens=3, bytes=12, greedy=False)
    assert {name: rule(score) for name, rule in RULES.items()} == {
        "sum": -6.0, "mean": -2.0, "byte": -0.5
    }  # fmt: skip
    with pytest.raises(ConfigError, match="token ids"):
        RULES["byte"](Score(-6.0, 3, 0, False))


def test_rules_can_disagree() -> None:
    short, long = Score(-2.0, 1, 2, False), Score(-3.0, 3, 3, False)
    assert RULES["sum"](short) > RULES["sum"](long)
    assert RULES["mean"](short) < RULES["mean"](long)


def test_channel_swaps_the_roles() -> None:
    assert channel(["It is good.", "It is bad."], " A fine film") == [
        Request("It is good.", " A fine film"),
        Request("It is bad.", " A fine film"),
    ]
    assert direct("A fine film. It is", [" good", " bad"]) == [
        Request("A fine film. It is", " good"),
        Request("A fine film. It is", " bad"),
    ]


def test_pmi_takes_away_what_the_premise_prefers() -> None:
    conditional = [Score(-4.0, 1, 1, False), Score(-5.0, 1, 1, False)]
    domain = [Score(-1.0, 1, 1, False), Score(-7.0, 1, 1, False)]
    assert pmi(conditional, domain) == [-3.0, 2.0]


def test_perplexity_is_over_all_tokens() -> None:
    scores = [Score(-math.log(8), 3, 0, False), Score(-math.log(2), 1, 0, False)]
    assert perplexity(scores) == pytest.approx(2.0)  # 16 ** (1 / 4)


def test_statements_score_every_token_once() -> None:
    parts = statement((1, 2, 3, 4, 5, 6, 7), before=(0,), window=3, size=20)
    assert [(p.ids, p.begin) for p in parts] == [
        ((0, 1, 2, 3), 1),
        ((3, 4, 5, 6), 1),
        ((4, 5, 6, 7), 3),
    ]
    assert [p.bytes for p in parts] == [20, 0, 0]
    with pytest.raises(ConfigError, match="without room"):
        statement((1,), before=(), window=3)


def test_probabilities() -> None:
    found = probabilities([[math.log(1), math.log(3)], [-1000.0, -1000.0]])
    assert found == pytest.approx(np.array([[0.25, 0.75], [0.5, 0.5]]))


def test_contextual_calibration() -> None:
    # p_cf is the mean of (0.8, 0.2) and (0.6, 0.4): (0.7, 0.3).
    found = contextual([[0.7, 0.3], [0.35, 0.65]], [[0.8, 0.2], [0.6, 0.4]])
    # W p is (1, 1), and (0.5, 2.1667), each divided by its sum.
    assert found == pytest.approx(np.array([[0.5, 0.5], [0.1875, 0.8125]]))


def test_batch_calibration() -> None:
    # The mean over the batch is (0.75, 0.25): (0.9, 0.1) gives (1.2, 0.4), (0.6, 0.4) (0.8, 1.6).
    p = [[0.9, 0.1], [0.6, 0.4]]
    assert batch(p) == pytest.approx(np.array([[0.75, 0.25], [1 / 3, 2 / 3]]))
    assert batch(p, strength=0) == pytest.approx(np.array(p))


def test_calibration_in_logarithms_is_the_same_and_never_zero() -> None:
    p, free = np.array([[0.7, 0.3], [0.35, 0.65]]), np.array([[0.8, 0.2], [0.6, 0.4]])
    assert np.exp(in_logs(np.log(p), np.log(free))) == pytest.approx(contextual(p, free))
    assert np.exp(in_logs(np.log(p) - 5, np.log(p))) == pytest.approx(batch(p))
    # Options 1,000 nats apart, whose probabilities are zero as numbers.
    assert in_logs([[-1000.0, 0.0]], [[-1000.0, 0.0]]) == pytest.approx(np.log([[0.5, 0.5]]))
    with pytest.raises(ConfigError, match="other options"):
        in_logs([[0.0, 0.0]], [[0.0, 0.0, 0.0]])


def test_calibration_refuses_what_it_cannot_divide() -> None:
    with pytest.raises(ConfigError, match="other options"):
        contextual([[0.5, 0.5]], [[1.0, 0.0, 0.0]])
    with pytest.raises(ConfigError, match="zero"):
        contextual([[0.5, 0.5]], [[1.0, 0.0]])
