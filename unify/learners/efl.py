"""Entailment as few-shot learner (EFL: Wang et al. 2021, arXiv 2104.14690): rows as pairs of a text
and a label's description, and, beside them, pairs that the texts make by themselves (3.3)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl

from formats.base import Format
from formats.errors import ConfigError
from tasks.task import Task

from ..backbones import Backbone
from ..data.prepare import TaskFeatures
from .multitask import Multitask
from .optim import Optimization
from .ppt import texts_of, written

NAME = "contrast"
LEAST = 4  # words of a text that is altered


def without_word(words: Sequence[str], draw: random.Random) -> list[str]:
    """``words`` with each left out by a chance of one in ten, one at least."""
    kept = [w for w in words if draw.random() >= 0.1]
    if len(kept) == len(words):
        del kept[draw.randrange(len(kept))]
    return kept


def without_span(words: Sequence[str], draw: random.Random) -> list[str]:
    """``words`` without a run of a fifth of them, one at least."""
    length = max(1, len(words) // 5)
    start = draw.randrange(len(words) - length + 1)
    return [*words[:start], *words[start + length :]]


def reordered(words: Sequence[str], draw: random.Random) -> list[str]:
    """``words`` with two runs of a fifth each (one word at least) in each other's place."""
    length = max(1, len(words) // 5)
    first = draw.randrange(len(words) - 2 * length + 1)
    second = draw.randrange(first + length, len(words) - length + 1)
    return [
        *words[:first], *words[second : second + length], *words[first + length : second],
        *words[first : first + length], *words[second + length :],
    ]  # fmt: skip


ALTERED = (without_word, without_span, reordered)


def contrasts(texts: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """Of each text a row that asks which of two texts it says too: itself altered, or another one.
    Texts of under :data:`LEAST` words make none."""
    draw = random.Random(f"contrast/{seed}")
    long = [t for t in dict.fromkeys(texts) if len(t.split()) >= LEAST]
    rows: list[dict[str, Any]] = []
    for k, text in enumerate(long if len(long) > 1 else ()):
        other = long[(k + draw.randrange(1, len(long))) % len(long)]
        made = " ".join(draw.choice(ALTERED)(text.split(), draw))
        if made != other:
            rows.append({"question": text, "options": [made, other], "answer": 0})
    return rows


class EFL(Multitask):
    """``contrast`` of the draws are rows of :func:`contrasts`, made of at most ``texts`` training
    texts of each seen task, labelled or not."""

    def __init__(
        self, backbone: Backbone, optimization: Optimization | None = None, *,
        contrast: float = 0.0, texts: int = 2000,
    ) -> None:  # fmt: skip
        super().__init__(backbone, optimization)
        if not 0 <= contrast < 1 or texts < 2:
            raise ConfigError("no share of contrasts", got=(contrast, texts),
                              expected="0 <= contrast < 1, texts >= 2")  # fmt: skip
        self.contrast, self.texts, self.made = contrast, texts, 0

    def data(
        self,
        tasks: Sequence[Task],
        train: Sequence[TaskFeatures],
        rates: Mapping[str, float],
        format: Format,
        **settings: Any,
    ) -> pl.LightningDataModule:
        if not self.contrast:
            return super().data(tasks, train, rates, format, **settings)
        from tasks.sources import cache_root

        from ..suite_data import features

        if format.name != "entail":
            raise ConfigError("contrasts are pairs of texts", got=format.name, fix="format=entail")
        texts = [t for task in tasks for t in texts_of(task, self.texts)[0]]
        rows = contrasts(texts, int(settings.get("seed", 0)))
        if not rows:
            raise ConfigError("no texts to contrast", got=len(texts), fix="learner.contrast=0")
        made = written(cache_root() / "pretext", NAME, "choose", rows, {"answer_as": "index"})
        more = features([made], format, self.backbone.coder, "data", "preparing contrasts",
                        train=True, on_bad_row="skip")  # fmt: skip
        self.made = len(rows)
        shared = {name: rate * (1 - self.contrast) for name, rate in rates.items()}
        return super().data(
            tasks, [*train, *more], {**shared, NAME: self.contrast}, format, **settings
        )

    def notes(self) -> list[dict[str, Any]]:
        lines = [f"{self.made} rows, {self.contrast:.0%} of the draws"]
        return [{"task": NAME, "notes": lines}] if self.made else []
