"""unify evaluate run=<run> | model=hf model.name=<id or folder> [suite=sample] [key=value ...]

Evaluates a saved run, or any Hugging Face language model that was never trained here, on the
unseen tasks of any suite, zero-shot or behind demonstrations, and writes runs/<name>/
(report.html, report.json, predictions/). Tasks that a run was trained on are refused
(allow_leaks=true overrides, and is recorded).

A killed evaluation continues under its name: finished tasks and written rows are kept, unless
weights, data, settings or code have changed (report.examples=0 writes no rows, so keeps none).

  name=<name>             the folder under runs/
  evaluation.rule=pmi     by what options are ranked: sum, token, byte, pmi, channel, perplexity
  evaluation.calibrate=contextual   against content-free inputs; batch, quantile: all rows
  evaluation.chat=one_turn   demonstrations of a chat model: turns (model=hf's default) | one_turn
  evaluation.choose=nearest  which rows demonstrate; evaluation.orders: in which order
  evaluation=demonstrations  a study with study.svg: demonstrations | order | prompts
  evaluation.shots=[0,16] the settings: without and with 16 demonstrations (conf/evaluation)
  model.window=2048       tokens that a model=hf reads (4096, or as many as it has positions)
  model.head_options.score=sum  options by their whole log-probability; else per token
  format=entail           of a model=hf: ask yes or no per option; else generate
  suite=sample            conf/suite, or suite.unseen=[task,cluster:<name>,glob*]
  suite.held_out=true     the tasks that it was trained on as well, on a split left out of that
  trainer.devices=2       processes that share the rows (torchrun works, too)
  trainer.accelerator=cpu trainer.precision=bf16-true   auto: a GPU where there is one
  evaluation.tokens=8192  padded tokens per batch
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from formats.errors import ConfigError

from ..config import compose


def run(arguments: Sequence[str]) -> int:
    from ..evaluate import evaluate, in_full
    from ..ranks import started
    from ..report import show

    config = compose("evaluate", list(arguments))
    if not any(a.startswith("model.window=") for a in arguments):
        config = in_full(config)
    folder = Path("runs") / str(config["name"])
    count = config["trainer"]["devices"]
    if type(count) is not int or count < 1:
        raise ConfigError(
            "no number of processes",
            got=count,
            expected="a whole number from 1 on",
            field="trainer.devices",
        )
    given = [*(a for a in arguments if not a.startswith("name=")), f"name={config['name']}"]
    with started(count, ["evaluate", *given]):
        report = evaluate(config, folder)
    if int(os.environ.get("RANK", 0)):
        return 0  # the first process tells
    show(report)
    if (folder / "study.json").exists():
        from ..study import told

        print("\n" + "\n".join(told(folder)))
    print(f"\nreport: {folder / 'report.html'}")
    return 0
