"""unify suites [check <name>]

Lists the suites. `check` looks for everything that would make an unseen task seen: the same task,
cluster, source dataset, rows, or runs of 13 words; it ends with status 1 when it finds something.
"""

from __future__ import annotations

from collections.abc import Sequence

from formats.errors import ConfigError


def run(arguments: Sequence[str]) -> int:
    from tasks import suites, unseen

    if not arguments:
        for name in suites.names():
            suite = suites.load(name)
            print(f"{name}: {len(suite.seen)} seen, {len(suite.unseen)} unseen tasks")
        return 0
    if len(arguments) != 2 or arguments[0] != "check":
        raise ConfigError(
            "unknown words", got=list(arguments), expected="unify suites check <name>"
        )
    suite = suites.load(arguments[1])
    leaks = unseen.check(suite)
    for leak in leaks:
        print(f"- {leak}")
    print(
        f"{suite.name}: {len(leaks)} leaks between {len(suite.seen)} seen and "
        f"{len(suite.unseen)} unseen tasks"
    )
    return 1 if leaks else 0
