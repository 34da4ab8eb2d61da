"""What a few-shot method gets: a task's labelled rows, a model, a budget."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from formats.examples import (
    Example,
    LabelSpace,
    RelationClassification,
    TextClassification,
)
from tasks.task import Task

from ..backbones import Backbone
from ..learners.optim import Optimization

if TYPE_CHECKING:
    from .saved import Kept

CLOSED = (TextClassification, RelationClassification)


def text_of(example: Example) -> str:
    """The (first) text of an example of :data:`CLOSED`."""
    assert isinstance(example, CLOSED)
    return example.text


def gold_of(examples: Sequence[Example], labels: LabelSpace) -> Tensor:
    """Numbers of the gold labels: ``[n]``."""
    return torch.tensor([labels.index(str(e.gold)) for e in examples], dtype=torch.long)


@dataclass(frozen=True)
class Budget:
    """``steps`` optimizer steps of ``batch_size`` rows, drawn in passes by ``seed``."""

    steps: int
    batch_size: int
    seed: int
    optimization: Optimization


@dataclass(frozen=True)
class Shots:
    """``train`` and ``dev`` are labelled and as large as each other; ``unlabelled`` are further
    training rows, whose gold answers are not read. ``start`` is the model that every fit copies."""

    task: Task
    train: Sequence[Example]
    dev: Sequence[Example]
    unlabelled: Sequence[Example]
    start: Backbone
    budget: Budget

    @property
    def labels(self) -> LabelSpace:
        assert self.task.labels is not None
        return self.task.labels

    @property
    def instruction(self) -> str:
        return self.task.prompt.instruction

    def gold(self, examples: Sequence[Example]) -> Tensor:
        return gold_of(examples, self.labels)

    def model(self) -> Backbone:
        """A copy of the start, to be trained."""
        return copy.deepcopy(self.start)


@dataclass
class Learned:
    """What a method leaves: ``scores(examples)`` is ``[examples, labels]``; ``trained`` counts its
    trained parameters; ``notes`` say what it chose. ``again`` is what another process needs to
    give the same scores, or why it cannot."""

    scores: Callable[[Sequence[Example]], Tensor]
    backbone: Backbone
    trained: int
    notes: list[str]
    again: Kept | str
    extra: nn.Module | None = None  # what the method trains beside the model
    met: tuple[str, ...] = ()  # further tasks whose rows it learned from


class Method(Protocol):
    """A few-shot method: rows and settings in, a scorer out."""

    def __call__(self, shots: Shots, settings: Mapping[str, Any]) -> Learned: ...


def passes(count: int, size: int, seed: int) -> Iterator[list[int]]:
    """Endless batches of row numbers: every row once per pass, in an order drawn by ``seed``."""
    draw = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(count, generator=draw).tolist()
        for at in range(0, count, size):
            yield order[at : at + size]


def fit(
    module: nn.Module, loss: Callable[[list[int]], Tensor], count: int, budget: Budget,
    steps: int | None = None,
) -> list[float]:  # fmt: skip
    """Minimises ``loss(rows)`` of batches of ``count`` rows; returns the losses. ``module`` holds
    what is trained; parts named ``head`` have the head's rate."""
    steps = budget.steps if steps is None else steps
    torch.manual_seed(budget.seed)
    plan = budget.optimization.configure(module, steps)
    optimizer, schedule = plan["optimizer"], plan["lr_scheduler"]["scheduler"]
    parameters = [p for p in module.parameters() if p.requires_grad]
    stream = passes(count, min(budget.batch_size, count), budget.seed)
    losses = []
    module.train()
    for _ in range(steps):
        found = loss(next(stream))
        optimizer.zero_grad()
        found.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float(found.detach()))
    module.eval()
    return losses


def trainable(*modules: nn.Module) -> int:
    """Parameters that are trained, each once."""
    found = {id(p): p.numel() for m in modules for p in m.parameters() if p.requires_grad}
    return sum(found.values())
