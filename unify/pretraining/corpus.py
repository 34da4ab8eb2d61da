"""Unlabelled texts of tasks, from their training rows alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from formats.errors import DataError
from formats.examples import texts_of
from tasks import catalogue
from tasks.suites import select


def corpus(selectors: Sequence[str], limit: int, language: str = "en") -> dict[str, list[str]]:
    """Different texts of the tasks' ``train`` per task, ``limit`` rows each at most. Tasks of other
    languages or without that split are left out, and of several that one selector chooses those
    whose files are not here; a text is the first task's that has it. Raises DataError."""
    met: set[str] = set()
    found: dict[str, list[str]] = {}
    for name in select(selectors):
        task = catalogue.load(name)
        if task.language != language or "train" not in task.splits():
            continue
        own: list[str] = []
        try:
            examples = list(task.examples("train", limit=limit, on_bad_row="skip"))
        except DataError:
            if name in selectors:
                raise
            continue
        for example in examples:
            for text in texts_of(example):
                line = " ".join(text.split())
                if line and line not in met:
                    met.add(line)
                    own.append(line)
        if own:
            found[name] = own
    return found


def split(texts: Sequence[str], held: int) -> tuple[list[str], list[str]]:
    """``held`` texts by a hash of each, and the others."""
    ordered = sorted(texts, key=lambda t: hashlib.blake2b(t.encode(), digest_size=8).digest())
    return ordered[held:], ordered[:held]
