"""unify align method=<method> run=<run> [task=<task>] [key=value ...]

Starts from a supervised language model, which `unify train format=generate` makes, and aligns it
with a preference. Writes runs/<name>/ (report.html, align.json, curves.svg, the trained models).

  method=ppo              conf/alignment: reward | ppo | ppo_ptx | dpo | best_of_n | filter |
                          star | constitutional
  model.name=<folder>     a Hugging Face folder in place of run=<run>
  task=replies            a generation task; its training rows are the prompts
  preference=tasks.sample.replies.courteous   a function (source, reply) -> number, which ranks
  intended=tasks.sample.replies.intended      what is meant: only measured (filter: safety)
  alignment.betas=[0.2,0]                     KL penalties of ppo, or betas of dpo; an arm each
  alignment.ppo.iterations=25
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..config import compose, need
from ._method import show, spelled


def run(arguments: Sequence[str]) -> int:
    config = compose("align", spelled(arguments, "alignment"))
    need(config["model"], "name", "align", "<folder or hub id>, or run=<run>")

    from ..alignment.run import align
    from ..quiet import quiet
    from ..report.numbers import cell

    quiet()
    folder = Path("runs") / str(config["name"])
    outcome = align(config, folder)
    show(outcome.table)
    for what, value in outcome.facts.items():
        print(f"{what}: {cell(value)}")
    print(f"\nreport: {folder / 'report.html'}")
    return 0

