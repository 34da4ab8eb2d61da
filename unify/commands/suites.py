"""unify suites [check <name> | show <name> | clusters <name>] [key=value ...]

Lists the suites. `check` looks for everything that would make an unseen task seen: the same task,
cluster, source dataset, rows, or runs of 13 words; it ends with status 1 when it finds something.
`show` lists the tasks, those without rows here as well; `clusters` prints the suite's clusters as
a sweep wants them. Keys of the suite may be set: clean=true, base=real cluster=sentiment.

  texts=false             check only what is declared, without reading rows
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from formats.errors import ConfigError

from ..config import assignments

if TYPE_CHECKING:
    from tasks.suites import Suite


def run(arguments: Sequence[str]) -> int:
    from tasks import suites

    values, words = assignments(arguments)
    if not words and not values:
        for name in suites.names():
            print(f"{name}: {_size(suites.load(name))}")
        return 0
    verbs = {"check": check, "show": show, "clusters": clusters}
    if len(words) != 2 or words[0] not in verbs:
        raise ConfigError(
            "unknown words",
            got=list(arguments),
            expected="unify suites check <name>, show <name> or clusters <name>",
        )
    texts = bool(values.pop("texts", True))
    return verbs[words[0]](suites.load(words[1], **values), texts)


def _size(suite: Suite) -> str:
    """``5 seen, 4 unseen tasks``, and how many more are known by name only."""
    absent = suite.absent()
    more = [f"{len(names)} {side}" for side, names in absent.items() if names]
    said = f"{len(suite.seen)} seen, {len(suite.unseen)} unseen tasks"
    return said + (f" (not here: {', '.join(more)})" if more else "")


def check(suite: Suite, texts: bool) -> int:
    """Prints the leaks of ``suite``; 1 if there are any."""
    from tasks import unseen
    from tasks.cleaning import cleaned

    if suite.clean:
        result = cleaned(suite, texts)
        for name, found in result.removed.items():
            print(f"taken out: {name}: {', '.join(sorted({leak.kind for leak in found}))}")
        suite = result.suite
    leaks = unseen.check(suite, texts)
    for leak in leaks:
        print(f"- {leak}")
    seen, held = (len(names) for names in suite.named().values())
    rows = f"; {len(suite.seen)} and {len(suite.unseen)} tasks have rows here"
    print(
        f"{suite.name}: {len(leaks)} leaks between {seen} seen and {held} unseen tasks"
        + (rows if any(suite.absent().values()) else "")
    )
    for kind, count in Counter(leak.kind for leak in leaks).items():
        touched = len({leak.unseen for leak in leaks if leak.kind == kind})
        print(f"  {kind}: {count}, of {touched} unseen tasks")
    return 1 if leaks else 0


def show(suite: Suite, texts: bool) -> int:
    """Prints the tasks of ``suite``, per side those here and those that are not."""
    from tasks import published

    absent = suite.absent()
    print(f"{suite.name}: {_size(suite)}")
    for side, names in (("seen", suite.seen), ("unseen", suite.unseen)):
        print(f"\n{side}")
        for name in names:
            print(f"  {name}")
        for name in absent[side]:
            hub = published.table()[name].hub
            print(f"  {name} (not here{f'; on the Hub: {hub}' if hub else ''})")
    return 0


def clusters(suite: Suite, texts: bool) -> int:
    """Prints the clusters of the tasks of ``suite``, with commas."""
    from tasks.suites import clusters_of

    print(",".join(clusters_of((*suite.seen, *suite.unseen))))
    return 0
