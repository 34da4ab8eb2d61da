"""Rows per second of preparing features, against the same work done row by row.

Both sides read the same rows, render the same templates and use the same tokenizer. Row by row
means what one writes first: for each example ``format.encode``, in which Jinja renders each
template of each instance; for each instance one call of the Hugging Face tokenizer per text, and
for a passage its windows and the tokens of its spans. Preparing starts with nothing remembered and
counts what was cut. Both sides end with a list of features. Reading and checking the rows before,
and writing the features after, is the same for both and not timed. Equal ids are checked before
anything is timed, on the written file.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from _bench import Figures, finish, parser, seconds, side_by_side, table
from _by_hand import Ids, jinja_alone, one_instance
from _coder import coder_for

from formats import FORMATS
from formats.base import Format
from formats.examples import Example
from formats.layout import Coder
from formats.rows import FeatureRow
from formats.store import FeatureStore
from tasks import catalogue, suites
from tasks.task import Task
from unify.data import Preparation, prepare
from unify.data.prepare import feature_rows
from unify.garbage import young_only
from unify.quiet import quiet

BAR = 3.0
REAL = ("ag_news", "sst2", "xquad_en", "conll2003", "commonsenseqa")


def sample_tasks() -> list[str]:
    """One task of each type of the sample world."""
    found: dict[str, str] = {}
    for name in suites.load("sample").seen:
        found.setdefault(catalogue.load(name).kind, name)
    return list(found.values())


def row_by_row(
    task: Task, examples: Iterable[Example], format: Format, coder: Coder
) -> list[Any]:
    """``(row, ids of the long text, ids of the other text)`` of every instance."""
    out = []
    with jinja_alone():
        for number, example in enumerate(examples):
            for instance in format.encode(example, task.prompt, sample=True):
                out.append((number, *one_instance(instance, coder)))
    return out


def disagreement(plain: list[Any], store: FeatureStore, most: int = 200) -> str | None:
    """How the two differ on the first rows that are neither cut nor in windows, or None."""
    wanted: dict[int, list[tuple[Ids, Ids]]] = {}
    for number, long, other in plain:
        wanted.setdefault(number, []).append((long, other))
    found: dict[int, list[tuple[Ids, Ids]]] = {}
    broken = set()
    for k in range(len(store)):
        row = store[k]
        if row.cut or row.window:
            broken.add(row.row)
        shared = row.shared.tolist()
        pairs = [(shared, v.tolist()) for v in row.variant_ids()]
        found.setdefault(row.row, []).extend(pairs)
    whole = [n for n in wanted if n not in broken]
    for number in islice(whole, most):
        if found.get(number) != wanted[number]:
            return f"row {number}: {found.get(number)} is not {wanted[number]}"
    return None if whole else "no row is whole"


def measure(task: Task, format: Format, coder: Coder, limit: int, repeats: int) -> dict[str, Any]:
    """Rows per second of both, and their ratio."""
    split = "train"
    rows = min(limit, task.count(split))
    preparation = Preparation(format, coder, split, train=True, limit=limit)
    examples = list(task.examples(split, limit=limit))
    at_hand = copy.copy(task)
    object.__setattr__(at_hand, "examples", lambda *_, **__: iter(examples))

    def prepared() -> float:
        fresh = replace(preparation, coder=Coder(coder.tokenizer, coder.layout))

        def all_features() -> list[FeatureRow]:
            with young_only():
                return list(feature_rows(at_hand, fresh, {}))

        return seconds(all_features)

    def plain() -> float:
        # A copy has forgotten the words that the tokenizer has met.
        fresh = Coder(copy.deepcopy(coder.tokenizer), coder.layout)
        return seconds(lambda: row_by_row(task, examples, format, fresh))

    with tempfile.TemporaryDirectory() as folder:
        store = prepare(task, preparation, Path(folder))
        wrong = disagreement(row_by_row(task, examples, format, coder), store)
        instances = sum(len(store[k].widths) for k in range(len(store)))
    taken = side_by_side({"prepare": prepared, "plain": plain}, repeats)
    rates = {n: Figures(tuple(rows / s for s in f.values)) for n, f in taken.items()}
    return {
        "task": task.name,
        "format": format.name,
        "rows": rows,
        "instances": instances,
        "rates": rates,
        "ratio": taken["plain"].over(taken["prepare"]),
        "wrong": wrong,
    }


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, default=4000, help="rows per task at most")
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--formats", default="extract,generate,entail")
    arguments.add_argument("--tasks", help="by commas; default: five real ones and the sample's")
    options = arguments.parse_args()
    quiet()
    names = options.tasks.split(",") if options.tasks else [*REAL, *sample_tasks()]
    results = []
    for name in options.formats.split(","):
        coder = coder_for(name, names)
        format = FORMATS[name]()
        for task in map(catalogue.load, names):
            if format.supports(task.type):
                results.append(measure(task, format, coder, options.rows, options.repeats))
                r = results[-1]
                print(f"{name} {task.name}: {r['ratio'].show()}", flush=True)
    rows: list[list[object]] = []
    missed: list[str] = []
    for name in options.formats.split(","):
        own = [r for r in results if r["format"] == name]
        for r in own:
            rates = r["rates"]
            rows.append(
                [
                    f"{name} {r['task']}",
                    r["rows"],
                    r["instances"],
                    rates["prepare"].show(0),
                    rates["plain"].show(0),
                    r["ratio"].show(),
                ]
            )
            if r["wrong"]:
                missed.append(f"{name} {r['task']}: not the same ids, {r['wrong'][:300]}")
        middle = Figures(tuple(r["ratio"].median for r in own))
        rows.append([f"{name}: median of tasks", "", "", "", "", middle.show()])
        if middle.median < BAR:
            missed.append(f"{name}: {middle.median:.2f}x, the bar is {BAR:g}x")
    head = [
        "",
        "rows",
        "instances",
        "prepare rows/s",
        "row by row rows/s",
        "ratio",
    ]
    print("\n" + table(head, rows))
    plain = [
        {
            **{k: r[k] for k in ("task", "format", "rows", "instances")},
            "ratio": r["ratio"].plain(),
            "rows_per_second": {n: f.plain() for n, f in r["rates"].items()},
        }
        for r in results
    ]
    finish("preparation", plain, missed, options.json, f">= {BAR:g}x per format")


if __name__ == "__main__":
    main()
