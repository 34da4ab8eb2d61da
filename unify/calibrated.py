"""Calibration over all rows: every row against what they prefer together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeAlias

from formats.errors import ConfigError
from formats.instances import Entailment, Scores
from tasks.metrics import Record
from tasks.task import Task

from .data.prepare import Preparation, row_number
from .kept import Kept, written
from .scoring.calibrate import in_logs, in_quantiles

# A row's record, what is written of it, and whether it was computed now.
Recorded: TypeAlias = tuple[Record, dict[str, Any], bool]


def calibrated(
    scored: Iterable[Recorded], kept: Kept | None, task: Task, p: Preparation, way: str
) -> Iterator[Recorded]:
    """The ``scored`` rows, answered anew (``way``: batch or quantile); they are written to ``kept``
    when all are there. Raises ConfigError for rows without scores."""
    found = list(scored)
    scores = [record.scores for record, _, _ in found]
    if None in scores:
        raise ConfigError(
            f"{way} calibration of rows without scores",
            expected="rows with a score per option",
            task=task.name,
        )
    given: Any = scores
    table: list[Any] = []
    if scores:
        table = (in_quantiles(given) if way == "quantile" else in_logs(given, given)).tolist()
    out: list[Recorded] = []
    for (record, _, new), values in zip(found, table, strict=True):
        template = p.template(row_number(record.example))
        raws: list[Any] = [Scores(tuple(values))]
        if p.format.name == "entail":
            raws = [Entailment(v) for v in values]
        answer = p.format.decode(record.example, task.prompt, raws, template=template)
        made = replace(record, answer=answer, scores=tuple(values))
        out.append((made, written(made), new))
    if kept is not None:
        kept.rewrite([row for _, row, _ in out])
    yield from out
