"""unify table <run> <run> ...

One table over finished runs: their unseen tasks, macro averages over the tasks that all of them
have, and the best trivial method. A sweep's folder stands for all of its runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from formats.errors import ConfigError, RunError


def run(arguments: Sequence[str]) -> int:
    from ..report import Comparison, read_json, show
    from ..runs import REPORT

    if not arguments:
        raise ConfigError("table needs runs", expected="unify table runs/a runs/b")
    reports = {}
    for argument in arguments:
        folder = Path(argument)
        found = sorted(folder.glob(f"*/{REPORT}")) or [folder / REPORT]
        for path in found:
            if not path.exists():
                raise RunError("no finished run here", file=str(path.parent))
            reports[
                path.parent.name if len(found) == 1 else f"{folder.name}/{path.parent.name}"
            ] = read_json(path)
    show(Comparison.of("runs", reports))
    return 0
