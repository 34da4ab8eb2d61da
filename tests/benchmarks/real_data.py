"""Ten published datasets, all rows of all splits, every format: no crash, and nothing is lost.

Per task and format: every row is encoded, becomes features, and the perfect prediction is decoded
and compared with the gold. Where extractive questions or entities are asked as entail, a row has
thousands of hypotheses: all rows count their candidates, and every k-th row is encoded, decoded
and becomes features (``--stride``). A row that does not come back must have been announced by
``Format.holds``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from _bench import finish, parser, table
from _coder import coder_for

from formats import FORMATS, Entail, QuestionAnswering, TokenClassification, matches, oracle
from formats.base import Format
from formats.candidates import candidates
from formats.examples import Example
from formats.features import Group, featurize
from formats.layout import Coder
from tasks import catalogue
from tasks.task import Task
from unify.preview import preview
from unify.quiet import quiet

TASKS = "ag_news trec sst2 rte xquad_en conll2003 commonsenseqa stsb gsm8k semeval2010_task8"
CHUNK = 256


@dataclass
class Cell:
    """What became of a task's rows in one format."""

    rows: int = 0
    encoded: int = 0
    decoded: int = 0
    exact: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)
    unheld: int = 0  # rows of which `holds` says so, decoded or not
    features: int = 0
    cut: int = 0
    candidates: int = 0
    crashes: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        return {**vars(self), "explained": dict(self.explained)}


def enumerated(example: Example, format: Format) -> int | None:
    """How many hypotheses an enumerating cell asks; None where the cell does not enumerate."""
    if not isinstance(format, Entail):
        return None
    if isinstance(example, QuestionAnswering):
        return sum(1 for _ in candidates(example.passage, format.max_words))
    if isinstance(example, TokenClassification):
        each = sum(1 for _ in candidates(example.text, format.max_words))
        return each * len(example.types)
    return None


def check(cell: Cell, example: Example, format: Format, task: Task) -> Group | None:
    """Encodes and decodes one row, and counts how it went."""
    try:
        instances = list(format.encode(example, task.prompt))
        cell.encoded += 1
        cell.candidates += len(instances)
        if example.gold is not None:
            reason = format.holds(example, task.prompt)
            answer = format.decode(example, task.prompt, map(oracle, instances))
            cell.decoded += 1
            if matches(example, answer):
                cell.exact += 1
            elif reason is not None:
                cell.explained[reason] += 1
            else:
                cell.unexplained.append(example.id)
    except Exception as error:
        cell.crashes.append(f"{example.id}: {type(error).__name__}: {error}")
        return None
    return Group(cell.encoded, instances)


def chunks(groups: Iterable[Group]) -> Iterator[list[Group]]:
    iterator = iter(groups)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def run(task: Task, format: Format, coder: Coder, stride: int, limit: int | None) -> Cell:
    """All splits of ``task`` in ``format``."""
    cell = Cell()
    for split in task.splits():
        list(preview(task, format, coder, split=split, n=1))

        def groups(split: str = split) -> Iterator[Group]:
            for number, example in enumerate(task.examples(split, limit=limit)):
                cell.rows += 1
                if example.gold is not None:
                    cell.unheld += format.holds(example, task.prompt) is not None
                count = enumerated(example, format)
                if count is not None and number % stride:
                    cell.candidates += count
                    continue
                group = check(cell, example, format, task)
                if group is not None:
                    if count is not None and count != len(group.instances):
                        cell.crashes.append(f"{example.id}: {count} candidates counted")
                    yield group

        for chunk in chunks(groups()):
            try:
                for row in featurize(chunk, coder):
                    cell.features += 1
                    cell.cut += row.cut
            except Exception as error:
                cell.crashes.append(f"{task.name}/{split}: {type(error).__name__}: {error}")
    return cell


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--tasks", default=",".join(TASKS.split()))
    arguments.add_argument("--formats", default="extract,generate,entail")
    arguments.add_argument("--stride", type=int, default=40, help="of enumerated rows, every k-th")
    arguments.add_argument("--limit", type=int, help="rows per split at most; default: all")
    options = arguments.parse_args()
    quiet()
    names = tuple(options.tasks.split(","))
    rows: list[list[object]] = []
    missed: list[str] = []
    figures: dict[str, Any] = {}
    reasons: Counter[str] = Counter()
    for format_name in options.formats.split(","):
        format = FORMATS[format_name]()
        coder = coder_for(format_name, names)
        for task in map(catalogue.load, names):
            where = f"{task.name} {format_name}"
            refusal = format.refusal(task.type)
            if refusal is not None:
                rows.append([where, task.kind, *["-"] * 8, "refused"])
                figures[where] = {"refused": refusal}
                continue
            cell = run(task, format, coder, options.stride, options.limit)
            explained = sum(cell.explained.values())
            for reason, count in cell.explained.items():
                reasons[f"{where}: {reason}"] += count
            rows.append(
                [
                    where,
                    task.kind,
                    cell.rows,
                    cell.decoded,
                    cell.exact,
                    explained,
                    len(cell.unexplained),
                    cell.unheld,
                    cell.features,
                    cell.cut,
                    cell.candidates,
                ]
            )
            figures[where] = cell.plain()
            if cell.unexplained:
                first = cell.unexplained[0]
                missed.append(f"{where}: {len(cell.unexplained)} rows unexplained, first {first}")
            if cell.crashes:
                missed.append(f"{where}: {len(cell.crashes)} crashes, first {cell.crashes[0]}")
            if not cell.encoded:
                missed.append(f"{where}: no row was encoded")
    print(
        table(
            [
                "",
                "type",
                "rows",
                "decoded",
                "exact",
                "explained",
                "unexplained",
                "not held",
                "feature rows",
                "cut tokens",
                "instances",
            ],
            rows,
        )
    )
    for reason, count in reasons.items():
        print(f"{count} rows explained, {reason}")
    finish("real_data", figures, missed, options.json, "no crash, no row unexplained")


if __name__ == "__main__":
    main()
