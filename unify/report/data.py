"""What a report holds, and its JSON form."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..files import write_whole
from .numbers import finite, plural

if TYPE_CHECKING:  # evaluation brings torch; a report only reads its results
    from unify.evaluation import TaskResult

Kind = Literal["train", "evaluate", "reason", "sweep"]


@dataclass(frozen=True)
class Report:
    """One run, told in full.

    Attributes:
        unseen: the results on tasks never trained on (of kind ``reason``: on any), in the order
            to show them.
        skipped: unseen task -> why the run has no result for it.
        seconds: wall time of the whole run.
        losses: (step, training loss).
        validation: (step, validation loss).
        mixture: per seen task ``task``, ``rate`` (its share of the draws), ``fraction`` (its share
            of all training rows), ``rows`` and ``mean_length`` in tokens.
        leaks: what ties unseen tasks to training: ``unseen``, ``seen``, ``reason``, or any keys.
        allowed_leaks: whether the run was told to go on in spite of leaks.
        contact: what the backbone is known to have met in pre-training, one line each.
        data_notes: per task and split what the data did not give: ``task``, ``split`` and any of
            ``rows``, ``skipped`` (a number, or ``rows`` and ``reasons``), ``unlabelled``,
            ``unheld`` (reason -> rows), ``cut_rows``, ``cut_tokens``, ``derived`` (how the split
            was made), ``notes`` (remarks). The facts of a feature store fit as they are.
        config: the resolved configuration as YAML.
        versions: package -> version.
        held_out: results of seen tasks, on rows that training left out.
    """

    title: str
    unseen: Sequence[TaskResult] = ()
    seen: Sequence[str] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    losses: Sequence[tuple[int, float]] = ()
    validation: Sequence[tuple[int, float]] = ()
    mixture: Sequence[Mapping[str, Any]] = ()
    leaks: Sequence[Mapping[str, Any]] = ()
    allowed_leaks: bool = False
    contact: Sequence[str] = ()
    data_notes: Sequence[Mapping[str, Any]] = ()
    config: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    kind: Kind = "train"
    held_out: Sequence[TaskResult] = ()


def best_baseline(result: TaskResult) -> tuple[str, float] | None:
    """Name and value of the strongest trivial method; the first one, if several tie."""
    found = [(n, v) for n, raw in result.baselines.items() if (v := finite(raw)) is not None]
    return max(found, key=lambda pair: pair[1]) if found else None


def margin(result: TaskResult) -> float | None:
    """How far the value is above the best trivial method."""
    value, best = finite(result.value), best_baseline(result)
    return None if value is None or best is None else value - best[1]


def mean(values: Sequence[float | None]) -> float | None:
    """The mean; ``None`` for no values, or if one is missing (an average over fewer would
    silently answer another question)."""
    known = [v for v in values if v is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None


def by_setting(results: Sequence[TaskResult]) -> dict[str, list[TaskResult]]:
    """Results of one task in several settings (0-shot, 16-shot) apart, in order."""
    found: dict[str, list[TaskResult]] = {}
    for r in results:
        found.setdefault(r.setting, []).append(r)
    return found


def headline(results: Sequence[TaskResult]) -> list[TaskResult]:
    """The results of the first setting: one per task."""
    return next(iter(by_setting(results).values()), [])


def macro(results: Sequence[TaskResult]) -> dict[str, float | None]:
    """Averages over the tasks that have a value: the model's, and the best trivial method's."""
    valued = [r for r in results if finite(r.value) is not None]
    best = [b[1] if (b := best_baseline(r)) else None for r in valued]
    return {"value": mean([finite(r.value) for r in valued]), "best_baseline": mean(best)}


def micro(results: Sequence[TaskResult]) -> tuple[float, int] | None:
    """The average over the rows of all tasks that have a value, each row worth its task's value;
    and their number. None without a row."""
    valued = [(v, r.rows) for r in results if (v := finite(r.value)) is not None]
    rows = sum(n for _, n in valued)
    return (math.fsum(v * n for v, n in valued) / rows, rows) if rows else None


def by_cluster(results: Sequence[TaskResult]) -> dict[str, float]:
    """The macro average of each cluster's tasks that have a value, by the cluster's name."""
    found: dict[str, list[float]] = {}
    for r in results:
        if r.cluster and (value := finite(r.value)) is not None:
            found.setdefault(r.cluster, []).append(value)
    return {name: math.fsum(own) / len(own) for name, own in sorted(found.items())}


def averages(results: Sequence[TaskResult]) -> dict[str, Any]:
    """:func:`macro` with ``micro``, ``rows`` and ``clusters`` beside it."""
    found = micro(results)
    return {
        **macro(results),
        "micro": found and found[0],
        "rows": found[1] if found else 0,
        "clusters": by_cluster(results),
    }


def baseline_names(results: Sequence[TaskResult]) -> list[str]:
    """Every trivial method that any task was compared with, in a fixed order."""
    met = list(dict.fromkeys(name for r in results for name in r.baselines))
    usual = [name for name in ("majority", "random", "overlap") if name in met]
    return usual + [name for name in met if name not in usual]


def clean(value: Any) -> Any:
    """``value`` as what JSON can hold: no NaN or infinity, no tuples, sets or NumPy numbers."""
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): clean(v) for k, v in value.items()}
    if isinstance(value, AbstractSet):
        return sorted((clean(v) for v in value), key=str)
    if isinstance(value, Sequence):
        return [clean(v) for v in value]
    if hasattr(value, "tolist"):  # a NumPy number or array, or a tensor
        return clean(value.tolist())
    return str(value)


UNSEEN, HELD_OUT = "unseen task", "seen task on held-out rows"
ASKED = "task"  # of a model whose training is not known here


def kinds(report: Report) -> dict[str, Sequence[TaskResult]]:
    """The results by what their tasks are to the run; kinds without any are left out. The first
    one is what the headline is about."""
    first = ASKED if report.kind == "reason" else UNSEEN
    found = {first: report.unseen, HELD_OUT: report.held_out}
    return {name: results for name, results in found.items() if results}


def counted(kind: str, number: int) -> str:
    """``3 unseen tasks``, ``1 seen task on held-out rows``."""
    noun, _, rest = kind.partition(" on ")
    return plural(number, noun) + (f" on {rest}" if rest else "")


def _entries(results: Sequence[TaskResult], examples: bool) -> dict[str, Any]:
    more = ({"examples": r.examples} if examples else {} for r in results)
    return {r.task: {**r.as_dict(), **m} for r, m in zip(results, more, strict=True)}


def as_json(report: Report, examples: bool = True) -> dict[str, Any]:
    """The report as plain JSON values. ``examples`` keeps each task's worked examples."""
    settings = {s: averages(own) for s, own in by_setting(report.unseen).items() if s}
    whole: dict[str, Any] = clean(
        {
            "unseen": _entries(report.unseen, examples),
            "held_out": _entries(report.held_out, examples),
            "macro": averages(headline(report.unseen)),
            "macro_held_out": averages(headline(report.held_out)),
            **({"settings": settings} if settings else {}),
            "seen": report.seen,
            "skipped": report.skipped,
            "seconds": report.seconds,
            "losses": report.losses,
            "validation": report.validation,
            "mixture": report.mixture,
            "leaks": report.leaks,
            "allowed_leaks": report.allowed_leaks,
            "contact": report.contact,
            "data_notes": report.data_notes,
            "versions": report.versions,
            "config": report.config,
        }
    )
    return whole


def save_json(value: Any, path: Path) -> None:
    """Writes ``value`` for people and programs; a NaN that slipped through is an error."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    write_whole(path, text + "\n")


def write_json(report: Report, path: Path, examples: bool = True) -> None:
    """Writes :func:`as_json` to ``path``."""
    save_json(as_json(report, examples), path)
