"""Zero-shot evaluation: predict, decode to the task's own answers, measure, compare."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from formats.errors import UnifyError
from formats.examples import Answer, Example, matches
from formats.features import yes_odds
from formats.instances import Entailment, Raw, Scores, Spans
from formats.store import FeatureStore
from tasks import baselines, metrics
from tasks.task import Task

from .answers import gold, plain
from .backbones import Backbone
from .data.batching import token_batches
from .data.prepare import Preparation, row_number

BLOCK = 2048  # feature rows that are sorted by length and predicted together


@dataclass(frozen=True)
class Evaluation:
    """How to evaluate. ``tokens`` bounds a batch (padded tokens); ``examples`` is how many worked
    examples a report keeps per task; ``resamples`` the bootstrap's."""

    tokens: int = 16_384
    examples: int = 10
    resamples: int = 1000
    seed: int = 0
    predictions: Path | None = None


@dataclass
class TaskResult:
    """One task's score with its 95% bootstrap interval, and what trivial methods reach."""

    task: str
    type: str
    format: str
    metric: str
    value: float
    low: float
    high: float
    rows: int
    baselines: dict[str, float]
    seconds: float
    notes: dict[str, Any] = field(default_factory=dict)
    examples: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The entry of ``report.json``."""
        return {
            "type": self.type,
            "format": self.format,
            "metric": self.metric,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "rows": self.rows,
            "baselines": self.baselines,
            "seconds": round(self.seconds, 2),
            **self.notes,
        }


def merge(parts: Sequence[Raw]) -> Raw:
    """One raw prediction from those of a passage's windows: the best margin of each span."""
    if len(parts) == 1:
        return parts[0]
    if all(isinstance(p, Scores) for p in parts):
        table = np.array([p.values for p in parts if isinstance(p, Scores)])
        return Scores(tuple(table.max(0).tolist()))
    best: dict[tuple[int, int, int], Any] = {}
    for part in parts:
        assert isinstance(part, Spans)
        for span in part.spans:
            key = (span.start, span.end, span.type)
            if key not in best or span.score > best[key].score:
                best[key] = span
    return Spans(tuple(sorted(best.values(), key=lambda s: (-s.score, s.start, s.end))))


def predict_rows(
    backbone: Backbone,
    store: FeatureStore,
    numbers: Iterable[int],
    tokens: int,
    advance: Callable[[int], None] = lambda n: None,
) -> dict[int, list[Raw]]:
    """Raw predictions per row number, in the order of the row's instances."""
    parts: dict[int, dict[int, list[Raw]]] = defaultdict(lambda: defaultdict(list))
    training = backbone.training
    backbone.eval()
    with torch.inference_mode():
        lengths = store.column("length")
        longest_first = sorted(numbers, key=lambda i: (-int(lengths[i]), i))
        for rows in token_batches((store[i] for i in longest_first), tokens):
            for partial in backbone.predict(rows):
                parts[partial.row][partial.instance].append(partial.raw)
            advance(len(rows))
    backbone.train(training)
    return {row: [merge(found[i]) for i in sorted(found)] for row, found in parts.items()}


def decoded(
    backbone: Backbone,
    task: Task,
    preparation: Preparation,
    store: FeatureStore,
    tokens: int,
    advance: Callable[[int], None] = lambda n: None,
) -> Iterator[tuple[Example, Answer]]:
    """Every example of the prepared split with the model's answer, in row order."""
    p = preparation
    rows = store.column("row")
    examples = task.examples(p.split, limit=p.limit, on_bad_row=p.on_bad_row)
    waiting: dict[int, Example] = {}
    at = 0
    while at < len(rows):
        stop = min(at + BLOCK, len(rows))
        while stop < len(rows) and rows[stop] == rows[stop - 1]:
            stop += 1  # the windows of one row stay together
        raws = predict_rows(backbone, store, range(at, stop), tokens, advance)
        for row in dict.fromkeys(rows[at:stop].tolist()):
            while row not in waiting:
                example = next(examples)
                waiting[row_number(example)] = example
            example = waiting.pop(row)
            waiting.clear()  # rows that the features skipped
            found = raws[row]
            if backbone.layout.kind != "encoder" and p.format.name == "entail":
                found = [Entailment(yes_odds(r)) for r in found]
            answer = p.format.decode(example, task.prompt, found, template=p.template(row))
            yield example, answer
        at = stop


def evaluate_task(
    backbone: Backbone,
    task: Task,
    preparation: Preparation,
    store: FeatureStore,
    settings: Evaluation,
    advance: Callable[[int], None] = lambda n: None,
) -> TaskResult:
    """Scores one task. Predictions are written to ``settings.predictions`` as they come."""
    begun = time.perf_counter()
    metric = metrics.metric(task.metric)
    examples: list[Example] = []
    answers: list[Answer] = []
    shown: list[dict[str, Any]] = []
    out: AbstractContextManager[Any] = nullcontext()
    if settings.predictions is not None:
        settings.predictions.mkdir(parents=True, exist_ok=True)
        name = task.name.replace("/", "_")
        out = (settings.predictions / f"{name}.jsonl").open("w", encoding="utf-8")
    with out as sink:
        stream = decoded(backbone, task, preparation, store, settings.tokens, advance)
        for example, answer in stream:
            if example.gold is None:
                continue
            examples.append(example)
            answers.append(answer)
            record = {
                "id": example.id,
                "answer": plain(answer, example),
                "gold": gold(example),
                "right": matches(example, answer),
            }
            if sink is not None:
                sink.write(json.dumps(record, ensure_ascii=False) + "\n")
            if len(shown) < settings.examples:
                shown.append({**record, "prompt": prompt_text(example, task, preparation)})
    if not examples:
        raise UnifyError(
            "no labelled row to evaluate on",
            task=task.name,
            split=preparation.split,
            fix="name a split with labels",
        )
    stats = metric.rows(examples, answers)
    value = metric.reduce(stats)
    low, high = metrics.bootstrap(metric, stats, n=settings.resamples, seed=settings.seed)
    trivial = {
        name: metric.value(examples, answer(examples, settings.seed))
        for name, answer in baselines.BASELINES.items()
    }
    notes: dict[str, Any] = {}
    facts = store.facts
    for key in ("unheld", "cut_rows", "cut_tokens"):
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
        len(examples),
        trivial,
        time.perf_counter() - begun,
        notes,
        shown,
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


def summary(results: Sequence[TaskResult]) -> dict[str, float | None]:
    """Macro average over tasks, and that of the best trivial method per task."""
    if not results:
        return {"value": None, "best_baseline": None}
    return {
        "value": float(np.mean([r.value for r in results])),
        "best_baseline": float(np.mean([max(r.baselines.values()) for r in results])),
    }
