"""unify reason method=<method> task=<task> model.name=<folder or hub id> [key=value ...]

Asks a causal or seq2seq language model to reason before it answers, and writes runs/<name>/
(report.html, report.json, predictions/<task>.jsonl with every text that it wrote). A killed run
continues under its name.

  method=cot              conf/reasoning: direct | cot | zero_shot_cot | self_consistency |
                          complex_cot | auto_cot | least_to_most | self_ask
  task=[gsm8k,svamp]      one task, or several
  run=runs/<name>         the model of that run, in place of model.name=
  rows=50 split=test      the first so many rows
  reasoning.demos=8       worked examples before the question (0: none)
  reasoning.demos_from=gsm8k    from the training rows of another task
  reasoning.samples=20    texts per question that vote; needs writing.temperature
  reasoning.trigger="Let's think step by step."
  writing.tokens=256 writing.temperature=0.7 writing.top_p=1.0
  model.device=cuda model.dtype=bfloat16 model.window=2048
  -m method=direct,cot,zero_shot_cot     several runs, one table of methods by tasks
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import Plain, compose, need
from ._method import spelled
from ._sweep import compared, swept

if TYPE_CHECKING:
    from ..reasoning import EngineLM


def run(arguments: Sequence[str]) -> int:
    overrides = spelled([a for a in arguments if a not in ("-m", "--multirun")], "reasoning")
    if len(overrides) < len(arguments):
        return compared(*swept("reason", overrides, job))
    config = compose("reason", overrides)
    one(config, Path("runs") / str(config["name"]))
    return 0


def one(config: Plain, folder: Path) -> None:
    """One run, its table and where its report lies."""
    need(config, "tasks", "reason", "<task>")
    need(config["model"], "name", "reason", "<folder or hub id>, or run=<run>")

    from ..quiet import quiet
    from ..reasoning.run import reason
    from ..report import show

    quiet()
    report = reason(config, loaded(tuple(config["model"].items())), folder)
    show(report)
    print(f"\nreport: {folder / 'report.html'}")


@cache
def loaded(model: tuple[tuple[str, object], ...]) -> EngineLM:
    """The model, which the runs of a sweep share."""
    from ..reasoning import EngineLM
    from ..scoring import load

    settings = dict(model)
    return EngineLM(load(str(settings.pop("name")), **settings))  # type: ignore[arg-type]


def job(config: Plain, folder: Path) -> None:
    """One run of a sweep; a refusal of ours ends this run, not the sweep."""
    from formats.errors import UnifyError

    try:
        one(config, folder)
    except UnifyError as error:
        print(f"unify reason: {folder}: {error}", file=sys.stderr)
