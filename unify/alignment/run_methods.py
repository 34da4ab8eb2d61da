"""Methods that train or choose by a preference: reward model, PPO, DPO, best of n, filtering."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from ..progress import progress
from .choose import best, best_of_n_kl, safe_and_best
from .data import rankings, sample
from .dpo import dpo, pairs_of
from .ground import Ground, Outcome, arm, mean, measured, reward_model, save_model
from .policy import Pair
from .ppo import PPO, Reward, ppo
from .reward import RewardModel, train_discriminator
from .saved import Saved
from .sft import fine_tune

KL = "KL (nats per reply)"

def run_reward(ground: Ground) -> Outcome:
    outcome = Outcome(across="step")
    reward_model(ground, outcome)
    outcome.table = [{"arm": "reward model", **outcome.facts}]
    outcome.meaning = "Pairs of a fifth of the rankings, which training left out."
    outcome.facts = {}
    return outcome


def run_ppo(ground: Ground) -> Outcome:
    outcome = Outcome()
    model = reward_model(ground, outcome)
    outcome.lines.clear()
    measured(ground, ground.engine, "supervised", model, outcome)

    def reward(places: Sequence[int], pairs: Sequence[Any], texts: Sequence[str]) -> torch.Tensor:
        return model.score(pairs)

    for beta in ground.settings["betas"]:
        name = f"KL penalty {beta:g}" if beta else "no KL penalty"
        arm(ground, name, outcome, partial(ppo_arm, ground, name, beta, model, reward))
    return outcome


def ppo_arm(
    ground: Ground, name: str, beta: float, model: RewardModel, reward: Reward,
    outcome: Outcome, saved: Saved,
) -> None:
    """One policy, trained against ``reward`` with a KL penalty of ``beta``."""
    prompts = [(r.prompt, r.pair) for r in ground.train]
    how = PPO(**ground.settings["ppo"], beta=beta, writing=ground.writing)
    engine = ground.fresh()
    mixed = [r.pair for r in ground.train] if how.ptx else []
    lines: dict[str, list[float]] = {"reward": [], "intended": [], KL: []}
    with progress(f"PPO, {name}", how.iterations, "iterations") as advance:
        for told in ppo(engine, prompts, reward, how, ground.seed, mixed, saved):
            lines["reward"].append(told.reward)
            lines[KL].append(told.kl)
            lines["intended"].append(
                mean(ground.intend(ground.train[i].source, t) for i, t in told.texts)
            )
            advance(1, f"reward {told.reward:.2f}, KL {told.kl:.2f}")
    for panel, values in lines.items():
        outcome.add(panel, name, values)
    measured(ground, engine, name, model, outcome)
    save_model(engine, ground.folder / f"model_beta_{beta:g}")


def run_dpo(ground: Ground) -> Outcome:
    outcome = Outcome(across="step")
    measured(ground, ground.engine, "supervised", None, outcome)
    pairs = pairs_of(rankings(ground.train, ground.ranked(), ground.prefer))
    for beta in ground.settings["betas"]:
        name = f"DPO, beta {beta:g}"
        arm(ground, name, outcome, partial(dpo_arm, ground, name, beta, pairs))
    return outcome


def dpo_arm(
    ground: Ground, name: str, beta: float, pairs: Sequence[tuple[Pair, Pair]],
    outcome: Outcome, saved: Saved,
) -> None:
    """One policy, trained on pairs of a better and a worse reply."""
    engine = ground.fresh()
    told = list(dpo(engine, pairs, beta, ground.steps("steps"), ground.seed, saved))
    outcome.add("loss", name, [t.loss for t in told])
    outcome.add("margin", name, [t.margin for t in told])
    measured(ground, engine, name, None, outcome)
    save_model(engine, ground.folder / f"model_beta_{beta:g}")


def run_best_of_n(ground: Ground) -> Outcome:
    """The best of 1, 2, 4 … samples by the reward model; the samples of n are the first n."""
    outcome = Outcome(across="n", doubling=True)
    model = reward_model(ground, outcome)
    outcome.lines.clear()
    most = ground.settings["n"]
    found = sample(ground.engine, ground.test, ground.writing, most, ground.folder / "samples")
    scores = [model.score(s.pairs).tolist() for s in found]
    sources = [ground.test[s.row].source for s in found]
    tried = [2**k for k in range(most.bit_length())]
    for n in tried:
        chosen = [best(own, n) for own in scores]
        texts = [s.texts[c] for s, c in zip(found, chosen, strict=True)]
        row = {
            "arm": f"best of {n}",
            "preference": mean(ground.prefer(s, t) for s, t in zip(sources, texts, strict=True)),
            "intended": mean(ground.intend(s, t) for s, t in zip(sources, texts, strict=True)),
            "kl": best_of_n_kl(n),
            "reward": mean(own[c] for own, c in zip(scores, chosen, strict=True)),
        }
        outcome.table.append(row)
        outcome.texts[f"best of {n}"] = list(zip(sources, texts, strict=True))[:5]
    outcome.at = tuple(tried)
    for panel, key in (("reward", "reward"), ("intended", "intended"), (KL, "kl")):
        told = [row[key] for row in outcome.table if key in row]
        outcome.add(panel, "best of n", told)
    return outcome


def run_filter(ground: Ground) -> Outcome:
    """Two discriminators judge samples: what is unsafe is dropped, the best in quality given; the
    model is then fine-tuned on what was given (LaMDA)."""
    outcome = Outcome(across="step")
    measured(ground, ground.engine, "supervised", None, outcome)
    found, steps = ground.ranked(), ground.steps("reward")
    flat = [(ground.train[s.row].source, t, p) for s in found
            for t, p in zip(s.texts, s.pairs, strict=True)]  # fmt: skip
    pairs = [p for _, _, p in flat]
    middle = sorted(ground.prefer(s, t) for s, t, _ in flat)[len(flat) // 2]
    labels = {
        "safety": [float(ground.intend(s, t)) for s, t, _ in flat],
        "quality": [float(ground.prefer(s, t) > middle) for s, t, _ in flat],
    }
    held, models = max(1, len(flat) // 5), {}
    for name, wanted in labels.items():
        models[name] = model = RewardModel(ground.engine)
        told = train_discriminator(model, pairs[held:], wanted[held:], steps, ground.seed)
        outcome.add("loss of the discriminators", name, told)
        said = (model.score(pairs[:held]) > 0).tolist()
        right = mean(float(a == b) for a, b in zip(said, wanted[:held], strict=True))
        outcome.facts[f"{name}: held-out replies judged rightly"] = right
    kept, dropped = [], 0
    for s in found:
        safe, good = (models[n].score(s.pairs).tolist() for n in ("safety", "quality"))
        chosen = safe_and_best(safe, good, ground.settings["threshold"])
        dropped += chosen.filtered
        if chosen.place is not None:
            kept.append(s.pairs[chosen.place])
    outcome.facts |= {"replies dropped as unsafe": dropped, "replies trained on": len(kept)}
    if kept:
        engine = ground.fresh()
        fine_tune(engine, kept, ground.steps("steps"), ground.seed)
        measured(ground, engine, "tuned on the best", None, outcome)
        save_model(engine, ground.folder / "model")
    return outcome
