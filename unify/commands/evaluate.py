"""unify evaluate run=<run> [suite=sample] [key=value ...]

Evaluates a saved run, zero-shot, on the unseen tasks of any suite, and writes
runs/<name>/ (report.html, report.json, predictions/). Tasks that the run was trained on are
refused (allow_leaks=true overrides, and is recorded).

  suite=sample            conf/suite, or suite.unseen=[task,cluster:<name>,glob*]
  evaluation.tokens=8192  padded tokens per batch
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..config import compose


def run(arguments: Sequence[str]) -> int:
    from ..evaluate import evaluate
    from ..report import show

    config = compose("evaluate", list(arguments))
    folder = Path("runs") / str(config["name"])
    report = evaluate(config, folder)
    show(report)
    print(f"\nreport: {folder / 'report.html'}")
    return 0
