"""A run that writes instructions: APE over tasks, or Self-Instruct from seed tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from formats.errors import ConfigError, UnknownName
from formats.examples import TextGeneration
from tasks import catalogue
from tasks.task import Task
from unify import runs
from unify.kept import digest
from unify.scoring import Writing

from . import ape, self_instruct
from .lm import LM

Table = list[dict[str, Any]]


def rows_of(task: Task, split: str, limit: int) -> list[ape.Row]:
    """The rows of a generation task as inputs and outputs."""
    if task.kind != "generate":
        raise ConfigError(
            "instructions are induced for generation tasks",
            got=task.kind,
            fix="choose a TextGeneration task",
            task=task.name,
        )
    return [
        ape.Row(e.source, e.gold)
        for e in task.examples(split, limit, on_bad_row="skip")
        if isinstance(e, TextGeneration) and e.gold
    ]


def run_ape(config: Mapping[str, Any], lm: LM, folder: Path) -> Table:
    """One row per task: the best instruction, what it scores on the rows that ranked it and on
    test rows, and what no instruction and the task's own score there. Finished tasks are kept."""
    settings = {k: v for k, v in config["inducing"].items() if k != "name"}
    writing = Writing(**config["writing"], seed=config["seed"])
    how = ape.Search(**settings, writing=writing)
    table: Table = []
    given = config["tasks"]
    for name in given if isinstance(given, list) else [given]:
        task = catalogue.load(str(name))
        path = folder / f"{task.name.replace('/', '_')}.json"
        about = digest(lm.identity(), task.fingerprint(), how, config["rows"], config["test_rows"])
        if path.exists() and (old := json.loads(path.read_text("utf-8"))).get("about") == about:
            table.append(old["row"])
            continue
        pool = rows_of(task, task.splits()[0], 2 * config["rows"])
        half = len(pool) // 2
        best = ape.search(lm, pool[half:], pool[:half], how, config["seed"])
        test = rows_of(task, task.splits()[-1], config["test_rows"])
        own = task.prompt.instruction or ""
        asked = [best[0].instruction, own, ""]
        told = ape.scores(lm, asked, test, how)
        row = {
            "task": task.name,
            "instruction": best[0].instruction,
            "ranked": best[0].score,
            "test": told[0],
            "own instruction": told[1],
            "none": told[2],
        }
        found = {"about": about, "row": row, "best": [asdict(c) for c in best]}
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        table.append(row)
    return table


def run_self_instruct(config: Mapping[str, Any], lm: LM, folder: Path) -> Table:
    """Writes ``tasks.jsonl``, which ``unify tasks import`` reads; counts what was left out."""
    if not config["seeds"]:
        raise ConfigError("no seed tasks", fix="seeds=<file>/seed_tasks.jsonl")
    settings = {k: v for k, v in config["inducing"].items() if k != "name"}
    filters = self_instruct.Filters(tuple(settings.pop("words")), settings.pop("alike"))
    how = self_instruct.Bootstrap(
        **settings, filters=filters, writing=Writing(**config["writing"])
    )
    seeds = self_instruct.read_seeds(Path(config["seeds"]))
    made = self_instruct.bootstrap(lm, seeds, how, config["seed"])
    self_instruct.write_tasks(made.tasks, folder / "tasks.jsonl")
    return [
        {"what": "seed tasks", "count": len(seeds)},
        {"what": "new tasks", "count": len(made.tasks)},
        *({"what": f"left out: {why}", "count": n} for why, n in made.left_out.most_common()),
    ]


METHODS = {"ape": run_ape, "self_instruct": run_self_instruct}


def induce(config: Mapping[str, Any], lm: LM, folder: Path) -> Table:
    """The run that ``config`` (``conf/induce.yaml``) asks for; writes ``folder``."""
    name = config["inducing"]["name"]
    if name not in METHODS:
        raise UnknownName("method", name, METHODS)
    runs.write_config(folder, config)
    table = METHODS[name](config, lm, folder)
    (folder / "table.json").write_text(
        json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return table
