"""Does every row survive a format? Asked, answered perfectly, and compared with its gold."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from formats.base import Format
from formats.examples import Example, matches
from formats.instances import Instance, oracle
from formats.prompts import Prompt

from .task import Skipped, Task

_LISTED = 20


@dataclass
class Tally:
    """What became of rows in one format.

    Attributes:
        rows: rows that were asked.
        exact: rows whose perfect prediction was decoded to the gold answer.
        explained: rows that were not, by the reason that :meth:`Format.holds` gives.
        unlabelled: rows without gold, which were asked only.
        unexplained: how many rows came back wrong without a reason, or not at all; ``first``
            names some of them.
        instances: instances of all rows.
        skipped: published rows that make no example.
    """

    rows: int = 0
    exact: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    unlabelled: int = 0
    unexplained: int = 0
    first: list[str] = field(default_factory=list)
    instances: int = 0
    skipped: int = 0
    seconds: float = 0.0

    def add(self, other: Tally) -> None:
        for name in ("rows", "exact", "unlabelled", "unexplained", "instances", "skipped"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.seconds += other.seconds
        self.explained.update(other.explained)
        self.first.extend(other.first[: _LISTED - len(self.first)])

    def miss(self, what: str) -> None:
        self.unexplained += 1
        if len(self.first) < _LISTED:
            self.first.append(what)

    def _counted(self, instances: Iterator[Instance]) -> Iterator[Instance]:
        for instance in instances:
            self.instances += 1
            yield instance

    def ask(self, example: Example, prompt: Prompt, format: Format, template: int = 0) -> None:
        """Encodes ``example``, decodes the perfect prediction, and counts how it went."""
        self.rows += 1
        try:
            instances = self._counted(format.encode(example, prompt, template=template))
            if example.gold is None:
                for _ in instances:
                    pass
                self.unlabelled += 1
                return
            raws = map(oracle, instances)
            answer = format.decode(example, prompt, raws, template=template)
            if matches(example, answer):
                self.exact += 1
                return
            reason = format.holds(example, prompt, template=template)
        except Exception as error:  # whatever a row provokes is counted, and the others go on
            self.miss(f"{example.id}: {type(error).__name__}: {error}")
            return
        if reason is None:
            self.miss(f"{example.id}: {answer!r} is not the gold answer")
        else:
            self.explained[reason] += 1


def roundtrip(
    task: Task,
    format: Format,
    *,
    limit: int | None = None,
    templates: int = 1,
    advance: Callable[[int], None] = lambda n: None,
) -> Tally:
    """The tally of all splits of ``task``, ``limit`` rows per split at most.

    ``templates`` is with how many of the task's ways of asking each row is asked. ``advance`` is
    told after each row how many instances it had. Raises DataError.
    """
    tally, skipped = Tally(), Skipped()
    begun = time.process_time()
    ways = min(templates, task.prompt.count(format.name))
    for split in task.splits():
        for example in task.examples(split, limit=limit, on_bad_row="skip", skipped=skipped):
            before = tally.instances
            for template in range(ways):
                tally.ask(example, task.prompt, format, template)
            advance(tally.instances - before)
    tally.skipped = skipped.count
    tally.seconds = time.process_time() - begun
    return tally
