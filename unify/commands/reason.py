"""unify reason method=<method> task=<task> model.name=<folder or hub id> [key=value ...]

Asks a causal or seq2seq language model to reason before it answers, and writes runs/<name>/
(report.html, report.json, predictions/<task>.jsonl with every text that it wrote). A killed run
continues under its name.

  method=cot              conf/reasoning: direct | cot | zero_shot_cot | self_consistency |
                          complex_cot | auto_cot | least_to_most | self_ask
  task=[gsm8k,svamp]      one task, or several
  rows=50 split=test      the first so many rows
  reasoning.demos=8       worked examples before the question (0: none)
  reasoning.demos_from=gsm8k    from the training rows of another task
  reasoning.samples=20    texts per question that vote; needs writing.temperature
  reasoning.trigger="Let's think step by step."
  writing.tokens=256 writing.temperature=0.7 writing.top_p=1.0
  model.device=cuda model.dtype=bfloat16 model.window=2048
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..config import compose, need
from ._method import spelled


def run(arguments: Sequence[str]) -> int:
    config = compose("reason", spelled(arguments, "reasoning"))
    need(config, "tasks", "reason", "<task>")
    need(config["model"], "name", "reason", "<folder or hub id>")

    from ..quiet import quiet
    from ..reasoning.lm import EngineLM
    from ..reasoning.run import reason
    from ..report import show
    from ..scoring import load

    quiet()
    model = dict(config["model"])
    engine = load(str(model.pop("name")), **model)
    folder = Path("runs") / str(config["name"])
    report = reason(config, EngineLM(engine), folder)
    show(report)
    print(f"\nreport: {folder / 'report.html'}")
    return 0
