"""k-shot evaluation: the unseen tasks again, behind demonstrations from their own training rows."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from formats.base import Format
from formats.collate import collate
from formats.episodes import Direction
from formats.errors import ConfigError
from formats.store import Rows, StoredRow
from tasks.task import Task

from .backbones import Backbone
from .data import Preparation
from .data.choices import CHOICES, SEEDED, picked
from .data.compat import CompatRows, Texts, demonstrated
from .data.episodes import Episodes
from .data.shots import EpisodeRows, chosen
from .data.turns import Turns
from .evaluation import Evaluation, TaskResult, evaluate_task
from .suite_data import features

LABELS = ("gold", "shuffled")


@dataclass(frozen=True)
class FewShot:
    """Every unseen task is evaluated once per number of ``shots`` and kind of ``labels`` (of the
    demonstrations), as the mean over ``seeds`` that demonstrations are drawn with; and once per
    number of ``steps``: gradient steps of rate ``step_lr`` on the same rows, which are then not
    shown. ``choose`` says which rows demonstrate (:mod:`unify.data.choices`), ``encoder`` what they
    are compared with. The other settings are those of :class:`~unify.data.episodes.Episodes`."""

    shots: tuple[int, ...] = (0,)
    labels: tuple[str, ...] = ("gold",)
    seeds: tuple[int, ...] = (0,)
    direction: Direction = "direct"
    instruction: bool = False
    style: str = "prompt"
    budget: int | None = None
    steps: tuple[int, ...] = ()
    step_lr: float = 0.05
    choose: str = "random"
    encoder: str | None = None

    def __post_init__(self) -> None:
        if self.choose not in CHOICES:
            raise ConfigError("unknown choice", got=self.choose, expected=", ".join(CHOICES))
        if self.steps and self.choose != "random":
            raise ConfigError(
                "gradient steps on rows that are not drawn at random",
                got=self.choose,
                fix="evaluation.choose=random, or no evaluation.steps",
            )
        unknown = [label for label in self.labels if label not in LABELS]
        if unknown or not self.labels:
            raise ConfigError("unknown labels", got=unknown, expected=", ".join(LABELS))
        if any(n < 1 for n in self.steps) or self.step_lr <= 0:
            raise ConfigError("no gradient steps", got=(self.steps, self.step_lr))
        if not self.seeds or not self.shots:
            raise ConfigError(
                "k-shot evaluation without shots or seeds", got=(self.shots, self.seeds)
            )
        _ = self.episodes

    @property
    def episodes(self) -> Episodes:
        """How an unseen task's episodes are asked."""
        return Episodes(
            self.shots,
            self.direction,
            dense=False,
            instruction=self.instruction,
            style=self.style,  # type: ignore[arg-type]
            budget=self.budget,
        )

    @property
    def plain(self) -> bool:
        """Whether this is nothing but zero-shot evaluation with the tasks' own prompts."""
        return self == FewShot(seeds=self.seeds, labels=self.labels)

    def cells(self) -> list[tuple[int, str, str]]:
        """(shots, labels, name of the setting). Without demonstrations labels do not matter."""
        found = []
        for shots in self.shots:
            for label in self.labels if shots else ("gold",):
                found.append((shots, label, f"{shots}-shot" + ", shuffled" * (label != "gold")))
        return found


def evaluate_shots(
    backbone: Backbone,
    task: Task,
    format: Format,
    split: str,
    few: FewShot,
    settings: Evaluation,
    *,
    limits: Callable[[str], int | None],
    on_bad_row: str = "raise",
    advance: Callable[[int], None] = lambda n: None,
) -> list[TaskResult]:
    """One result per cell of ``few``. Raises ConfigError for a task without training rows."""
    task, coder = few.episodes.asked(task), backbone.coder

    def prepared(of: str, **more: Any) -> Any:
        common: dict[str, Any] = {"limit": limits(of), "on_bad_row": on_bad_row, **more}
        return features([task], format, coder, of, f"preparing {task.name}", **common)

    (held,) = prepared(split)
    preparation = Preparation(format, coder, split, limit=limits(split), on_bad_row=on_bad_row)  # type: ignore[arg-type]
    pool = prepared("train", train=True) if max(few.shots) else []
    if max(few.shots) and not pool:
        raise ConfigError(
            "no training rows to demonstrate with", task=task.name, fix="evaluation.shots=[0]"
        )
    compat = getattr(format, "compat", None) is not None
    if compat and few.choose != "random":
        raise ConfigError(
            "the published layout draws its demonstrations at random",
            got=few.choose,
            fix="evaluation.choose=random, or format.compat=null",
        )
    turns = Turns(task, (pool or [held])[0], coder, few.episodes)
    texts = {of: Texts(task, of, format) for of in ("train", split)}

    def behind(shots: int, seed: int, shuffled: bool) -> Rows:
        if not compat:
            shown = picked(
                few.choose, turns, held.store, shots, seed, shuffled=shuffled, encoder=few.encoder
            )
            return EpisodeRows(
                held.store, shown, turns.head, coder, direction=few.direction, budget=few.budget
            )
        ids: list[int] = []
        if shots:
            numbers = pool[0].store.column("row")
            rows = [int(numbers[r]) for r in chosen(task.name, len(numbers), shots, seed)]
            shuffle = f"{seed}/{task.name}" if shuffled else None
            ids = demonstrated(texts["train"], rows, coder, few.episodes, shuffle)
        return CompatRows(held.store, texts[split], ids, coder, few.episodes)

    def within(name: str, seed: int, shots: int, label: str) -> Evaluation:
        """The settings of one cell: where its rows are kept, and what they depend on."""
        place = settings.predictions
        one = replace(few, shots=(shots,), labels=(label,), seeds=(seed,))
        about = repr((name, one, limits("train")))
        folder = place and place / f"{name}, seed {seed}"
        return replace(settings, predictions=folder, about=about)

    found = []
    for shots, label, name in few.cells():
        drawn = few.choose in SEEDED or label != "gold"
        runs = []
        for seed in few.seeds if shots and drawn else few.seeds[:1]:
            rows = behind(shots, seed, label == "shuffled")
            own = within(name, seed, shots, label)
            runs.append(evaluate_task(backbone, task, preparation, rows, own, advance))
        found.append(mean_of(runs, name, few.seeds))
    for shots, steps in ((k, n) for k in few.shots if k for n in few.steps):
        name = f"{shots} rows, {steps} steps"
        runs = []
        for seed in few.seeds:
            store = pool[0].store
            shown = [store[r] for r in chosen(task.name, len(store), shots, seed)]
            own = within(name, seed, shots, "gold")
            tuned = stepped(backbone, shown, steps, few.step_lr)
            runs.append(evaluate_task(tuned, task, preparation, held.store, own, advance))
        found.append(mean_of(runs, name, few.seeds))
    return found


def stepped(backbone: Backbone, rows: Sequence[StoredRow], steps: int, lr: float) -> Backbone:
    """A copy of ``backbone`` after ``steps`` plain gradient steps of rate ``lr`` on the mean loss
    of ``rows``: what the inner loop of gradient-based meta-learning does."""
    tuned = copy.deepcopy(backbone).eval()
    batch = collate(rows, tuned.layout, "generate").to(tuned.device)
    optimizer = torch.optim.SGD([p for p in tuned.parameters() if p.requires_grad], lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        (tuned.loss(batch) / max(batch.weight, 1.0)).backward()
        optimizer.step()
    return tuned


def mean_of(runs: list[TaskResult], setting: str, seeds: tuple[int, ...]) -> TaskResult:
    """The mean over seeds of one task's runs. The interval is the mean of theirs: it tells of the
    rows; ``notes['seeds']`` has each seed's value."""
    first = runs[0]
    seconds = sum(r.seconds for r in runs)
    notes = dict(first.notes)
    if len(runs) > 1:
        notes["seeds"] = {str(s): r.value for s, r in zip(seeds, runs, strict=True)}
    dropped = sum(int(r.notes.get("dropped_demonstrations", 0)) for r in runs)
    if dropped:
        notes["dropped_demonstrations"] = dropped
    mean = [float(np.mean([getattr(r, k) for r in runs])) for k in ("value", "low", "high")]
    return replace(
        first,
        task=f"{first.task}, {setting}",
        setting=setting,
        value=mean[0],
        low=mean[1],
        high=mean[2],
        seconds=seconds,
        notes=notes,
    )
