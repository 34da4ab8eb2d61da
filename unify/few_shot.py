"""k-shot evaluation: the unseen tasks again, behind demonstrations from their own training rows."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch

from formats.base import Format
from formats.collate import collate
from formats.errors import ConfigError
from formats.store import StoredRow
from tasks.task import Task

from .backbones import Backbone
from .backbones.factory import located
from .data import Preparation
from .data.behind import Behind, Ordered
from .data.chat import Chat
from .data.choices import SEEDED
from .data.compat import Texts
from .data.free import free_rows
from .data.probing import best_order
from .data.shots import chosen
from .data.turns import Turns
from .demonstrations.order import SCORES, orders
from .evaluation import Evaluation, TaskResult, evaluate_task
from .few_settings import FewShot
from .kept import digest
from .means import mean_of, mean_over_ways
from .suite_data import features
from .ways import ways

__all__ = ["FewShot", "evaluate_shots", "mean_of", "stepped"]

MOST = 24  # orders that ``all`` means at most


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
    if (reason := few.refusal(task)) is not None:
        raise ConfigError(reason, task=task.name, fix="leave the task out of the suite")
    chat = None if few.chat == "off" else Chat(backbone.coder)
    if chat is not None and chat.coder.layout != backbone.layout:
        backbone.coder = chat.coder
        cast(Any, backbone).engine = None  # built anew for the other layout
    how = (backbone, format, split, few, limits, on_bad_row, chat)
    found: dict[str, list[TaskResult]] = {}
    asked = ways(few.episodes.asked(task), few.templates)
    for number, way in enumerate(asked):
        place = settings.predictions
        if len(asked) > 1 and place is not None:
            place = place / f"template {number}"
        for result in _one_way(way, replace(settings, predictions=place), advance, *how):
            found.setdefault(result.setting, []).append(result)
    return [mean_over_ways(task.name, results) for results in found.values()]


def _one_way(
    task: Task,
    settings: Evaluation,
    advance: Callable[[int], None],
    backbone: Backbone,
    format: Format,
    split: str,
    few: FewShot,
    limits: Callable[[str], int | None],
    on_bad_row: str,
    chat: Chat | None,
) -> list[TaskResult]:
    """One result per cell, with one way of asking."""
    coder, ranking = backbone.coder, settings.ranking

    def prepared(task: Task, of: str, **more: Any) -> Any:
        common: dict[str, Any] = {"limit": limits(of), "on_bad_row": on_bad_row, **more}
        return features([task], format, coder, of, f"preparing {task.name}", **common)

    (held,) = prepared(task, split)
    preparation = Preparation(format, coder, split, limit=limits(split), on_bad_row=on_bad_row)  # type: ignore[arg-type]
    pool = prepared(task, "train", train=True) if max(few.shots) else []
    if max(few.shots) and not pool:
        raise ConfigError(
            "no training rows to demonstrate with", task=task.name, fix="evaluation.shots=[0]"
        )
    compat = getattr(format, "compat", None) is not None
    own = {"gold", "shuffled"}
    if compat and (few.choose != "random" or few.orders != "drawn" or set(few.labels) - own):
        raise ConfigError(
            "the published layout draws its demonstrations at random, with labels gold or shuffled",
            got=(few.choose, few.orders, few.labels),
            fix="format.compat=null",
        )
    ranking.refuse(backbone, format, few.shots)
    free = free_rows(task, preparation, held.store, ranking.free, ranking.premise)
    if free and compat:
        raise ConfigError("content-free inputs in the published layout", fix="format.compat=null")
    turns = Turns(task, (pool or [held])[0], coder, few.episodes)
    backbone.sharing, backbone.rule = settings.shared, None  # for who chooses by what it says
    behind = Behind(
        few,
        turns,
        [held.store, *free],
        chat,
        (Texts(task, "train", format), Texts(task, split, format)) if compat else None,
        other_turns(few, coder, prepared) if "other_inputs" in few.labels else (),
        backbone,
    )

    beside = _beside(few, chat)

    def within(name: str, seed: int, shots: int, label: str, more: str = "") -> Evaluation:
        """The settings of one cell: where its rows are kept, and what they depend on."""
        place = settings.predictions
        one = replace(few, shots=(shots,), labels=(label,), seeds=(seed,))
        about = repr((name, one, limits("train"), more, beside))
        folder = place and place / f"{name}, seed {seed}{more}"
        return replace(settings, predictions=folder, about=about)

    found = []
    for shots, label, name in few.cells():
        drawn = few.choose in SEEDED or label != "gold" or few.orders in SCORES
        runs, said = [], []
        for seed in few.seeds if shots and drawn else few.seeds[:1]:
            for order, sorter in _sorters(few, turns, backbone, min(shots, len(turns.rows)), seed):
                rows, *priors = behind.rows(shots, seed, label, sorter)
                place = within(name, seed, shots, label, order)
                runs.append(
                    evaluate_task(backbone, task, preparation, rows, place, advance, priors)
                )
                said.append((seed, order))
        found.append(mean_of(runs, name, few.seeds, said))
    for shots, steps in ((k, n) for k in few.shots if k for n in few.steps):
        name = f"{shots} rows, {steps} steps"
        runs = []
        for seed in few.seeds:
            store = pool[0].store
            shown = [store[r] for r in chosen(task.name, len(store), shots, seed)]
            # The scores that are kept are of the weights before these steps.
            place = replace(within(name, seed, shots, "gold"), cache=None)
            tuned = stepped(backbone, shown, steps, few.step_lr)
            runs.append(evaluate_task(tuned, task, preparation, held.store, place, advance, free))
        found.append(mean_of(runs, name, few.seeds))
    return found


def _beside(few: FewShot, chat: Chat | None) -> str:
    """What rows depend on that ``few`` knows by name only: the chat template, the other task, the
    files of the sentence encoder."""
    from tasks import catalogue

    template = None if chat is None else chat.coder.tokenizer.chat_template
    other = None if few.others is None else catalogue.load(few.others).fingerprint()
    files: list[tuple[str, int, int]] = []
    if few.encoder is not None and (place := Path(located(few.encoder))).is_dir():
        files = [(f.name, s.st_size, s.st_mtime_ns)
                 for f in sorted(place.iterdir()) if (s := f.stat())]  # fmt: skip
    return digest(template, other, files)


def _sorters(
    few: FewShot, turns: Turns, backbone: Backbone, k: int, seed: int
) -> list[tuple[str, Ordered | None]]:
    """The orders that ``k`` demonstrations are read in, by name."""
    if few.orders == "drawn" or k < 2:
        return [("", None)]
    if few.orders in SCORES:
        return [("", lambda shown: best_order(backbone, turns, shown, few.orders, seed))]

    def by(order: tuple[int, ...]) -> Ordered:
        return lambda shown: [shown[i] for i in order]

    return [(f", order {'-'.join(map(str, o))}", by(o)) for o in orders(k, MOST, seed)]


def other_turns(few: FewShot, coder: Any, prepared: Callable[..., Any]) -> list[Any]:
    """The training rows of the task that ``few.others`` names, as turns. Raises ConfigError."""
    from tasks import catalogue

    if few.others is None:
        raise ConfigError(
            "inputs of another task, and none is named", fix="evaluation.others=<task>"
        )
    other = few.episodes.asked(catalogue.load(few.others))
    turns = Turns(other, prepared(other, "train", train=True)[0], coder, few.episodes)
    return [turns.turn(r) for r in range(len(turns.rows))]


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
