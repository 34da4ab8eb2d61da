"""Batch calibration: every row against what all rows together prefer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeAlias

from formats.errors import ConfigError
from formats.instances import Scores
from tasks.metrics import Record
from tasks.task import Task

from .data.prepare import Preparation, row_number
from .kept import Kept, written
from .scoring.calibrate import in_logs

# A row's record, what is written of it, and whether it was computed now.
Recorded: TypeAlias = tuple[Record, dict[str, Any], bool]


def batch_calibrated(
    scored: Iterable[Recorded], kept: Kept | None, task: Task, p: Preparation
) -> Iterator[Recorded]:
    """The ``scored`` rows, answered anew; they are written to ``kept`` when all are there.
    Raises ConfigError for rows without scores."""
    found = list(scored)
    scores = [record.scores for record, _, _ in found]
    if None in scores:
        raise ConfigError(
            "batch calibration of rows without scores",
            expected="rows with a score per option",
            task=task.name,
        )
    table = in_logs(scores, scores).tolist() if scores else []  # type: ignore[arg-type]
    out: list[Recorded] = []
    for (record, _, new), values in zip(found, table, strict=True):
        template = p.template(row_number(record.example))
        raws: list[Any] = [Scores(tuple(values))]
        answer = p.format.decode(record.example, task.prompt, raws, template=template)
        made = replace(record, answer=answer, scores=tuple(values))
        out.append((made, written(made), new))
    if kept is not None:
        kept.rewrite([row for _, row, _ in out])
    yield from out
