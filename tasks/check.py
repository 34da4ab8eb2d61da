"""Whether tasks are what their declarations say: every row made, counted and asked once."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from formats import FORMATS
from formats.candidates import words
from formats.errors import DataError, UnifyError
from formats.examples import (
    Example,
    MultiLabelClassification,
    MultipleChoice,
    QuestionAnswering,
    Regression,
    TextGeneration,
    TokenClassification,
    texts_of,
)

from . import catalogue
from .sources import Files, Hub
from .subsets import SubsetRows
from .task import Skipped, Task


@dataclass(frozen=True)
class SplitCheck:
    """What a split holds.

    Attributes:
        rows: rows as published, or of a derived split.
        read: rows that became examples; fewer than ``rows`` where rows were skipped, or where
            only some were asked for.
        words: mean length of a row's input texts, in words (characters for scripts without
            blanks).
        gold: what the answers are, see :func:`gold_of`.
    """

    split: str
    rows: int
    read: int
    words: float
    gold: Counter[str]
    skipped: Skipped

    def histogram(self, most: int = 3) -> str:
        """The ``most`` frequent kinds of answer with their shares of all answers."""
        total = self.gold.total()
        if not total:
            return "no gold"
        parts = [f"{_short(name)} {n / total:.0%}" for name, n in self.gold.most_common(most)]
        if len(self.gold) > most:
            parts.append(f"+{len(self.gold) - most}")
        return ", ".join(parts)


@dataclass
class TaskCheck:
    """A task's splits, what is wrong with it, or why it was not looked at.

    ``unused`` are the words of labels that no row has, when all rows were read.
    """

    task: str
    kind: str = ""
    splits: list[SplitCheck] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unused: tuple[str, ...] = ()
    unchecked: str = ""


def _short(name: str, most: int = 20) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def gold_of(example: Example) -> Iterator[str]:
    """What the gold answer of ``example`` counts as in a histogram.

    Label words; the option's letter; the number of answer spans; the types of entities; a rating
    rounded to a whole number; the number of references. Nothing for an unlabelled row.
    """
    gold = example.gold
    if gold is None:
        return
    if isinstance(example, MultipleChoice):
        assert example.gold is not None
        yield f"option {example.gold + 1}"
    elif isinstance(example, QuestionAnswering):
        assert example.gold is not None
        most = max(map(len, example.gold))
        yield "unanswerable" if most == 0 else f"{most} span{'s' * (most > 1)}"
    elif isinstance(example, TokenClassification):
        assert example.gold is not None
        yield from (example.types.word(span.type) for span in sorted(example.gold))
        if not example.gold:
            yield "no entity"
    elif isinstance(example, Regression):
        assert example.gold is not None
        yield f"{example.gold:.0f}"
    elif isinstance(example, TextGeneration):
        assert example.gold is not None
        yield f"{len(example.gold)} reference{'s' * (len(example.gold) > 1)}"
    elif isinstance(example, MultiLabelClassification):
        assert example.gold is not None
        yield from (example.labels.word(name) for name in sorted(example.gold))
        if not example.gold:
            yield "no label"
    else:
        assert example.gold is not None
        yield example.labels.word(example.gold)


@functools.lru_cache(maxsize=256)
def _length(text: str) -> int:
    return len(words(text))  # cached, since passages are shared by the rows that follow


def unavailable(task: Task) -> str:
    """Why the rows of ``task`` are not at hand on this machine, or nothing."""
    source = task.source
    if isinstance(source, SubsetRows):
        return unavailable(source.parent)
    if isinstance(source, Files) and source.under_data:
        root = os.environ.get("UNIFY_DATA")
        if not root:
            return "UNIFY_DATA is not set"
        if not (Path(root).expanduser() / source.folder).is_dir():
            return f"UNIFY_DATA has no folder {source.folder}"
    return ""


def _asked(task: Task, example: Example) -> None:
    """Renders every template of every format that can ask the task. Raises UnifyError."""
    for name, make in FORMATS.items():
        if task.supports(name):
            for template in range(task.prompt.count(name)):
                try:
                    instances = make().encode(example, task.prompt, template=template)
                    next(iter(instances), None)
                except UnifyError as error:
                    raise error.at(row=example.id, field=f"prompts.{name}[{template}]") from None


def _split(task: Task, split: str, rows: int | None) -> tuple[SplitCheck, list[str]]:
    skipped = Skipped()
    gold: Counter[str] = Counter()
    read = lengths = bare = 0
    for example in task.examples(split, limit=rows, on_bad_row="skip", skipped=skipped):
        if read == 0:
            _asked(task, example)
        read += 1
        lengths += sum(map(_length, texts_of(example)))
        gold.update(gold_of(example))
        bare += example.gold is None
    found = SplitCheck(
        split=split,
        rows=task.count(split),
        read=read,
        words=lengths / max(read, 1),
        gold=gold,
        skipped=skipped,
    )
    problems = []
    announced = task.broken.get(split, 0)
    whole = rows is None or read < rows
    if skipped.count > announced or (whole and skipped.count != announced):
        first = f"\n{skipped.first[0]}" if skipped.first else ""
        problems.append(f"{split}: {skipped}; {announced} announced as broken{first}")
    if bare and split not in task.unlabelled:
        problems.append(f"{split}: {bare} rows without gold, in a split that is not `unlabelled`")
    if not read:
        problems.append(f"{split}: no row could be read")
    return found, problems


def check(name: str, rows: int | None = None) -> TaskCheck:
    """Makes every example of the task ``name`` (``rows`` per split at most) and asks one of each
    split in every format and template.

    A problem is a declaration or a file that cannot be read, rows skipped in another number than
    the task announces as ``broken``, a row without gold in a labelled split, or a template that
    does not render. A task whose data is not on this machine is not checked.
    """
    found = TaskCheck(name)
    try:
        task = catalogue.load(name)
        found.kind = task.type.__name__
        found.unchecked = unavailable(task)
        if found.unchecked:
            return found
        for split in task.splits():
            try:
                counts, problems = _split(task, split, rows)
            except DataError as error:
                if isinstance(task.source, Hub):  # out of reach here, which says nothing of it
                    found.unchecked = f"{task.source.id} is not reached: {error.what}"
                    return found
                raise
            found.splits.append(counts)
            found.problems += problems
    except UnifyError as error:
        found.problems.append(str(error))
        return found
    space = task.labels or task.types
    if space is not None and all(s.read + s.skipped.count == s.rows for s in found.splits):
        used = set().union(*(s.gold for s in found.splits))
        found.unused = tuple(word for word in space.words if word not in used)
    return found
