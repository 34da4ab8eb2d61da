"""Learning to learn in context: every training sequence is an episode of some task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from formats.base import Format
from formats.collate import Batch
from formats.errors import ConfigError
from tasks.task import Task

from ..backbones import Backbone, branches
from ..data.episodes import Episodes
from ..data.prepare import TaskFeatures
from .multitask import Multitask
from .optim import Optimization


class MetaICL(Multitask):
    """k demonstrations and a query of one seen task, loss on the query's output (Min et al. 2022,
    arXiv 2110.15943), and with ``dense`` on the output of every demonstration in the same pass.

    ``settings`` are those of :class:`~unify.data.episodes.Episodes`.
    """

    def __init__(
        self, backbone: Backbone, optimization: Optimization | None = None, **settings: Any
    ) -> None:
        super().__init__(backbone, optimization)
        plain: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
        self.episodes = Episodes(**plain)
        kind = backbone.layout.kind
        if kind not in ("causal", "seq2seq"):
            raise ConfigError(
                f"episodes on a model of kind {kind}",
                expected="a causal or seq2seq model, format=generate",
                fix="model=tiny_llama format=generate",
            )
        if self.episodes.dense and kind != "causal":
            raise ConfigError(
                f"dense targets on a model of kind {kind}: its source is not predicted",
                fix="learner.dense=false",
            )
        self.apart: str | None = None  # why several queries are not computed together
        if self.episodes.queries > 1:
            if kind != "causal":
                raise ConfigError(
                    f"several queries behind the same demonstrations on a model of kind {kind}: "
                    "its source holds the query",
                    fix="learner.queries=1",
                )
            self.apart = branches.refusal(backbone)
        self.counts: Counter[str] = Counter()

    def asked(self, task: Task) -> Task:
        return self.episodes.asked(task)

    def data(
        self,
        tasks: Sequence[Task],
        train: Sequence[TaskFeatures],
        rates: Mapping[str, float],
        format: Format,
        *,
        stage: object = None,
        **settings: Any,
    ) -> pl.LightningDataModule:
        from ..data.episode_module import EpisodeData

        if format.name != "generate":
            raise ConfigError("episodes in another format", got=format.name, fix="format=generate")
        if stage is not None:
            raise ConfigError("episodes know no first stage", fix="data=mixture")
        coder = self.backbone.coder
        settings["apart"] = self.apart is not None
        module = EpisodeData(tasks, train, rates, coder, self.episodes, format, **settings)
        self.left_out = {name: rows for name, rows in module.maker.left_out.items() if rows}
        return module

    def summed(self, batch: Batch) -> Tensor:
        if self.episodes.weigh == "tokens":
            return super().summed(batch)
        total, count = self.backbone.log_probabilities(batch)  # type: ignore[operator]
        return -(total / count).sum()  # type: ignore[no-any-return]

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.counts.update(
            episodes=len(batch.rows),
            dropped=batch.dropped,
            tokens=batch.tokens,
            padded=batch.ids.numel(),
            targets=int((batch.target != -100).sum()),  # type: ignore[operator, union-attr]
        )
        return super().training_step(batch, batch_idx)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["episodes"] = dict(self.counts)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.counts = Counter(checkpoint.get("episodes", {}))

    def notes(self) -> list[dict[str, Any]]:
        c = self.counts
        lines = [
            f"{c['episodes']} episodes of {c['tokens']} tokens, {c['targets']} of them predicted; "
            f"padding {1 - c['tokens'] / max(1, c['padded']):.1%}"
        ]
        if self.episodes.queries > 1:
            how = f"each read by itself: {self.apart}" if self.apart else "which are read once"
            lines.append(f"{self.episodes.queries} queries behind the same demonstrations, {how}")
        if c["dropped"]:
            lines.append(f"{c['dropped']} whole demonstrations did not fit and were dropped")
        notes: list[dict[str, Any]] = [{"task": "episodes", "notes": lines}]
        for task, rows in getattr(self, "left_out", {}).items():
            notes.append({"task": task, "notes": [f"{rows} rows too long for an episode left out"]})
        return notes
