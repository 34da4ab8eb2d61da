"""What every alignment method starts from, what it brings back, and how a model is measured."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from tasks.task import Task

from ..files import write_whole
from ..kept import digest
from ..scoring import Engine, Writing
from . import losses
from .data import Preference, Row, Sampled, rankings, rows, sample
from .policy import read
from .reward import RewardModel, agreement, train_ranking
from .saved import Saved
from .sft import Steps

REPLIES = (
    "Sampled replies to test rows. preference: what ranked the replies that were trained on; "
    "intended: what is meant by it, which nothing was trained on unless the method says so; "
    "kl: nats per reply from the supervised model; reward: the reward model's own score."
)


@dataclass
class Outcome:
    """``table`` is one row per arm, ``meaning`` what its columns are, ``facts`` what else a method
    counted, ``lines[panel][arm]`` a value per step, ``at`` the steps (1, 2 … unless given;
    ``doubling`` where each is twice the one before), ``texts[arm]`` a few replies."""

    table: list[dict[str, Any]] = field(default_factory=list)
    meaning: str = REPLIES
    facts: dict[str, Any] = field(default_factory=dict)
    across: str = "iteration"
    lines: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    at: tuple[int, ...] = ()
    doubling: bool = False
    texts: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def add(self, panel: str, arm: str, values: Sequence[float]) -> None:
        """Draws ``values`` as the line of ``arm``."""
        self.lines.setdefault(panel, {})[arm] = list(values)

    def take(self, other: Mapping[str, Any]) -> None:
        """Adds what another outcome (its fields) holds."""
        self.table += other["table"]
        self.texts |= {arm: [(s, r) for s, r in told] for arm, told in other["texts"].items()}
        for panel, series in other["lines"].items():
            for arm, values in series.items():
                self.add(panel, arm, values)


@dataclass
class Ground:
    """What every method starts from. ``fresh`` loads the supervised model anew; ``about`` is a
    digest of all that shapes an arm."""

    fresh: Callable[[], Engine]
    engine: Engine
    task: Task
    rows: int
    test_rows: int
    prefer: Preference
    intend: Preference
    writing: Writing
    settings: Mapping[str, Any]
    folder: Path
    seed: int
    about: str

    @cached_property
    def train(self) -> list[Row]:
        """Training rows as prompts."""
        return rows(self.engine, self.task, "train", self.rows)

    @cached_property
    def test(self) -> list[Row]:
        """Test rows as prompts."""
        return rows(self.engine, self.task, "test", self.test_rows)

    def steps(self, key: str) -> Steps:
        return Steps(**self.settings[key])

    def ranked(self) -> list[Sampled]:
        """Samples of the supervised model to the first training rows."""
        some = self.train[: self.settings["ranked_rows"]]
        return sample(
            self.engine, some, self.writing, self.settings["ranked_samples"],
            self.folder / "samples",
        )  # fmt: skip


def arm(
    ground: Ground, name: str, outcome: Outcome, train: Callable[[Outcome, Saved], None]
) -> None:
    """Adds what ``train`` brings for the arm ``name``. An arm that an earlier run of the same
    folder finished is read back instead; one that it began goes on."""
    path = ground.folder / "arms" / f"{digest(ground.about, name)}.json"
    if not path.exists():
        own, saved = Outcome(), Saved(path.with_suffix(".ckpt"))
        train(own, saved)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(asdict(own)))
        saved.remove()
    outcome.take(json.loads(path.read_text(encoding="utf-8")))


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
        "preference": mean(ground.prefer(s, t) for s, t in zip(sources, texts, strict=True)),
        "intended": mean(ground.intend(s, t) for s, t in zip(sources, texts, strict=True)),
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
    outcome.add("loss", "reward model", told)
    share = agreement(model, found[:held])
    outcome.facts["pairs that the reward model orders rightly"] = share
    return model


def mean(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed) if listed else float("nan")


def save_model(engine: Engine, folder: Path) -> None:
    engine.model.save_pretrained(folder)
    engine.coder.tokenizer.save_pretrained(folder)
