"""unify table <run> <run> ...

One table over finished runs: their unseen tasks, macro averages over the tasks that all of them
have, and the best trivial method. A sweep's folder stands for all of its runs;
unfinished ones among several are left out, and named. Runs of the few-shot
protocol (task= shots=) become methods by tasks: mean ± standard deviation over seeds, trained
parameters, seconds.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from formats.errors import ConfigError, RunError

if TYPE_CHECKING:
    from ..report.methods import Methods


def run(arguments: Sequence[str]) -> int:
    from ..report import Comparison, read_json, show
    from ..runs import CONFIG, REPORT

    if not arguments:
        raise ConfigError("table needs runs", expected="unify table runs/a runs/b")
    if (methods := protocol_runs(arguments)) is not None:
        show(methods)
        return 0
    called: dict[Path, str] = {}
    unfinished: list[str] = []
    for argument in arguments:
        folder = Path(argument)
        parts = (REPORT,) if (folder / REPORT).exists() else (REPORT, CONFIG)
        children = {p.parent for part in parts for p in folder.glob(f"*/{part}")}
        for run in sorted(children) or [folder]:
            if not (run / REPORT).exists():
                unfinished.append(str(run))
                continue
            called[run] = f"{folder.name}/{run.name}" if len(children) > 1 else run.name
    shared = Counter(called.values())
    reports = {
        name if shared[name] == 1 else str(folder): read_json(folder / REPORT)
        for folder, name in called.items()
    }
    if not reports:
        raise RunError(
            "no finished run here",
            expected="folders with a report.json",
            file=", ".join(unfinished),
        )
    for place in unfinished:
        print(f"left out, no finished run: {place}", file=sys.stderr)
    show(Comparison.of("runs", reports))
    return 0


def protocol_runs(arguments: Sequence[str]) -> Methods | None:
    """The methods table of the runs, if all of them followed the few-shot protocol."""
    from ..report.methods import of_folders

    folders = []
    for argument in arguments:
        found = sorted(Path(argument).glob("*/config.yaml")) or [Path(argument) / "config.yaml"]
        folders += [f.parent for f in found if f.exists()]
    return of_folders(folders)
