"""unify induce method=<method> model.name=<folder> task=<task> [key=value ...]

A language model writes instructions; runs/<name>/ gets report.html, table.json and what was found.

  method=ape              instructions guessed from a task's examples, ranked, reworded
  method=ape_insertion    the same, written into a blank
  method=self_instruct    new tasks in the manner of seed tasks, written to tasks.jsonl
  run=runs/<name>         the model of that run, in place of model.name=
  task=[a,b]              of ape: generation tasks; the first split induces, the last one tests
  seeds=<file>            of self_instruct: seed tasks as jsonl
  inducing.by=logprob     rank by log-probability instead of execution accuracy
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..config import compose, need
from ._method import show, spelled


def run(arguments: Sequence[str]) -> int:
    config = compose("induce", spelled(arguments, "inducing"))
    need(config["model"], "name", "induce", "<folder or hub id>, or run=<run>")

    from ..quiet import quiet
    from ..reasoning.induce import induce
    from ..reasoning.lm import EngineLM
    from ..scoring import load

    quiet()
    if config["inducing"]["name"] == "ape":
        need(config, "tasks", "induce", "<task>")
    model = dict(config["model"])
    engine = load(str(model.pop("name")), **model)
    folder = Path("runs") / str(config["name"])
    show(induce(config, EngineLM(engine), folder).rows)
    print(f"\nreport: {folder / 'report.html'}")
    return 0
