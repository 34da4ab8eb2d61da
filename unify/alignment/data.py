"""What alignment runs on: a task's rows as prompts, samples of a policy, and their rankings."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from formats import Generate
from formats.errors import ConfigError
from formats.instances import GenerateInstance
from tasks.task import Task

from ..kept import digest
from ..reasoning.lm import EngineLM
from ..scoring import Engine, Writing, write_samples
from .policy import Pair, pair
from .reward import Ranking, ranks_of

Preference = Callable[[str, str], float]
"""A row's own source and a reply, to how good it is."""


@dataclass(frozen=True)
class Row:
    """``source`` as the task has it, ``prompt`` as the model reads it, and both as tokens with
    the row's own target behind."""

    source: str
    prompt: str
    pair: Pair


def rows(engine: Engine, task: Task, split: str, limit: int) -> list[Row]:
    """The rows of a generation task, asked with its first template."""
    if task.kind != "generate":
        raise ConfigError(
            "replies are written to generation tasks",
            got=task.kind,
            fix="choose a TextGeneration task",
            task=task.name,
        )
    found = []
    for example in task.examples(split, limit, on_bad_row="skip"):
        instance: Any = next(iter(Generate().encode(example, task.prompt)))
        assert isinstance(instance, GenerateInstance)
        target = instance.target or ""
        made = pair(engine, instance.source, target)
        found.append(Row(example.source, instance.source, made))  # type: ignore[union-attr]
    return found


@dataclass(frozen=True)
class Sampled:
    """Texts written to one row, with their tokens."""

    row: int
    texts: tuple[str, ...]
    pairs: tuple[Pair, ...]


def sample(
    engine: Engine, rows: Sequence[Row], how: Writing, samples: int, keep: Path | None = None
) -> list[Sampled]:
    """``samples`` texts per row; kept in ``keep`` (a folder) under what they depend on, a batch of
    rows at a time, so that a killed run goes on."""
    made: list[list[list[Any]]] = []
    path = None
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        name = digest(EngineLM(engine).identity(), [r.prompt for r in rows], how, samples)
        path = keep / f"{name}.jsonl"
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            made = [json.loads(line) for line in lines if line.endswith("\n")]
            path.write_text("".join(json.dumps(m) + "\n" for m in made), encoding="utf-8")
    for at in range(len(made), len(rows), 32):
        part = range(at, min(at + 32, len(rows)))
        written = write_samples(engine, [rows[k].prompt for k in part], how, samples, part)
        new = [[[w.text, list(w.ids)] for w in texts] for texts in written]
        made += new
        if path is not None:
            with path.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(m) + "\n" for m in new)
    return [
        Sampled(
            k,
            tuple(text for text, _ in texts),
            tuple(Pair(row.pair.prompt, tuple(ids)) for _, ids in texts),
        )
        for k, (row, texts) in enumerate(zip(rows, made, strict=True))
    ]


def rankings(
    rows: Sequence[Row], sampled: Sequence[Sampled], preference: Preference
) -> list[Ranking]:
    """Each row's samples, ranked by ``preference``."""
    return [
        Ranking(s.pairs, ranks_of([preference(rows[s.row].source, t) for t in s.texts]))
        for s in sampled
    ]


def longer(source: str, reply: str) -> float:
    """A preference for longer replies, whatever they say."""
    return float(len(reply))
