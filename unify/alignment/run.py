"""An alignment run: samples ranked by a preference, a reward model, and what is made of them."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from formats.errors import UnknownName
from tasks import catalogue
from tasks.dotted import resolve
from unify import runs
from unify.progress import progress
from unify.scoring import Engine, Writing, load

from . import losses
from .choose import best, best_of_n_kl, safe_and_best
from .data import Preference, Row, Sampled, rankings, rows, sample
from .dpo import dpo, pairs_of
from .plot import save
from .policy import read
from .ppo import PPO, Reward, ppo
from .reward import RewardModel, agreement, frozen, train_discriminator, train_ranking
from .sft import Steps, fine_tune


@dataclass
class Outcome:
    """``table`` is one row per arm, ``lines[panel][arm]`` the plot, ``texts[arm]`` a few replies
    of each."""

    table: list[dict[str, Any]]
    lines: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    across: str = "iteration"
    texts: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


@dataclass
class Ground:
    """What every method starts from. ``fresh`` loads the supervised model anew."""

    fresh: Callable[[], Engine]
    engine: Engine
    train: list[Row]
    test: list[Row]
    prefer: Preference
    intend: Preference
    writing: Writing
    settings: Mapping[str, Any]
    folder: Path
    seed: int

    def steps(self, key: str) -> Steps:
        return Steps(**self.settings[key])

    def ranked(self) -> list[Sampled]:
        """Samples of the supervised model to the first training rows."""
        some = self.train[: self.settings["ranked_rows"]]
        return sample(
            self.engine, some, self.writing, self.settings["ranked_samples"],
            self.folder / "samples",
        )  # fmt: skip


def measured(
    ground: Ground, engine: Engine, arm: str, reward: RewardModel | None, outcome: Outcome
) -> None:
    """Adds the row of ``arm``: a sampled reply to each test row, by the preference, by what was
    intended, by the reward model, and its KL from the supervised model."""
    found = sample(engine, ground.test, ground.writing, 1)
    texts = [s.texts[0] for s in found]
    pairs = [s.pairs[0] for s in found]
    with torch.no_grad():
        policy = read(engine, engine.model, pairs)
        held = read(engine, ground.engine.model, pairs)
        apart = float(losses.kl(policy.logprobs, held.logprobs, policy.mask).mean())
    sources = [r.source for r in ground.test]
    row: dict[str, Any] = {
        "arm": arm,
        "preference": _mean(ground.prefer(s, t) for s, t in zip(sources, texts, strict=True)),
        "intended": _mean(ground.intend(s, t) for s, t in zip(sources, texts, strict=True)),
        "kl": apart,
        "tokens": float(policy.mask.sum(1).mean()),
    }
    if reward is not None:
        row["reward"] = float(reward.score(pairs).mean())
    outcome.table.append(row)
    outcome.texts[arm] = list(zip(sources, texts, strict=True))[:5]


def reward_model(ground: Ground, outcome: Outcome) -> RewardModel:
    """Trained on rankings of the supervised model's samples; a fifth of them tells how well."""
    found = rankings(ground.train, ground.ranked(), ground.prefer)
    held = max(1, len(found) // 5)
    model = RewardModel(ground.engine)
    told = train_ranking(model, found[held:], ground.steps("reward"), ground.seed)
    outcome.lines.setdefault("reward model: loss", {})["reward model"] = told
    share = agreement(model, found[:held])
    outcome.table.append({"arm": "reward model", "pairs_ordered_rightly": share})
    return model


def run_reward(ground: Ground) -> Outcome:
    outcome = Outcome([], across="step")
    reward_model(ground, outcome)
    return outcome


def run_ppo(ground: Ground) -> Outcome:
    outcome = Outcome([])
    model = reward_model(ground, outcome)
    outcome.lines.clear()
    measured(ground, ground.engine, "supervised", model, outcome)
    prompts = [(r.prompt, r.pair) for r in ground.train]

    def reward(places: Sequence[int], pairs: Sequence[Any], texts: Sequence[str]) -> torch.Tensor:
        return model.score(pairs)

    scored: Reward = reward
    for beta in ground.settings["betas"]:
        how = PPO(**ground.settings["ppo"], beta=beta, writing=ground.writing)
        arm = f"KL penalty {beta:g}" if beta else "no KL penalty"
        engine = ground.fresh()
        mixed = [r.pair for r in ground.train] if how.ptx else []
        lines: dict[str, list[float]] = {"reward": [], "intended": [], "KL (nats per reply)": []}
        with progress(f"PPO, {arm}", how.iterations, "iterations") as advance:
            for told in ppo(engine, prompts, scored, how, ground.seed, mixed):
                lines["reward"].append(told.reward)
                lines["KL (nats per reply)"].append(told.kl)
                lines["intended"].append(
                    _mean(ground.intend(ground.train[i].source, t) for i, t in told.texts)
                )
                advance(1, f"reward {told.reward:.2f}, KL {told.kl:.2f}")
        for panel, values in lines.items():
            outcome.lines.setdefault(panel, {})[arm] = values
        measured(ground, engine, arm, model, outcome)
        save_model(engine, ground.folder / f"model_beta_{beta:g}")
    return outcome


def run_dpo(ground: Ground) -> Outcome:
    outcome = Outcome([], across="step")
    measured(ground, ground.engine, "supervised", None, outcome)
    pairs = pairs_of(rankings(ground.train, ground.ranked(), ground.prefer))
    for beta in ground.settings["betas"]:
        arm, engine = f"DPO, beta {beta:g}", ground.fresh()
        told = list(dpo(engine, pairs, beta, ground.steps("steps"), ground.seed))
        outcome.lines.setdefault("loss", {})[arm] = [t.loss for t in told]
        outcome.lines.setdefault("margin", {})[arm] = [t.margin for t in told]
        measured(ground, engine, arm, None, outcome)
        save_model(engine, ground.folder / f"model_beta_{beta:g}")
    return outcome


def run_best_of_n(ground: Ground) -> Outcome:
    outcome = Outcome([], across="log2 n + 1")
    model = reward_model(ground, outcome)
    outcome.lines.clear()
    most = ground.settings["n"]
    found = sample(ground.engine, ground.test, ground.writing, most, ground.folder / "samples")
    scores = [model.score(s.pairs).tolist() for s in found]
    n = 1
    while n <= most:
        chosen = [best(own, n) for own in scores]
        texts = [s.texts[c] for s, c in zip(found, chosen, strict=True)]
        sources = [ground.test[s.row].source for s in found]
        row = {
            "arm": f"best of {n}",
            "reward": _mean(own[c] for own, c in zip(scores, chosen, strict=True)),
            "preference": _mean(ground.prefer(s, t) for s, t in zip(sources, texts, strict=True)),
            "intended": _mean(ground.intend(s, t) for s, t in zip(sources, texts, strict=True)),
            "kl": best_of_n_kl(n),
        }
        outcome.table.append(row)
        for key in ("reward", "intended", "kl"):
            outcome.lines.setdefault(key, {}).setdefault("best of n", []).append(float(row[key]))  # type: ignore[arg-type]
        outcome.texts[row["arm"]] = list(zip(sources, texts, strict=True))[:5]  # type: ignore[index]
        n *= 2
    return outcome


def run_filter(ground: Ground) -> Outcome:
    """Two discriminators judge samples: what is unsafe is dropped, the best in quality given; the
    model is then fine-tuned on what was given (LaMDA)."""
    outcome = Outcome([], across="step")
    measured(ground, ground.engine, "supervised", None, outcome)
    found, steps = ground.ranked(), ground.steps("reward")
    flat = [(ground.train[s.row].source, t, p) for s in found
            for t, p in zip(s.texts, s.pairs, strict=True)]  # fmt: skip
    pairs = [p for _, _, p in flat]
    safety, quality = RewardModel(ground.engine), RewardModel(ground.engine)
    labels = [float(ground.intend(s, t)) for s, t, _ in flat]
    middle = sorted(ground.prefer(s, t) for s, t, _ in flat)[len(flat) // 2]
    liked = [float(ground.prefer(s, t) > middle) for s, t, _ in flat]
    for name, model, wanted in (("safety", safety, labels), ("quality", quality, liked)):
        told = train_discriminator(model, pairs, wanted, steps, ground.seed)
        outcome.lines.setdefault("discriminators: loss", {})[name] = told
    kept, dropped = [], 0
    for s in found:
        safe, good = safety.score(s.pairs).tolist(), quality.score(s.pairs).tolist()
        chosen = safe_and_best(safe, good, ground.settings["threshold"])
        dropped += chosen.filtered
        if chosen.place is not None:
            kept.append(s.pairs[chosen.place])
    outcome.table.append({"arm": "filtered", "kept": len(kept), "dropped": dropped})
    if kept:
        engine = ground.fresh()
        fine_tune(engine, kept, ground.steps("steps"), ground.seed)
        measured(ground, engine, "tuned on the best", None, outcome)
        save_model(engine, ground.folder / "model")
    return outcome


def _star(ground: Ground) -> Outcome:
    from .run_loops import run_star

    return run_star(ground)


def _constitutional(ground: Ground) -> Outcome:
    from .run_loops import run_constitutional

    return run_constitutional(ground)


METHODS: dict[str, Callable[[Ground], Outcome]] = {
    "constitutional": _constitutional,
    "star": _star,
    "reward": run_reward,
    "ppo": run_ppo,
    "dpo": run_dpo,
    "best_of_n": run_best_of_n,
    "filter": run_filter,
}


def align(config: Mapping[str, Any], folder: Path) -> Outcome:
    """The run that ``config`` (``conf/align.yaml``) asks for. Writes ``align.json``,
    ``curves.svg`` and the trained models into ``folder``."""
    begun = time.perf_counter()
    settings = config["alignment"]
    if settings["name"] not in METHODS:
        raise UnknownName("method", settings["name"], METHODS)
    runs.write_config(folder, config)
    torch.manual_seed(config["seed"])
    model = dict(config["model"])
    name = str(model.pop("name"))

    def fresh() -> Engine:
        return load(name, **model)

    engine = fresh()
    engine.model = frozen(engine.model)
    task = catalogue.load(str(config["tasks"]))
    given = config["writing"]
    writing = Writing(**{**given, "stop": tuple(given["stop"]), "seed": config["seed"]})
    ground = Ground(
        fresh,
        engine,
        rows(engine, task, "train", config["rows"]),
        rows(engine, task, "test", config["test_rows"]),
        resolve(config["preference"]),
        resolve(config["intended"]),
        writing,
        settings,
        folder,
        config["seed"],
    )
    outcome = METHODS[settings["name"]](ground)
    told = {
        "method": settings["name"],
        "table": outcome.table,
        "lines": outcome.lines,
        "texts": outcome.texts,
        "seconds": time.perf_counter() - begun,
        "versions": runs.versions(),
    }
    (folder / "align.json").write_text(json.dumps(_finite(told), indent=1) + "\n", encoding="utf-8")
    if outcome.lines:
        save(outcome.lines, outcome.across, f"{settings['name']} on {task.name}",
             folder / "curves.svg")  # fmt: skip
    return outcome


def _mean(values: Iterator[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed) if listed else float("nan")


def _finite(value: Any) -> Any:
    from unify.report.data import clean

    return clean(value)


def save_model(engine: Engine, folder: Path) -> None:
    engine.model.save_pretrained(folder)
    engine.coder.tokenizer.save_pretrained(folder)
