"""A task's rows with inputs that say nothing: what the prompt alone makes of the options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from formats.examples import Example, Span
from formats.features import Group, featurize
from formats.instances import GenerateInstance
from formats.store import Rows, StoredRow, in_memory
from tasks.task import Task

from .prepare import Preparation, row_number

_INPUT = "\ue000"  # stands where an input would, while a prompt is rendered


def without_input(example: Example) -> Example:
    """``example`` with every text of its own replaced by one private sign; options stay.

    >>> without_input(TextClassification("t/test/0", "A fine film.", labels)).text
    '\\ue000'
    """
    values: dict[str, Any] = {"gold": None}
    for name in ("text", "text_b", "question", "context"):
        if getattr(example, name, None) is not None:
            values[name] = _INPUT
    for name in ("head", "tail"):
        if hasattr(example, name):
            values[name] = Span(0, 1, getattr(example, name).type)
    return replace(example, **values)


class FreeRows:
    """``store``'s rows with options, at the same places: each asked as before, with ``text``
    instead of its inputs, or, with ``whole``, with ``text`` instead of its whole source."""

    def __init__(
        self, task: Task, preparation: Preparation, store: Rows, text: str, *, whole: bool = False
    ) -> None:
        p = preparation
        self.facts: dict[str, Any] = {}
        examples = task.examples(p.split, limit=p.limit, on_bad_row=p.on_bad_row)
        known: dict[Any, StoredRow] = {}
        self.rows: list[StoredRow] = []
        example: Example | None = None
        for i in range(len(store)):
            own = store[i]
            while example is None or row_number(example) < own.row:
                example = next(examples)
            free = without_input(example)
            (made,) = p.format.encode(free, task.prompt, template=p.template(own.row))
            assert isinstance(made, GenerateInstance)
            source = text if whole else made.source.replace(_INPUT, text)
            key = (source, made.options)
            if key not in known:
                asked = GenerateInstance(source, None, made.options)
                (row,) = featurize([Group(own.row, [asked])], p.coder)
                known[key] = in_memory(row)
            self.rows.append(known[key]._replace(row=own.row))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> StoredRow:
        return self.rows[index]

    def column(self, name: str) -> np.ndarray:
        return np.array([getattr(r, name) for r in self.rows], np.int32)


def free_rows(
    task: Task, p: Preparation, store: Rows, texts: Sequence[str], premise: str | None = None
) -> list[Rows]:
    """``store``'s rows once per text that stands in place of their inputs, or with ``premise`` in
    place of the whole source."""
    if premise is not None:
        return [FreeRows(task, p, store, premise, whole=True)]
    return [FreeRows(task, p, store, text) for text in texts]


class WithoutEnd:
    """``store``'s rows, whose options end without the sign that ends a text."""

    def __init__(self, store: Rows, end: int | None) -> None:
        self.store, self.end, self.facts = store, end, store.facts
        self.apart = getattr(store, "apart", False)

    def __len__(self) -> int:
        return len(self.store)

    def column(self, name: str) -> np.ndarray:
        return self.store.column(name)

    def __getitem__(self, index: int) -> StoredRow:
        row = self.store[index]
        if not row.candidates:
            return row
        options = [o[:-1] if len(o) > 1 and o[-1] == self.end else o for o in row.variant_ids()]
        return row._replace(
            variants=np.concatenate(options), widths=np.array([len(o) for o in options], np.int32)
        )
