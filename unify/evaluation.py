"""Zero-shot evaluation: predict, decode to the task's own answers, measure, compare."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from formats import Entail
from formats.errors import UnifyError
from formats.examples import Example
from formats.features import yes_odds
from formats.instances import Entailment, Raw, Scores, Spans
from formats.store import FeatureStore, Rows, StoredRow
from tasks import baselines, metrics
from tasks.metrics import Record
from tasks.span_statistics import candidate_recall
from tasks.task import Task

from .answers import option_scores
from .backbones import Backbone
from .data.batching import token_batches
from .data.prepare import Preparation, row_number
from .data.shots import together
from .diagnosis import Diagnosis
from .kept import Kept, code, digest, restored, weights, written
from .report.notes import COLUMNS

BLOCK = 2048  # feature rows that are sorted by length and predicted together
BATCHES = 8  # of full batches at most


@dataclass(frozen=True)
class Evaluation:
    """How to evaluate. ``tokens`` bounds a batch (padded tokens); ``examples`` is how many worked
    examples a report keeps per task; ``resamples`` the bootstrap's.

    With ``predictions`` rows are kept in that folder as they come, and a killed evaluation
    continues behind them. They count as the same evaluation's under the same ``weights``
    (:func:`unify.kept.weights`; empty: taken anew per task) and ``about``, which tells what else
    shapes a row (demonstrations).

    ``shared``: a language model's options are scored as a token tree, in which what rows begin
    with (demonstrations) is computed once; where the model does not allow that, as before."""

    tokens: int = 16_384
    examples: int = 10
    resamples: int = 1000
    seed: int = 0
    predictions: Path | None = None
    weights: str = ""
    about: str = ""
    shared: bool = True


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
    setting: str = ""  # what tells this result from others of the same task: 16-shot, ...

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
    store: Rows,
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
        whole: list[StoredRow] = []

        def apart() -> Iterator[StoredRow]:
            for row in (store[i] for i in longest_first):
                if backbone.at_once(row):
                    whole.append(row)
                else:
                    yield row

        for rows in chain(token_batches(apart(), tokens), (w for w in [whole] if w)):
            for partial in backbone.predict(rows):
                parts[partial.row][partial.instance].append(partial.raw)
            advance(len(rows))
    backbone.train(training)
    return {row: [merge(found[i]) for i in sorted(found)] for row, found in parts.items()}


def block_end(lengths: np.ndarray, at: int, tokens: int) -> int:
    """Where the block that begins at feature row ``at`` ends: before ``BLOCK`` rows, or ``BATCHES``
    batches' tokens. A killed evaluation loses one block at most."""
    sums = np.cumsum(lengths[at : at + BLOCK], dtype=np.int64)
    return at + max(1, int(np.searchsorted(sums, BATCHES * tokens, side="right")))


def decoded(
    backbone: Backbone,
    task: Task,
    preparation: Preparation,
    store: Rows,
    tokens: int,
    advance: Callable[[int], None] = lambda n: None,
    after: int = -1,
) -> Iterator[Record]:
    """Every example of the prepared split with the model's answer and scores, in row order, those
    up to row number ``after`` left out."""
    p = preparation
    groups = task.groups(p.split)
    rows = store.column("row")
    examples = task.examples(p.split, limit=p.limit, on_bad_row=p.on_bad_row)
    waiting: dict[int, Example] = {}
    lengths = store.column("length")
    at = int(np.searchsorted(rows, after, side="right"))
    while at < len(rows):
        stop = block_end(lengths, at, tokens)
        while stop < len(rows) and rows[stop] == rows[stop - 1]:
            stop += 1  # the windows of one row stay together
        raws = predict_rows(backbone, store, range(at, stop), tokens, advance)
        for row in dict.fromkeys(rows[at:stop].tolist()):
            while row not in waiting:
                example = next(examples)
                waiting[row_number(example)] = example
            example = waiting.pop(row)
            waiting.clear()  # rows that the features skipped
            found = together(raws[row]) if getattr(store, "apart", False) else raws[row]
            if backbone.layout.kind != "encoder" and p.format.name == "entail":
                found = [Entailment(yes_odds(r)) for r in found]
            answer = p.format.decode(example, task.prompt, found, template=p.template(row))
            group = None if groups is None else groups[row]
            yield Record(example, answer, option_scores(example, found), group)
        at = stop


def evaluate_task(
    backbone: Backbone,
    task: Task,
    preparation: Preparation,
    store: Rows,
    settings: Evaluation,
    advance: Callable[[int], None] = lambda n: None,
) -> TaskResult:
    """Scores one task. Predictions are written to ``settings.predictions`` as they come."""
    begun = time.perf_counter()
    backbone.sharing = settings.shared
    metric, *also = (metrics.metric(name, task.positive) for name in (task.metric, *task.also))
    scored = any(m.uses_scores for m in (metric, *also))
    records: list[Record] = []
    shown: list[dict[str, Any]] = []
    kept = None
    if settings.predictions is not None:
        kept = kept_rows(backbone, task, preparation, settings)
    if kept is not None and (finished := kept.result()) is not None:
        advance(len(store))
        return TaskResult(**finished)
    seen = Diagnosis(settings.examples)
    earlier = 0
    stream = recorded(kept, backbone, task, preparation, store, settings, advance)
    for record, row, new in stream:
        earlier += not new
        # Scores are one number per option and row: kept only for a metric that reads them.
        records.append(record if scored else replace(record, scores=None))
        seen.add(record)
        if len(shown) < settings.examples:
            shown.append({**row, "prompt": prompt_text(record.example, task, preparation)})
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
    trivial = {}
    for name, baseline in baselines.BASELINES.items():
        given = baseline(examples, settings.seed)
        pairs = zip(records, given, strict=True)
        trivial[name] = metric.reduce(
            metric.rows([replace(r, answer=a, scores=None) for r, a in pairs])
        )
    notes: dict[str, Any] = seen.notes(lambda e: prompt_text(e, task, preparation))
    if earlier:
        notes["kept_rows"] = earlier
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
    result = TaskResult(
        task.name,
        task.type.__name__,
        preparation.format.name,
        metric.name,
        value,
        low,
        high,
        len(records),
        trivial,
        time.perf_counter() - begun,
        notes,
        shown,
    )
    if kept is not None:
        kept.finish(asdict(result))
    return result


def kept_rows(
    backbone: Backbone, task: Task, preparation: Preparation, settings: Evaluation
) -> Kept:
    """Where the task's rows are kept, and what identifies them."""
    assert settings.predictions is not None
    own = settings.weights or weights(backbone)
    return Kept(
        settings.predictions / f"{task.name.replace('/', '_')}.jsonl",
        digest(own, preparation.fingerprint(task), settings.about, code()),
        digest(
            task.metric,
            task.also,
            task.positive,
            task.notes,
            settings.resamples,
            settings.seed,
            settings.examples,
        ),
    )


def recorded(
    kept: Kept | None,
    backbone: Backbone,
    task: Task,
    preparation: Preparation,
    store: Rows,
    settings: Evaluation,
    advance: Callable[[int], None],
) -> Iterator[tuple[Record, dict[str, Any], bool]]:
    """Every labelled row: its record, what is written of it, and whether it was computed now.

    Rows that an earlier start wrote are read and not computed again. Scores are as written, so
    that a continued evaluation measures the same numbers.
    """
    p, after = preparation, -1
    earlier = kept.begin() if kept is not None else []
    examples = task.examples(p.split, limit=p.limit, on_bad_row=p.on_bad_row)
    for row, record in zip(earlier, restored(examples, earlier), strict=True):
        after = row_number(record.example)
        yield record, row, False
    done = int(np.searchsorted(store.column("row"), after, side="right"))
    if done and not isinstance(store, FeatureStore):
        for i in range(done):  # such a store counts in its facts what it lays out
            store[i]
    advance(done)
    with nullcontext() if kept is None else kept.append() as sink:
        for record in decoded(backbone, task, p, store, settings.tokens, advance, after):
            if record.example.gold is None:
                continue
            row = written(record)
            if sink is not None:
                sink.write(json.dumps(row, ensure_ascii=False) + "\n")
            scores = tuple(row["scores"]) if "scores" in row else None
            yield replace(record, scores=scores), row, True


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
