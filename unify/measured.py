"""Records to one task's result: its metrics with their intervals, trivial methods, notes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from formats import Entail
from formats.errors import UnifyError
from formats.examples import Example
from formats.store import Rows
from tasks import baselines, metrics
from tasks.metrics import Record
from tasks.span_statistics import candidate_recall
from tasks.task import Task

from .backbones import Backbone
from .data.prepare import Preparation, row_number
from .diagnosis import Diagnosis
from .report.notes import COLUMNS
from .results import TaskResult

if TYPE_CHECKING:
    from .evaluation import Evaluation


def measured(
    backbone: Backbone,
    task: Task,
    preparation: Preparation,
    store: Rows,
    settings: Evaluation,
    records: Sequence[Record],
    seen: Diagnosis,
    shown: list[dict[str, Any]],
) -> TaskResult:
    """The result of ``records``; ``seen`` and ``shown`` are what was noted of them on the way.
    Raises UnifyError where there is none."""
    metric, *also = (metrics.metric(name, task.positive) for name in (task.metric, *task.also))
    if not records:
        raise UnifyError(
            "no labelled row to evaluate on",
            task=task.name,
            split=preparation.split,
            fix="name a split with labels",
        )
    stats = metric.rows(records)
    value = metric.reduce(stats)
    low, high = metrics.bootstrap(metric, stats, n=settings.resamples, seed=settings.seed)
    examples = [r.example for r in records]
    trivial = baselines.values(metric, records, settings.seed)
    notes: dict[str, Any] = seen.notes(lambda e: prompt_text(e, task, preparation))
    if why := backbone.unshared():
        notes["unshared"] = why
    if also:
        notes["also"] = {m.name: m.reduce(m.rows(records)) for m in also}
    signatures = {m.name: m.signature(records) for m in (metric, *also)}
    if any(signatures.values()):
        notes["signatures"] = {name: s for name, s in signatures.items() if s}
    if isinstance(preparation.format, Entail):
        found = candidate_recall(examples, preparation.format)
        if found.rows:
            notes["candidates"] = {"recall": found.recall, "per_row": found.per_row}
    facts = store.facts
    for key in (*(c for c in COLUMNS if c != "skipped"), "dropped_demonstrations"):
        if facts.get(key):
            notes[key] = facts[key]
    if facts.get("skipped"):
        notes["skipped_rows"] = facts["skipped"]
    if task.notes:
        notes["notes"] = list(task.notes)
    return TaskResult(
        task.name,
        task.type.__name__,
        preparation.format.name,
        metric.name,
        value,
        low,
        high,
        len(records),
        trivial,
        0.0,
        notes,
        shown,
        cluster=task.cluster,
    )


def prompt_text(example: Example, task: Task, preparation: Preparation) -> str:
    """What the model reads for ``example``: its first instance, and how many more there are."""
    from .preview import instance_text

    instances = preparation.format.encode(
        example, task.prompt, template=preparation.template(row_number(example))
    )
    first = next(instances)
    more = sum(1 for _ in islice(instances, 1000))
    text = instance_text(first)
    return f"{text}\n(and {more}{'+' if more == 1000 else ''} more like it)" if more else text
