"""Candidate spans of entail: how much of the gold they reach, and how many hypotheses they cost.

Per task and split: at most 2, 4, 8 and 12 words; bounds per type learned from the task's own
training rows (the longest span, and what covers 99 %); and bounds learned from the training rows
of all tasks of the same language that share neither cluster nor lineage with it, as for an unseen
task. Learned bounds have no further limit here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from _bench import finish, parser, table

from formats import Entail
from tasks import catalogue, suites
from tasks.check import unavailable
from tasks.span_statistics import CandidateRecall, candidate_recall, span_bounds
from tasks.task import Task

_NO_LIMIT = 10_000
WORDS = (2, 4, 8, 12)


def merged(found: list[Mapping[str, int]]) -> dict[str, int]:
    """Of several tasks' bounds the longest."""
    out: dict[str, int] = {}
    for bounds in found:
        for name, most in bounds.items():
            out[name] = max(out.get(name, 0), most)
    return out


def bounded(bounds: Mapping[str, int]) -> Entail:
    return Entail(max_words=_NO_LIMIT, bounds=tuple(sorted(bounds.items())))


def apart(task: Task, other: Task) -> bool:
    """Whether ``other`` may be seen where ``task`` is unseen, and speaks its language."""
    alike = task.cluster == other.cluster or task.lineage & other.lineage
    return not alike and task.language == other.language


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--tasks", default="*,-sample*", help="selectors, comma-separated")
    arguments.add_argument("--limit", type=int, help="rows at most; default: all")
    options = arguments.parse_args()
    tasks = [
        task
        for task in map(catalogue.load, suites.select(options.tasks.split(",")))
        if task.kind in ("answer", "tag") and not unavailable(task)
    ]
    learned = {t.name: span_bounds([t]) for t in tasks if "train" in t.splits()}
    most = {t.name: span_bounds([t], quantile=0.99) for t in tasks if "train" in t.splits()}
    rows: list[list[object]] = []
    figures: dict[str, Any] = {}
    for task in tasks:
        labelled = [s for s in task.splits() if s not in task.unlabelled]
        split = next((s for s in ("test", "validation") if s in labelled), labelled[0])
        examples = list(task.examples(split, limit=options.limit, on_bad_row="skip"))
        others = [learned[t.name] for t in tasks if t.name in learned and apart(task, t)]
        settings: dict[str, Entail | None] = {f"{n} words": Entail(max_words=n) for n in WORDS}
        settings["own, longest"] = bounded(learned[task.name]) if task.name in learned else None
        settings["own, 99 %"] = bounded(most[task.name]) if task.name in most else None
        kind = [m for m in others if task.kind in m]
        settings["others"] = bounded(merged(kind)) if kind else None
        found: dict[str, CandidateRecall] = {
            name: candidate_recall(examples, format) for name, format in settings.items() if format
        }
        first = next(iter(found.values()))
        shown = [
            f"{100 * found[name].recall:.1f} {found[name].per_row:.0f}" if name in found else "-"
            for name in settings
        ]
        rows.append([f"{task.name} {split}", first.rows, first.spans, *shown])
        figures[f"{task.name} {split}"] = {
            name: {"recall": r.recall, "per_row": r.per_row, "rows": r.rows, "spans": r.spans}
            for name, r in found.items()
        }
        head = ["recall %, hypotheses per row", "rows", "spans", *settings]
    print(table(head, rows))
    finish("span_recall", figures, [] if rows else ["no task of spans was found"], options.json)


if __name__ == "__main__":
    main()
