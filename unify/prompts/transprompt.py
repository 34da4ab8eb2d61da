"""TransPrompt: a soft prompt that similar tasks share in part (Wang et al. 2021, EMNLP,
aclanthology.org/2021.emnlp-main.221, section 3).

    prompt of task k = 0.2 * universal encoder(P) + 0.8 * encoder k(P)
    weight of a row  = z * t_k + (1 - z) * mean of t_j over the other tasks j that have its class,
                       t_j = softmax over classes of cos(h_mask, prototypes of task j), at its class
    loss             = mean of weight * cross entropy - e * mean entropy of the predictions

All tasks train model and encoders first; then the task itself goes on alone, by its cross entropy.
The weights favour rows that are typical across tasks, the entropy keeps any one task from being
learned by heart.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from formats.errors import ConfigError
from formats.examples import Example
from tasks import catalogue

from ..tuning.prompt import PromptEncoder
from ..tuning.start import start_rows
from ..tuning.virtual import Virtual
from .autoprompt import PATTERN
from .cloze import Asking, Cloze
from .patterns import Pattern
from .pet import PatternVerbalizer, predicted
from .protoverb import states
from .saved import kept_of
from .shots import Learned, Shots, fit, gold_of, trainable
from .words import manual


def mixed(universal: Tensor, own: Tensor, share: float = 0.2) -> Tensor:
    """``share`` of the universal prompt ``[length, width]`` and the rest of the task's own."""
    return share * universal + (1 - share) * own


def prototypes(hidden: Tensor, gold: Tensor, classes: int) -> Tensor:
    """The mean state ``[classes, width]`` of each class; zeros where a class has no row."""
    count = torch.bincount(gold, minlength=classes).clamp(min=1)
    total = hidden.new_zeros(classes, hidden.shape[1]).index_add(0, gold, hidden)
    return total / count[:, None]


def typical(hidden: Tensor, gold: Tensor, centres: Tensor) -> Tensor:
    """How likely each state ``[n, width]`` is of its class among ``centres [classes, width]``."""
    cosines = normalize(hidden, dim=-1) @ normalize(centres, dim=-1).T
    return cosines.softmax(-1).gather(1, gold[:, None])[:, 0]


def weights(own: Tensor, others: Sequence[Tensor], zeta: float = 0.5) -> Tensor:
    """``zeta`` of what :func:`typical` says by the row's own task, the rest by the mean of the
    ``others``: ``[n]``; divided by their mean, so that the loss keeps its scale."""
    found = own if not others else zeta * own + (1 - zeta) * torch.stack([*others]).mean(0)
    return found / found.mean()


def debiased(scores: Tensor, gold: Tensor, weight: Tensor, entropy: float = 0.01) -> Tensor:
    """The loss above of ``scores [n, labels]``; ``entropy`` is its e."""
    log = scores.log_softmax(-1)
    spread = -(log.exp() * log).sum(-1).mean()
    return (weight * cross_entropy(scores, gold, reduction="none")).mean() - entropy * spread


class Prompts(nn.Module):
    """P, the universal encoder and one of each task."""

    def __init__(self, start: Tensor, tasks: int, reparam: int, share: float) -> None:
        super().__init__()
        self.table, self.share = nn.Parameter(start), share
        width = start.shape[1]
        self.universal = PromptEncoder(width, reparam)
        self.own = nn.ModuleList(PromptEncoder(width, reparam) for _ in range(tasks))

    def forward(self, task: int) -> Tensor:
        """The prompt ``[length, width]`` of a task."""
        return mixed(self.universal(self.table), self.own[task](self.table), self.share)


class Rows(NamedTuple):
    """The labelled rows of a task, and how it is asked."""

    examples: Sequence[Example]
    gold: Tensor
    names: tuple[str, ...]
    scorer: PatternVerbalizer


def _beside(shots: Shots, names: Sequence[str]) -> list[Shots]:
    """The few rows of other tasks: those of the same draw where the task is a few-shot one."""
    found = []
    _, at, subset = shots.task.name.partition("@")
    for name in names:
        task = catalogue.load(f"{name}{at}{subset}")
        if task.type is not shots.task.type or task.labels is None:
            raise ConfigError(
                "a task of another type to share a prompt with", got=name,
                expected=shots.task.type.__name__, fix="leave it out of learner.tasks",
            )  # fmt: skip
        if shared := task.lineage & shots.task.lineage:
            raise ConfigError(
                "a task whose rows may be those that this one is scored on", got=name,
                expected=f"none with rows of {', '.join(sorted(shared))}",
                fix="leave it out of learner.tasks",
            )  # fmt: skip
        split = "train" if "train" in task.splits() else task.splits()[0]
        train = list(task.examples(split, limit=len(shots.train), on_bad_row="skip"))
        found.append(replace(shots, task=task, train=train))
    return found


def transprompt(shots: Shots, settings: Mapping[str, Any]) -> Learned:
    """``tasks`` share the prompt, of ``length`` vectors, during the ``first`` share of the steps;
    ``share``, ``zeta`` and ``entropy`` are those of the formulas."""
    backbone = shots.model()
    if any(isinstance(part, Virtual) for part in backbone.modules()):
        raise ConfigError(
            "a prompt within a prompt: transprompt trains vectors of its own",
            got=f"tuning={backbone.tuning.name}" if backbone.tuning else None,
            expected="a tuning without positions of its own, such as adapter or lora",
        )  # fmt: skip
    plain, length = backbone.coder.layout, int(settings.get("length", 4))
    torch.manual_seed(shots.budget.seed)
    start = start_rows(backbone, length, "vocabulary", (), 5000).cpu()
    virtual = Virtual(backbone, before=[length])
    coder = copy.copy(backbone.coder)
    backbone.coder.layout = plain  # which is saved; the prompt is saved beside it
    cloze = Cloze(backbone, str(settings.get("score", "log_odds")), coder)
    each: list[Rows] = []
    beside = _beside(shots, settings.get("tasks") or ())
    for one in (shots, *beside):
        asking = Asking(Pattern(PATTERN), one.instruction)
        scorer = PatternVerbalizer(cloze, asking, manual(one.labels))
        gold = gold_of(one.train, one.labels)
        each.append(Rows(one.train, gold, one.labels.names, scorer))
    prompts = Prompts(start, len(each), int(settings.get("reparam", 128)),
                      float(settings.get("share", 0.2)))  # fmt: skip
    now: list[Tensor] = [start]
    virtual.rows = lambda words: now[0].to(words)
    weighted = _weights(each, float(settings.get("zeta", 0.5)))
    numbers = [(k, row) for k, task in enumerate(each) for row in range(len(task.examples))]

    def shared(batch: list[int]) -> Tensor:
        losses = []
        for k, task in enumerate(each):
            rows = [numbers[b][1] for b in batch if numbers[b][0] == k]
            if rows:
                now[0] = prompts(k)
                scores = task.scorer.scores([task.examples[r] for r in rows])
                entropy = float(settings.get("entropy", 0.01))
                found = debiased(scores, task.gold[rows], weighted[k][rows], entropy)
                losses.append(found * len(rows) / len(batch))
        return torch.stack(losses).sum()

    def alone(batch: list[int]) -> Tensor:
        now[0] = prompts(0)
        scores = each[0].scorer.scores([each[0].examples[r] for r in batch])
        return cross_entropy(scores, each[0].gold[batch])

    module = nn.ModuleDict({"backbone": backbone, "head": prompts})
    first = round(float(settings.get("first", 0.5)) * shots.budget.steps)
    if first:
        fit(module, shared, len(numbers), shots.budget, first)
    if shots.budget.steps > first:
        fit(module, alone, len(shots.train), shots.budget, shots.budget.steps - first)
    with torch.no_grad():
        vectors = prompts(0).detach().clone()
    now[0] = vectors
    scorer = each[0].scorer
    return Learned(
        lambda e: predicted(scorer, e), backbone, trainable(module),
        [f"{len(each)} tasks, {len(numbers)} rows, {first} steps together"],
        kept_of(scorer, soft=length), nn.ParameterDict({"vectors": vectors}),
        tuple(b.task.name for b in beside),
    )  # fmt: skip


def _weights(each: Sequence[Rows], zeta: float) -> list[Tensor]:
    """Each task's :func:`weights`, by the states of the model as it is; classes of other tasks are
    the same where their names are."""
    hidden = [states(task.scorer, task.examples) for task in each]
    centres = [prototypes(h, t.gold, len(t.names)) for h, t in zip(hidden, each, strict=True)]
    found = []
    for k, task in enumerate(each):
        others = []
        for j, other in enumerate(each):
            if j != k and set(task.names) <= set(other.names):
                there = torch.tensor([other.names.index(n) for n in task.names])
                others.append(typical(hidden[k], there[task.gold], centres[j]))
        found.append(weights(typical(hidden[k], task.gold, centres[k]), others, zeta))
    return found
