"""Several ways of asking one task, to see how much depends on the words of a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from formats.errors import ConfigError
from formats.prompts import Prompt
from formats.prompts._prompts import Variant
from formats.templates import Template
from tasks.task import Task

OWN = "own"
HOLE = "<source>"


def ways(task: Task, templates: Sequence[str] = ()) -> list[Task]:
    """``task`` once per way of asking it to generate: with its first template where there are no
    ``templates``. ``own`` stands for all of the task's templates; any other text holds
    ``<source>``, where its first template is put: ``"Q: <source>\\nA:"``. Raises ConfigError."""
    if not templates:
        return [task]
    found: list[Prompt] = []
    variants = task.prompt.variants["generate"]
    for text in templates:
        if text == OWN:
            ones = [replace(task.prompt, variants=_with(task, (v,))) for v in variants]
            found += ones
            continue
        if text.count(HOLE) != 1:
            raise ConfigError(
                "a way of asking without a place for the source",
                got=text,
                expected=f"own, or a text with one {HOLE}",
                field="evaluation.templates",
            )
        first = variants[0]
        whole = Template(text.replace(HOLE, first.parts["source"].source))
        way = replace(first, parts={**first.parts, "source": whole})
        found.append(replace(task.prompt, variants=_with(task, (way,))))
    return [replace(task, prompt=p) for p in found]


def _with(task: Task, ones: tuple[Variant, ...]) -> dict[str, tuple[Variant, ...]]:
    return {**task.prompt.variants, "generate": ones}
