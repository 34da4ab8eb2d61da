"""A saved run on a suite it was not trained for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import build, runs
from .quiet import quiet
from .report import Report, write
from .suite_data import data_notes, leak_dict, load_suite
from .train import evaluate_suite


def evaluate(config: Mapping[str, Any], folder: Path) -> Report:
    """Zero-shot scores of ``config['run']`` on the suite's unseen tasks; writes ``folder``.

    The leak check is against what the run was trained on, not against the suite's seen tasks.
    """
    begun = time.perf_counter()
    quiet()
    backbone, format, trained, origin = runs.load_run(config["run"])
    suite = build.build_suite(config["suite"])
    earlier = build.build_suite(trained["suite"]).limits if "suite" in trained else {}
    seen = runs.seen_tasks(origin)
    suite = replace(suite, seen=seen, limits={**earlier, **suite.limits})
    ready = load_suite(suite, format, allow_leaks=config["allow_leaks"])
    runs.write_config(folder, config)
    examples = config["report"]["examples"]
    settings = build.build_evaluation(
        config["evaluation"],
        config["seed"],
        examples,
        folder / "predictions" if examples else None,
    )
    results, prepared = evaluate_suite(backbone, ready, format, settings, config["on_bad_row"])
    report = Report(
        title=f"{origin.name} on {suite.name}, as {format.name}",
        unseen=results,
        seen=[t.name for t in ready.seen],
        skipped=dict(ready.skipped),
        seconds=time.perf_counter() - begun,
        leaks=[leak_dict(leak) for leak in ready.leaks],
        allowed_leaks=bool(config["allow_leaks"]),
        data_notes=data_notes({"test": prepared}, ready.unseen),
        config=(folder / runs.CONFIG).read_text(encoding="utf-8"),
        versions=runs.versions(),
        kind="evaluate",
    )
    write(report, folder, examples=examples)
    return report
