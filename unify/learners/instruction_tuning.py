"""Instruction tuning: every seen task in many wordings, with and without demonstrations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from formats.errors import ConfigError
from tasks.inversion import inverted
from tasks.task import Task

from ..backbones import Backbone
from .metaicl import MetaICL
from .optim import Optimization


class InstructionTuning(MetaICL):
    """FLAN (Wei et al. 2022, arXiv 2109.01652; Longpre et al. 2023, arXiv 2301.13688) and
    Natural-Instructions style: each draw takes one of a task's templates and a number of
    demonstrations (0: none), all in the words of that template.

    Args:
        templates: how many of a task's templates are used; None: all.
        inversion: share of a task's draws in which its input is to be written from its answer,
            where it reads well (:mod:`tasks.inversion`).
        settings: those of :class:`~unify.data.episodes.Episodes`.
    """

    def __init__(
        self,
        backbone: Backbone,
        optimization: Optimization | None = None,
        *,
        templates: int | None = None,
        inversion: float = 0.0,
        **settings: Any,
    ) -> None:
        super().__init__(backbone, optimization, **settings)
        if templates is not None and templates < 1:
            raise ConfigError("no template to ask with", got=templates, expected="1 or more")
        if not 0 <= inversion < 1:
            raise ConfigError(
                "a share outside [0, 1)",
                got=inversion,
                expected="a number from 0, below 1",
                field="learner.inversion",
            )
        if self.episodes.style != "prompt":
            raise ConfigError(
                "instruction tuning on texts alone", got=self.episodes.style, fix="style=prompt"
            )
        self.templates, self.inversion = templates, inversion
        self._ways: dict[str, tuple[list[str], list[str]]] = {}

    def ways(self, task: Task, split: str) -> list[Task]:
        ways = task.prompt.variants["generate"][: self.templates]
        forward = [
            replace(
                task,
                name=task.name if number == 0 else f"{task.name}#{number}",
                prompt=replace(task.prompt, variants={**task.prompt.variants, "generate": (way,)}),
            )
            for number, way in enumerate(ways)
        ]
        backward = list(inverted(task, split)) if self.inversion else []
        self._ways[task.name] = ([t.name for t in forward], [t.name for t in backward])
        return [*forward, *backward]

    def spread(self, rates: Mapping[str, float]) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, rate in rates.items():
            forward, backward = self._ways[name]
            share = self.inversion if backward else 0.0
            found |= dict.fromkeys(forward, rate * (1 - share) / len(forward))
            found |= dict.fromkeys(backward, rate * share / max(1, len(backward)))
        return found

    def notes(self) -> list[dict[str, Any]]:
        first, *rest = super().notes()
        count = sum(len(forward) for forward, _ in self._ways.values())
        turned = sum(bool(backward) for _, backward in self._ways.values())
        lines = [
            *first["notes"],
            f"{len(self._ways)} tasks in {count} wordings, {turned} the other way round too",
        ]
        return [{**first, "notes": lines}, *rest]
