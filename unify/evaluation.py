"""Zero-shot evaluation: predict, decode to the task's own answers, measure, compare."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from formats import Entail
from formats.errors import ConfigError, UnifyError
from formats.examples import Example
from formats.features import yes_odds
from formats.instances import Entailment, Raw
from formats.store import FeatureStore, Rows
from tasks import metrics
from tasks.metrics import Record
from tasks.task import Task

from . import ranks
from .answers import option_scores
from .backbones import Backbone
from .backbones.lm import LanguageModel
from .calibrated import Recorded, calibrated
from .data.free import WithoutEnd, free_rows
from .data.prepare import Preparation, row_number
from .data.shots import together
from .diagnosis import Diagnosis
from .kept import Kept, code, digest, restored, weights, written
from .measured import measured, prompt_text
from .predicting import merge, predicted
from .ranking import AS_SET, OVER_ROWS, Ranking
from .results import TaskResult, summary
from .scoring.kept import Kept as KeptScores

__all__ = [
    "Evaluation",
    "TaskResult",
    "block_end",
    "decoded",
    "evaluate_task",
    "merge",
    "predict_rows",
    "summary",
]

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
    with (demonstrations) is computed once; where the model does not allow that, as before.
    ``ranking``: by what options are ranked. ``metrics`` come before the tasks' own, where a task's
    type knows them: the first one is the result. ``cache``: scores of a language model's options
    are kept in that folder by weights and tokens, whatever asks for them."""

    tokens: int = 16_384
    examples: int = 10
    resamples: int = 1000
    seed: int = 0
    predictions: Path | None = None
    weights: str = ""
    about: str = ""
    shared: bool = True
    ranking: Ranking = AS_SET
    metrics: tuple[str, ...] = ()
    cache: Path | None = None

    def measuring(self, task: Task) -> Task:
        """``task`` with :attr:`metrics` before its own. Raises UnknownName."""
        for name in self.metrics:
            metrics.metric(name)
        known = [m for m in self.metrics if m in metrics.FOR_KIND[task.kind]]
        first, *also = dict.fromkeys((*known, task.metric, *task.also))
        return replace(task, metric=first, also=tuple(also)) if known else task


def predict_rows(
    backbone: Backbone,
    store: Rows,
    numbers: Iterable[int],
    tokens: int,
    advance: Callable[[int], None] = lambda n: None,
) -> dict[int, list[Raw]]:
    """Raw predictions per row number, in the order of the row's instances; of several processes
    each computes a share."""
    numbers = list(numbers)
    if ranks.size() > 1:
        mine = ranks.own(store.column("row"), numbers)
        if not isinstance(store, FeatureStore):
            for i in set(numbers) - set(mine):  # it counts in its facts what it lays out
                store[i]
        found = predicted(backbone, store, mine, tokens, advance)
        advance(len(numbers) - len(mine))
        return {row: raws for part in ranks.gathered(found) for row, raws in part.items()}
    return predicted(backbone, store, numbers, tokens, advance)


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
    ranking: Ranking = AS_SET,
    free: Sequence[Rows] = (),
) -> Iterator[Record]:
    """Every example of the prepared split with the model's answer and scores, in row order, those
    up to row number ``after`` left out. ``free`` are the rows with inputs that say nothing, against
    which ``ranking`` corrects the scores."""
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
        beside = [predict_rows(backbone, f, range(at, stop), tokens) for f in free]
        for row in dict.fromkeys(rows[at:stop].tolist()):
            while row not in waiting:
                example = next(examples)
                waiting[row_number(example)] = example
            example = waiting.pop(row)
            waiting.clear()  # rows that the features skipped
            found, *others = (
                together(r[row]) if getattr(s, "apart", False) else r[row]
                for s, r in zip((store, *free), (raws, *beside), strict=True)
            )
            if beside:
                found = [ranking.corrected(found[0], [o[0] for o in others])]
            if backbone.layout.kind != "encoder" and p.format.name == "entail":
                found = [Entailment(yes_odds(r)) for r in found]
            answer = p.format.decode(example, task.prompt, found, template=p.template(row))
            group = None if groups is None else groups[row]
            relative = isinstance(p.format, Entail) and p.format.relative
            yield Record(example, answer, option_scores(example, found, relative), group)
        at = stop


def evaluate_task(
    backbone: Backbone,
    task: Task,
    preparation: Preparation,
    store: Rows,
    settings: Evaluation,
    advance: Callable[[int], None] = lambda n: None,
    free: Sequence[Rows] | None = None,
) -> TaskResult:
    """Scores one task. Predictions are written to ``settings.predictions`` as they come.

    ``free``: the rows with inputs that say nothing, where they stand behind something; None: made
    here, if ``settings.ranking`` needs them. Raises ConfigError where it cannot rank the task."""
    begun = time.perf_counter()
    task = settings.measuring(task)
    backbone.sharing = settings.shared
    ranking = settings.ranking
    if (reason := ranking.refusal(task)) is not None:
        raise ConfigError(reason, task=task.name, fix="leave the task out of the suite")
    if free is None:
        ranking.refuse(backbone, preparation.format)
        free = free_rows(task, preparation, store, ranking.free, ranking.premise)
    backbone.rule = ranking.scored
    backbone.stop = getattr(store, "stop", ())
    remembering(backbone, settings)
    if not ranking.end:
        store, *free = (WithoutEnd(s, backbone.layout.eos) for s in (store, *free))
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
    how = (backbone, task, preparation, store, settings, advance, free)
    stream = recorded(kept, *how)
    if ranking.calibrate in OVER_ROWS:  # as scored, rows are kept beside: it continues, too
        raw = kept and replace(kept, path=kept.path.parent / "uncalibrated" / kept.path.name)
        way = ranking.calibrate
        stream = calibrated(recorded(raw, *how), kept, task, preparation, way)
    for record, row, new in _of(task, stream):
        earlier += not new
        # Scores are one number per option and row: kept only for a metric that reads them.
        records.append(record if scored else replace(record, scores=None))
        seen.add(record)
        if len(shown) < settings.examples:
            shown.append({**row, "prompt": prompt_text(record.example, task, preparation)})
    result = measured(backbone, task, preparation, store, settings, records, seen, shown)
    if earlier:
        result.notes["kept_rows"] = earlier
    if isinstance(backbone, LanguageModel) and backbone.kept is not None:
        if found := backbone.kept.found:
            result.notes["kept_scores"] = found
        backbone.kept.found = 0
    result.seconds = time.perf_counter() - begun
    if kept is not None:
        kept.finish(asdict(result))
    return result


def remembering(backbone: Backbone, settings: Evaluation) -> None:
    """Gives a language model the scores in ``settings.cache``, once; without it takes them away."""
    if not isinstance(backbone, LanguageModel):
        return
    if settings.cache is None:
        backbone.kept = None
    elif backbone.kept is None or backbone.kept.engine is not backbone.engine:
        place = settings.cache / f"process {ranks.rank()}" if ranks.size() > 1 else settings.cache
        own = settings.weights or weights(backbone)
        backbone.kept = KeptScores(backbone.scorer(), place, weights=own)


def _of(task: Task, stream: Iterator[Recorded]) -> Iterator[Recorded]:
    """``stream``, whose errors name the task."""
    try:
        yield from stream
    except UnifyError as error:
        raise error.at(task=task.name) from None


def kept_rows(
    backbone: Backbone, task: Task, preparation: Preparation, settings: Evaluation
) -> Kept:
    """Where the task's rows are kept, and what identifies them."""
    assert settings.predictions is not None
    own = settings.weights or weights(backbone)
    return ranks.kept(
        settings.predictions / f"{task.name.replace('/', '_')}.jsonl",
        digest(own, preparation.fingerprint(task), settings.about, settings.ranking, code()),
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
    free: Sequence[Rows] = (),
) -> Iterator[Recorded]:
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
        tokens, ranking = settings.tokens, settings.ranking
        for record in decoded(backbone, task, p, store, tokens, advance, after, ranking, free):
            if record.example.gold is None:
                continue
            row = written(record)
            if sink is not None:
                sink.write(json.dumps(row, ensure_ascii=False) + "\n")
            scores = tuple(row["scores"]) if "scores" in row else None
            yield replace(record, scores=scores), row, True
