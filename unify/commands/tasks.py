"""unify tasks [show <name>] [--check [<name or pattern> ...]] [type=classify] [cluster=<name>]

Lists every task that is found: name, type, cluster, metric, formats.
`show` describes one: source, splits, fields, labels, prompts, licence.
`--check` makes every example of the tasks (`rows=N` per split at most), asks one of each split in
every template, prints what the splits hold, and ends non-zero when a task is not what it declares.
`unify tasks import <folder or file> [to=<folder>]` finds tasks in published collections (Natural
Instructions, MetaICL, BIG-bench, P3, …) and writes a YAML file for each.
Tasks come from conf/task, the folders in $UNIFY_TASKS, and packages' `unify.tasks` entry points.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence

from formats.errors import ConfigError

from ..config import assignments, check_keys


def run(arguments: Sequence[str]) -> int:
    if arguments and arguments[0] == "import":
        from . import import_

        return import_.run(arguments[1:])
    if "--check" in arguments:
        from . import check_tasks

        return check_tasks.run([a for a in arguments if a != "--check"])
    values, rest = assignments(arguments)
    check_keys(values, ("type", "cluster"), "tasks")
    if rest and rest[0] == "show":
        if len(rest) != 2:
            raise ConfigError("show needs one task", expected="unify tasks show <name>")
        return show(rest[1])
    if rest:
        raise ConfigError(f"unknown word {rest[0]!r}", expected="unify tasks [show <name>]")
    return listing(values.get("type"), values.get("cluster"))


def listing(kind: str | None, cluster: str | None) -> int:
    from rich.console import Console
    from rich.table import Table

    from formats import FORMATS
    from tasks import catalogue

    table = Table(box=None, pad_edge=False)
    for name in ("task", "type", "cluster", "metric", "language", "formats"):
        table.add_column(name, no_wrap=name == "task")
    shown = 0
    for name in catalogue.names():
        task = catalogue.load(name)
        if (kind and task.kind != kind) or (cluster and task.cluster != cluster):
            continue
        formats = " ".join(f for f in FORMATS if task.supports(f))
        table.add_row(name, task.type.__name__, task.cluster, task.metric, task.language, formats)
        shown += 1
    console = Console(width=None if _terminal() else 140)
    console.print(table)
    console.print(f"{shown} tasks")
    for error in (broken := catalogue.broken()).values():
        print(f"unify tasks: {error}", file=sys.stderr)
    return 1 if broken else 0


def show(name: str) -> int:
    from formats import FORMATS
    from formats.errors import DataError
    from tasks import catalogue
    from tasks.subsets import shortfalls

    task = catalogue.load(name)
    print(f"{task.name}: {task.type.__name__} (cluster {task.cluster}, metric {task.metric})")
    print(f"  sources   {', '.join(sorted(task.lineage))}   licence {task.licence or 'not stated'}")
    for split in task.splits():
        try:
            print(f"  split     {split}: {task.count(split)} rows")
        except DataError as error:
            print(f"  split     {split}: {error.what}; {error.fix or ''}")
    for note in task.notes:
        print(f"  note      {note}")
    with contextlib.suppress(DataError):
        for short in shortfalls(task):
            print(f"  short     {short}")
    if task.guide_file is not None:
        print(f"  guide     {task.guide_file}")
    if task.fields:
        print(f"  fields    {', '.join(f'{k} <- {v}' for k, v in task.fields.items())}")
    space = task.labels or task.types
    if space is not None:
        pairs = [
            n if n == w else f"{n} ({w})" for n, w in zip(space.names, space.words, strict=True)
        ]
        print(f"  labels    {', '.join(pairs)}")
    if task.scale:
        print("  scale     {:g} to {:g} by {:g}".format(*task.scale))
    print(f"  asks      {task.prompt.instruction}")
    for format in FORMATS:
        reason = FORMATS[format]().refusal(task.type)
        if reason:
            print(f"  {format:<9} refused: {reason}")
            continue
        for variant in task.prompt.variants[format]:
            for part, template in variant.parts.items():
                print(f"  {format:<9} {part}: {template.source!r}")
    return 0


def _terminal() -> bool:
    return sys.stdout.isatty()
