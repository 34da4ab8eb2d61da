"""A few-shot run that is asked again: its one task's labels, by its own prompt."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from formats.errors import ConfigError, RowError
from formats.examples import Answer, Example
from formats.instances import Raw, Scores
from formats.prompts import Prompt, default_prompt
from tasks.task import Task

from .. import build, runs
from ..report import Report, write
from ..suite_data import data_notes, leak_dict, load_suite
from ..unified import CHUNK, Unified
from . import saved
from .recipes import measured, refusal


class Again(Unified):
    """A :class:`~unify.unified.Unified` of a few-shot run: it classifies (or relates) with the
    labels that it has learned, and refuses all else."""

    def __init__(self, model: saved.OneTask, origin: Path) -> None:
        format = build.build_format(runs.read_config(origin)["format"])
        super().__init__(model.backbone, format, seen=runs.seen_tasks(origin))
        self.model = model

    @classmethod
    def of(cls, origin: Path, device: torch.device | str = "cpu") -> Again:
        """The model of the run in ``origin``. Raises RunError."""
        return cls(saved.load(origin / runs.MODEL, device), origin)

    def predict(
        self,
        examples: Iterable[Example],
        prompt: Prompt | Callable[[Example], Prompt] | None = None,
        refused: Callable[[Example, RowError], None] | None = None,
    ) -> Iterator[tuple[Example, Answer, list[Raw]]]:
        stream = iter(examples)
        while chunk := list(islice(stream, CHUNK)):
            for example in chunk:
                self.check(example, prompt(example) if callable(prompt) else prompt)
            try:
                lines: list[tuple[Example, Any]] = [*zip(chunk, self.model.scores(chunk),
                                                         strict=True)]  # fmt: skip
            except RowError:
                if refused is None:
                    raise
                lines = []
                for example in chunk:  # one by one, to find the culprits
                    try:
                        lines.append((example, self.model.scores([example])[0]))
                    except RowError as error:
                        refused(example, error)
            for example, line in lines:
                values = tuple(line.tolist())
                labels: Any = getattr(example, "labels", None)
                yield example, labels.names[values.index(max(values))], [Scores(values)]

    def check(self, example: Example, prompt: Prompt | None) -> None:
        """Raises ConfigError for an example of other labels, or asked by another instruction."""
        self.model.order(example)
        usual = default_prompt(self.model.kind, self.language).instruction
        if prompt is not None and prompt.instruction not in (usual, self.model.instruction):
            raise ConfigError(
                "a few-shot model asks by the prompt that it was trained with",
                got=prompt.instruction, expected=self.model.instruction,
                fix="leave instruction= out",
            )  # fmt: skip

    def fit(self, *args: Any, **kwargs: Any) -> Unified:
        raise ConfigError("a few-shot model is not trained on", fix="start the method anew")

    def save(self, folder: str | Path) -> Path:
        raise ConfigError("a few-shot model stands in its run already", fix="copy the run's folder")


def why_not(model: saved.OneTask, task: Task) -> str | None:
    """Why ``model`` cannot answer ``task``, or None."""
    reason = refusal(task)
    if reason is not None:
        return reason
    assert task.labels is not None
    if task.kind != model.kind or set(task.labels.names) != set(model.labels.names):
        return f"the method learned the labels {', '.join(model.labels.names)} alone"
    return None


def evaluate(config: Mapping[str, Any], folder: Path, device: torch.device | str = "cpu") -> Report:
    """What ``unify evaluate`` does for a few-shot run, on ``device``: the suite's tasks that have
    its labels. Raises ConfigError."""
    from ..evaluate import behind

    begun = time.perf_counter()
    origin = runs.find(config["run"])
    trained = runs.read_config(origin)
    format = build.build_format(trained["format"])
    for section in ("model", "format"):
        if config.get(section):
            raise ConfigError(f"a few-shot run has its own {section}", fix=f"leave {section}= out")
    if build.build_few_shot(config["evaluation"], format) is not None:
        raise ConfigError("a few-shot model is asked without demonstrations",
                          fix="evaluation=default")  # fmt: skip
    model = saved.load(origin / runs.MODEL, device)
    suite = behind(build.build_suite(config["suite"]), trained, origin)
    ready = load_suite(suite, format, allow_leaks=config["allow_leaks"])
    runs.write_config(folder, config)
    examples = config["report"]["examples"]
    found, tasks = [], [*ready.unseen, *(ready.seen if suite.held_out else ())]
    for task in tasks:
        reason = why_not(model, task)
        if reason is not None:
            ready.skipped[task.name] = reason
            continue
        split = suite.eval_split(task.name)
        rows = task.examples(split, limit=suite.limit(split), on_bad_row=config["on_bad_row"])
        result = measured(
            task, model, [e for e in rows if e.gold is not None], config["seed"],
            config["evaluation"]["resamples"], folder / "predictions" if examples else None,
        )  # fmt: skip
        found.append((task in ready.seen, result))
    report = Report(
        title=f"{origin.name} on {suite.name}",
        unseen=[r for seen, r in found if not seen],
        held_out=[r for seen, r in found if seen],
        seen=[t.name for t in ready.seen],
        skipped=dict(ready.skipped),
        seconds=time.perf_counter() - begun,
        leaks=[leak_dict(leak) for leak in ready.leaks],
        allowed_leaks=bool(config["allow_leaks"]),
        data_notes=data_notes({}, tasks),
        config=(folder / runs.CONFIG).read_text(encoding="utf-8"),
        versions=runs.versions(),
        kind="evaluate",
    )
    write(report, folder, examples=examples)
    return report
