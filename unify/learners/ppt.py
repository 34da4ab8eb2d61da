"""Pre-trained prompt tuning (Gu et al. 2022, arXiv 2109.04332): a prompt meets rows that texts make
by themselves before it meets the task."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from formats.base import Format
from formats.errors import ConfigError
from tasks.task import Task

from ..backbones import Backbone
from ..data.prepare import TaskFeatures
from .multitask import Multitask
from .optim import Optimization

KINDS = ("pair", "choice", "single")
NEVER = 1e-12  # share of the later draws that are pretext rows: none in any run


class PPT(Multitask):
    """The first ``steps`` optimizer steps are on pretext rows of the seen tasks' unlabelled texts,
    at most ``texts`` of each task; the others on the tasks. ``data.bucket`` shrinks to a divisor of
    ``steps``, for rows are dealt in whole buckets.

    ``kinds`` are those of :mod:`unify.tuning.pretext`; ``unified`` asks all of them as multiple
    choice. A pseudo-label is kept where its probability is at least ``confident``.
    """

    def __init__(
        self,
        backbone: Backbone,
        optimization: Optimization | None = None,
        *,
        steps: int = 200,
        texts: int = 2000,
        kinds: Sequence[str] = KINDS,
        unified: bool = False,
        confident: float = 0.7,
    ) -> None:
        super().__init__(backbone, optimization)
        unknown = [k for k in kinds if k not in KINDS]
        if unknown or not kinds or steps < 1:
            raise ConfigError(
                "no pre-training", got={"kinds": list(kinds), "steps": steps},
                expected=f"kinds among {', '.join(KINDS)}, and at least one step",
            )  # fmt: skip
        self.steps, self.texts, self.kinds = steps, texts, tuple(kinds)
        self.unified, self.confident = unified, confident
        self.made: dict[str, int] = {}

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
        from tasks.sources import cache_root

        from ..suite_data import features

        if stage is not None:
            raise ConfigError("pre-training is the first stage already", fix="data=mixture")
        folder = cache_root() / "pretext"
        pretext = list(self.pretext(tasks, folder, int(settings.get("seed", 0))))
        found = features(
            pretext, format, self.backbone.coder, "data", "preparing pretext rows",
            train=True, on_bad_row="skip",
        )  # fmt: skip
        more = [t for t in found if len(t.store)]
        if not more:
            raise ConfigError(
                "no texts to pre-train a prompt on", got=[t.name for t in tasks],
                expected="tasks with unlabelled texts of more than four words",
            )  # fmt: skip
        self.made = {t.name: len(t.store) for t in more}
        first = dict.fromkeys(self.made, 1 / len(more))
        settings["bucket"] = math.gcd(self.steps, int(settings.get("bucket", 8)))
        return super().data(
            tasks, [*train, *more], {**dict.fromkeys(self.made, NEVER), **rates}, format,
            stage=(self.steps, first), **settings,
        )  # fmt: skip

    def on_fit_start(self) -> None:
        """Raises ConfigError where no step is left for the tasks."""
        if 0 <= self.trainer.max_steps <= self.steps:
            raise ConfigError(
                "pre-training that leaves no step for the tasks",
                got=f"trainer.max_steps={self.trainer.max_steps}, learner.steps={self.steps}",
                expected="more steps in all than are for pre-training",
                fix="raise trainer.max_steps, or lower learner.steps",
            )

    def pretext(self, tasks: Sequence[Task], folder: Path, seed: int) -> Iterator[Task]:
        """The tasks of pre-training, their rows written to ``folder``."""
        from ..tuning import pretext as rows

        texts: list[str] = []
        known: list[tuple[str, str]] = []
        for task in tasks:
            own, labelled = texts_of(task, self.texts)
            texts += own
            known += labelled if not known else []  # one label space
        parted = rows.passages(texts)
        makers: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
            "pair": lambda: rows.pairs(parted, seed),
            "choice": lambda: rows.choices(parted, seed),
            "single": lambda: rows.singles(texts, known, self.confident),
        }
        for kind in self.kinds:
            made = list(makers[kind]())
            labels = rows.RELATIONS if kind == "pair" else sorted({b for _, b in known})
            if not made:
                continue
            if kind == "choice" or self.unified:
                if kind != "choice":
                    made = [rows.unified(row, labels) for row in made]
                yield written(folder, f"pretext_{kind}", "choose", made, {"answer_as": "index"})
            else:
                yield written(
                    folder, f"pretext_{kind}", "classify", made, {"labels": list(labels)}
                )

    def notes(self) -> list[dict[str, Any]]:
        lines = [f"{name}: {rows} rows" for name, rows in self.made.items()]
        return [{"task": f"the first {self.steps} steps", "notes": lines}]


def texts_of(task: Task, limit: int) -> tuple[list[str], list[tuple[str, str]]]:
    """Unlabelled training texts of ``task`` (of a few-shot subset: of the task it is drawn from),
    and its labelled ones where a row has one label."""
    from tasks.subsets import SubsetRows

    whole = task.source.parent if isinstance(task.source, SubsetRows) else task
    split = "train" if "train" in whole.splits() else whole.splits()[0]
    stream = whole.examples(split, on_bad_row="skip")
    texts = [t for e in islice(stream, limit) if (t := text_of(e))]
    own = "train" if "train" in task.splits() else task.splits()[0]
    known = [
        (text_of(e), e.gold)
        for e in islice(task.examples(own, on_bad_row="skip"), limit)
        if task.labels is not None and isinstance(e.gold, str)
    ]
    return texts, known


def text_of(example: Any) -> str:
    """What an example is about: its text, passage or question."""
    found = (getattr(example, name, None) for name in ("text", "passage", "source", "question"))
    return str(next((t for t in found if t), ""))


def written(
    folder: Path, name: str, kind: str, rows: list[dict[str, Any]], declaration: Mapping[str, Any]
) -> Task:
    """A task over ``rows``, in a folder of their own digest."""
    from ..own import task_from_rows

    key = hashlib.sha256(repr((name, kind, rows)).encode()).hexdigest()[:16]
    place = folder / key
    place.mkdir(parents=True, exist_ok=True)
    made = task_from_rows(rows, place, kind, declaration)
    return dataclasses.replace(made, name=name)
