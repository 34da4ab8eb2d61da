"""Every task of the catalogue in every format, all rows: the perfect prediction gives gold back.

Each row of each split is asked, answered by the oracle and decoded. A row that does not come back
must have been announced by ``Format.holds``. Candidate spans (questions and entities asked as
entail) run into hundreds of millions; ``--bounds own`` bounds them per type by the longest spans
of the task's own training rows, ``--bounds none`` by ``--words`` alone. ``--features 10`` makes
features of every tenth row too, with a tokenizer trained on a few of the tasks.
"""

from __future__ import annotations

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from _bench import finish, parser, table
from _coder import coder_for

from formats import FORMATS, Entail
from formats.base import Format
from formats.examples import TYPE_NAMES
from formats.features import Group, featurize
from formats.layout import Coder
from tasks import catalogue, suites
from tasks.check import unavailable
from tasks.roundtrip import Tally, roundtrip
from tasks.sources import Generated
from tasks.span_statistics import span_bounds
from tasks.task import Task

VOCABULARY_OF = ("ag_news", "trec", "sst2", "rte", "xquad_en", "conll2003", "gsm8k")
_PROBED = 8  # rows by which a cell's work is estimated


def format_for(name: str, task: Task, words: int, own: bool) -> Format:
    if name != "entail":
        return FORMATS[name]()
    bounds = span_bounds([task]) if own and "train" in task.splits() else {}
    return Entail(max_words=words, bounds=tuple(sorted(bounds.items())))


def rows_of(task: Task, limit: int | None) -> int:
    return sum(min(task.count(s), limit or task.count(s)) for s in task.splits())


def work(task: Task, format: Format, rows: int) -> float:
    """About how many microseconds a cell takes: some per row, and a few per instance."""
    shown = list(islice(task.examples(task.splits()[0], on_bad_row="skip"), _PROBED))
    asked = sum(1 for e in shown for _ in format.encode(e, task.prompt))
    return rows * (120 + 5 * asked / max(1, len(shown)))


def featured(task: Task, format: Format, coder: Coder, every: int, limit: int | None) -> list[int]:
    """Feature rows of every ``every``-th row, and the tokens that were cut from them."""
    made = cut = 0
    for split in task.splits():
        examples = islice(task.examples(split, limit=limit, on_bad_row="skip"), 0, None, every)
        groups = (Group(n, list(format.encode(e, task.prompt))) for n, e in enumerate(examples))
        while chunk := list(islice(groups, 32)):
            for row in featurize(chunk, coder):
                made += 1
                cut += row.cut
    return [made, cut]


class Progress:
    """One line per finished cell on stderr: its rate, and the time that is left."""

    def __init__(self, total: float) -> None:
        self.total, self.done, self.begun = total, 0.0, time.monotonic()

    def finished(self, what: str, weight: float, tally: Tally) -> None:
        self.done += weight
        spent = time.monotonic() - self.begun
        left = spent / self.done * (self.total - self.done)
        rate = tally.instances / max(tally.seconds, 1e-9)
        print(
            f"{self.done / self.total:4.0%}  {what}: {tally.rows} rows, {tally.instances} "
            f"instances, {rate:,.0f} a second; {left / 60:.1f} min left",
            file=sys.stderr,
            flush=True,
        )


HEAD = ("rows", "exact", "explained", "unlabelled", "unexplained", "instances per row", "seconds")


def cells(tally: Tally) -> list[object]:
    explained = tally.explained.total()
    each = tally.instances / max(1, tally.rows)
    counts = (tally.rows, tally.exact, explained, tally.unlabelled, tally.unexplained)
    return [*counts, f"{each:.1f}", f"{tally.seconds:.0f}"]


def markdown(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table as Markdown; all but the first column flush right."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def by_type(tallies: dict[tuple[str, str], Tally], tasks: Sequence[Task]) -> Iterator[list[object]]:
    """Rows of the matrix: type and format, in the order of the types."""
    kinds = {t.name: t.type.__name__ for t in tasks}
    groups: dict[tuple[str, str], Tally] = defaultdict(Tally)
    many: Counter[tuple[str, str]] = Counter()
    for (name, format), tally in tallies.items():
        groups[kinds[name], format].add(tally)
        many[kinds[name], format] += 1
    for kind in TYPE_NAMES:
        for format in FORMATS:
            if (kind, format) in groups:
                found = cells(groups[kind, format])
                yield [f"{kind} {format}", many[kind, format], *found]
            elif any(k == kind for k, _ in groups):
                yield [f"{kind} {format}", *["-"] * len(HEAD), "refused"]


def plain(tally: Tally) -> dict[str, Any]:
    return {**asdict(tally), "explained": dict(tally.explained)}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--tasks", default="*", help="selectors, comma-separated")
    arguments.add_argument("--generated", action="store_true", help="the invented tasks too")
    arguments.add_argument("--formats", default=",".join(FORMATS))
    arguments.add_argument("--limit", type=int, help="rows per split at most; default: all")
    arguments.add_argument("--templates", type=int, default=1, help="ways of asking each row")
    arguments.add_argument("--words", type=int, default=8, help="words of a candidate span")
    arguments.add_argument("--bounds", choices=("none", "own"), default="none")
    arguments.add_argument("--features", type=int, help="make features of every N-th row too")
    arguments.add_argument("--per-task", action="store_true", help="print a line per task")
    arguments.add_argument("--markdown", type=Path, help="write the tables to this file too")
    options = arguments.parse_args()
    missed: list[str] = []
    tasks = []
    for name in suites.select(options.tasks.split(",")):
        try:
            task = catalogue.load(name)
        except Exception as error:
            missed.append(f"{name}: {type(error).__name__}: {error}")
            continue
        if isinstance(task.source, Generated) and not options.generated:
            continue
        why = unavailable(task)
        if why:
            print(f"not checked: {task.name}: {why}")
        else:
            tasks.append(task)
    plan: list[tuple[Task, Format, float]] = []
    for task in tasks:
        for name in options.formats.split(","):
            if not FORMATS[name]().supports(task.type):
                continue
            try:
                format = format_for(name, task, options.words, options.bounds == "own")
                plan.append((task, format, work(task, format, rows_of(task, options.limit))))
            except Exception as error:
                missed.append(f"{task.name} {name}: {type(error).__name__}: {error}")
    progress = Progress(sum(weight for *_, weight in plan))
    tallies: dict[tuple[str, str], Tally] = {}
    coders: dict[str, Coder] = {}
    features: dict[str, dict[str, int]] = {}
    for task, format, weight in plan:
        what = f"{task.name} {format.name}"
        try:
            tally = roundtrip(task, format, limit=options.limit, templates=options.templates)
        except Exception as error:
            missed.append(f"{what}: {type(error).__name__}: {error}")
            continue
        tallies[task.name, format.name] = tally
        if options.features:
            try:
                if format.name not in coders:
                    coders[format.name] = coder_for(format.name, VOCABULARY_OF)
                made = featured(task, format, coders[format.name], options.features, options.limit)
                features[what] = dict(zip(("rows", "cut_tokens"), made, strict=True))
            except Exception as error:
                missed.append(f"{what}, features: {type(error).__name__}: {error}")
        progress.finished(what, weight, tally)
        if tally.unexplained:
            missed.append(f"{what}: {tally.unexplained} rows unexplained, first {tally.first[0]}")
        if not tally.rows:
            missed.append(f"{what}: no row was asked")
    matrix = list(by_type(tallies, tasks))
    total = Tally()
    for tally in tallies.values():
        total.add(tally)
    matrix.append(["all", len(tallies), *cells(total)])
    per_task = [[f"{n} {f}", *cells(t)] for (n, f), t in tallies.items()]
    print(table(["", "tasks", *HEAD], matrix))
    if options.per_task:
        print("\n" + table(["", *HEAD], per_task))
    reasons: Counter[str] = Counter()
    for (_, name), tally in tallies.items():
        for reason, count in tally.explained.items():
            reasons[f"{name}: {reason}"] += count
    for reason, count in reasons.most_common():
        print(f"{count} rows explained, {reason}")
    if options.markdown:
        text = markdown(["", "tasks", *HEAD], matrix)
        why = markdown(["reason", "rows"], reasons.most_common())
        each = markdown(["", *HEAD], per_task)
        options.markdown.write_text(f"{text}\n{why}\n{each}", encoding="utf-8")
    if features:
        rows, cut = (sum(f[k] for f in features.values()) for k in ("rows", "cut_tokens"))
        print(f"{rows} feature rows, {cut} tokens cut")
    figures = {
        "settings": {"words": options.words, "bounds": options.bounds, "limit": options.limit},
        "matrix": [list(map(str, row)) for row in matrix],
        "tasks": {f"{n} {f}": plain(t) for (n, f), t in tallies.items()},
        "features": features,
    }
    finish("matrix", figures, missed, options.json, "no row unexplained")


if __name__ == "__main__":
    main()
