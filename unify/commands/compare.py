"""unify compare <run> <run> [resamples=1000] [seed=0] [flips=3] [to=<file.json>]

Two finished runs on the rows of the tasks that both evaluated: per task each run's value, the
difference with its 95% interval (paired bootstrap over rows), p (approximate randomisation: rows
exchanged between the runs; a star where it stays below 0.05 after Holm's correction), rows that
one run does better on, and the exact McNemar p of rows that one run alone has right. The macro
averages are those of each setting (0-shot, 16-shot, ...). `flips` ids of these rows are listed per
task, the most confident mistakes first; `to` takes all of them as JSON.

Runs that were evaluated on different rows are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from formats.errors import ConfigError, RunError

from ..config import assignments, check_keys

if TYPE_CHECKING:
    from ..compare import RunComparison


def run(arguments: Sequence[str]) -> int:
    values, rest = assignments(arguments)
    check_keys(values, ("resamples", "seed", "flips", "to"), "compare")
    if len(rest) != 2:
        raise ConfigError("compare needs two runs", expected="unify compare runs/a runs/b")
    numbers = {"resamples": 1000, "seed": 0, "flips": 3}
    for key, usual in numbers.items():
        given = values.get(key, usual)
        if type(given) is not int or given < (key == "resamples"):
            raise ConfigError(f"{key} is no number", got=given, expected=f"{key}={usual}")
        numbers[key] = given

    from ..compare import compare
    from ..report.comparison_rows import show_rows
    from ..report.data import save_json
    from ..runs import find, finished

    folders = [find(place) for place in rest]
    for folder in folders:
        if not finished(folder):
            raise RunError("an unfinished run", file=str(folder), fix="finish it first")
    found = compare(*folders, resamples=numbers["resamples"], seed=numbers["seed"])
    found = _apart(found, rest)
    show_rows(found, numbers["flips"])
    if values.get("to") is not None:
        save_json(found.as_json(), Path(str(values["to"])))
    return 0


def _apart(found: RunComparison, given: Sequence[str]) -> RunComparison:
    """Runs of one name in two places go by their paths."""
    from dataclasses import replace

    return replace(found, a=given[0], b=given[1]) if found.a == found.b else found
