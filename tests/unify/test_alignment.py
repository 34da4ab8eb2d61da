"""Alignment on tiny models: what is read is what is scored; every loop moves where it should."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from unify_helpers import tiny

from formats.errors import ConfigError
from unify.alignment import losses
from unify.alignment.data import Row, longer, rankings, sample
from unify.alignment.dpo import dpo, pairs_of
from unify.alignment.policy import Pair, pair, read
from unify.alignment.ppo import PPO, ppo
from unify.alignment.reward import (
    Ranking,
    RewardModel,
    agreement,
    frozen,
    train_discriminator,
    train_ranking,
)
from unify.alignment.saved import Saved
from unify.alignment.sft import Steps, draws, fine_tune
from unify.scoring import Coded, Engine, Request, Writing

TEXTS = [("Who keeps boats?", "Ann"), ("So?", "three red boats"), ("7", "dogs and boats")]


def engine(name: str) -> Engine:
    backbone: Any = tiny(name, "generate", window=96, max_target=12, spread=2.0)
    return Engine(backbone.model, backbone.coder)


@pytest.fixture(params=["llama", "t5"])
def made(request: pytest.FixtureRequest) -> Engine:
    return engine(request.param)


def test_what_is_read_is_what_is_scored(made: Engine) -> None:
    pairs = [pair(made, source, target) for source, target in TEXTS]
    with torch.no_grad():
        found = read(made, made.model, pairs)
    assert found.mask.sum(1).tolist() == [len(p.response) for p in pairs]
    causal = made.coder.layout.kind == "causal"
    for k, (p, (source, _)) in enumerate(zip(pairs, TEXTS, strict=True)):
        if causal:
            (score,) = made.score_coded([Coded((*p.prompt, *p.response), len(p.prompt))])
        else:
            (ids,) = made.coder.ids([source])
            (score,) = made.score([Request(tuple(ids), p.response)])
        assert float(found.logprobs[k].sum()) == pytest.approx(score.logprob, abs=2e-3)
    with pytest.raises(ConfigError):
        Pair((1,), ())


def test_fine_tuning_learns_its_pairs(made: Engine) -> None:
    pairs = [pair(made, source, target) for source, target in TEXTS]
    told = fine_tune(made, pairs, Steps(steps=25, batch=3, lr=5e-3))
    assert told[-1] < 0.5 * told[0]


def test_draws_are_whole_passes() -> None:
    found = draws(5, Steps(steps=5, batch=3), 0)
    flat = [i for places in found for i in places]
    assert [len(p) for p in found] == [3] * 5 and found == draws(5, Steps(steps=5, batch=3), 0)
    assert sorted(flat[:5]) == sorted(flat[5:10]) == list(range(5))
    assert found != draws(5, Steps(steps=5, batch=3), 1)


def ranked(made: Engine) -> list[Ranking]:
    texts = ("three red boats and dogs", "three boats", "no")
    return [
        Ranking(tuple(pair(made, source, t) for t in texts), (0, 1, 2)) for source, _ in TEXTS
    ]


def test_a_reward_model_learns_rankings(made: Engine) -> None:
    found, model = ranked(made), RewardModel(made)
    told = train_ranking(model, found, Steps(steps=20, batch=3, lr=5e-3))
    assert told[0] == pytest.approx(0.6931, abs=1e-3)  # a new head says 0 of all
    assert agreement(model, found) == 1.0 and told[-1] < 0.3
    scores = torch.cat([model.score(r.pairs) for r in found])
    assert float(scores.mean()) == pytest.approx(0, abs=1e-4)
    assert float(scores.std()) == pytest.approx(1, abs=1e-4)
    with pytest.raises(ConfigError, match="without a better"):
        train_ranking(model, [Ranking(found[0].pairs, (0, 0, 0))], Steps(steps=1))


def test_a_discriminator_learns_labels() -> None:
    made = engine("llama")
    pairs = [p for r in ranked(made) for p in r.pairs]
    labels = [1.0, 0.0, 0.0] * 3
    model = RewardModel(made)
    train_discriminator(model, pairs, labels, Steps(steps=25, batch=9, lr=5e-3))
    assert [float(s > 0) for s in model.score(pairs)] == labels


def test_dpo_widens_the_margin(made: Engine) -> None:
    pairs = pairs_of(ranked(made))
    assert pairs == [(r.pairs[0], r.pairs[2]) for r in ranked(made)]
    told = list(dpo(made, pairs, 0.5, Steps(steps=15, batch=3, lr=3e-3)))
    assert told[0].loss == pytest.approx(0.6931, abs=1e-3)
    assert told[0].margin == pytest.approx(0, abs=1e-4)
    assert told[-1].margin > 0.5 and told[-1].loss < told[0].loss


def test_ppo_raises_its_reward_and_the_penalty_holds_it(made: Engine) -> None:
    prompts = [(source, pair(made, source, target)) for source, target in TEXTS]
    start = {k: v.clone() for k, v in made.model.state_dict().items()}

    writing = Writing(tokens=4, temperature=1.0)
    rate = 2e-2 if made.coder.layout.kind == "causal" else 4e-3  # the tiny T5 is drawn wider
    common: dict[str, Any] = {"iterations": 12, "rollouts": 16, "lr": rate, "writing": writing}
    free = list(ppo(made, prompts, even, PPO(beta=0.0, **common), seed=1))
    assert free[0].kl == pytest.approx(0, abs=1e-4)
    assert free[-1].reward > free[0].reward + 0.2
    made.model.load_state_dict(start)
    held = list(ppo(made, prompts, even, PPO(beta=2.0, **common), seed=1))
    assert held[0].reward == free[0].reward and held[0].texts == free[0].texts
    assert held[-1].kl < free[-1].kl


def even(places: Any, pairs: Any, texts: Any) -> torch.Tensor:
    """A reward: the share of tokens with an even number."""
    return torch.tensor([sum(t % 2 == 0 for t in p.response) / len(p.response) for p in pairs])


def trainings(made: Engine) -> dict[str, Callable[[Saved | None], Iterator[Any]]]:
    """Loops of six iterations that may be left and begun again."""
    pairs = [pair(made, source, target) for source, target in TEXTS]
    prompts = [(source, p) for (source, _), p in zip(TEXTS, pairs, strict=True)]
    how = PPO(iterations=6, rollouts=4, batch=2, lr=4e-3, ptx=0.5,
              writing=Writing(tokens=3, temperature=1.0))  # fmt: skip
    steps = Steps(steps=6, batch=2, lr=3e-3)
    return {
        "ppo": lambda saved: ppo(made, prompts, even, how, 0, pairs, saved),
        "dpo": lambda saved: dpo(made, pairs_of(ranked(made)), 0.5, steps, 0, saved),
    }


@pytest.mark.parametrize("kind", ["ppo", "dpo"])
def test_a_loop_that_was_left_goes_on_bit_for_bit(
    kind: str, made: Engine, tmp_path: Path
) -> None:
    start = {k: v.clone() for k, v in made.model.state_dict().items()}
    lived = list(trainings(made)[kind](None))
    wanted = {k: v.clone() for k, v in made.model.state_dict().items()}
    saved = Saved(tmp_path / "loop.ckpt", seconds=0)
    for left_after in (2, 4):
        made.model.load_state_dict(start)
        told = list(islice(trainings(made)[kind](saved), left_after))
        assert told == lived[:left_after] and saved.path.exists()
    made.model.load_state_dict(start)
    assert list(trainings(made)[kind](saved)) == lived
    assert all(torch.equal(v, wanted[k]) for k, v in made.model.state_dict().items())
    saved.path.write_bytes(saved.path.read_bytes()[:-9])  # torn: it begins anew
    made.model.load_state_dict(start)
    assert list(trainings(made)[kind](saved)) == lived
    saved.remove()
    assert not list(tmp_path.iterdir())


def test_a_state_is_not_written_at_every_step(tmp_path: Path) -> None:
    made = engine("llama")
    saved = Saved(tmp_path / "loop.ckpt", seconds=3600)
    list(trainings(made)["dpo"](saved))
    assert not saved.path.exists()


def test_ptx_keeps_what_was_learned() -> None:
    made = engine("llama")
    pairs = [pair(made, source, target) for source, target in TEXTS]
    prompts = [(source, p) for (source, _), p in zip(TEXTS, pairs, strict=True)]
    how = PPO(iterations=6, rollouts=4, batch=4, lr=4e-3, ptx=1.0,
              writing=Writing(tokens=3, temperature=1.0))  # fmt: skip
    before = float(-read(made, made.model, pairs).logprobs.sum())
    list(ppo(made, prompts, lambda *a: torch.zeros(4), how, 0, pairs))
    assert float(-read(made, made.model, pairs).logprobs.sum()) < before


def test_samples_are_kept_and_ranked(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine("llama")
    rows = [Row(source, source, pair(made, source, target)) for source, target in TEXTS]
    how = Writing(tokens=4, temperature=1.0)
    first = sample(made, rows, how, 3, tmp_path)
    (file,) = tmp_path.iterdir()
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:1]) + lines[1][:9])  # killed while it wrote
    assert sample(made, rows, how, 3, tmp_path) == first
    assert file.read_text() == "".join(lines)
    monkeypatch.setattr("unify.alignment.data.write_samples", None)
    assert sample(made, rows, how, 3, tmp_path) == first  # nothing is left to write
    found = rankings(rows, first, longer)
    for r, s in zip(found, first, strict=True):
        best = r.ranks.index(0)
        assert len(s.texts[best]) == max(map(len, s.texts))


def test_a_reference_does_not_learn() -> None:
    made = engine("llama")
    held = frozen(made.model)
    assert not any(p.requires_grad for p in held.parameters())
    assert all(p.requires_grad for p in made.model.parameters())
    mask = torch.ones(1, 2)
    logs = torch.tensor([[-1.0, -2.0]])
    assert losses.kl(logs, logs, mask).tolist() == [0.0]
