"""A run that writes instructions: APE over tasks, or Self-Instruct from seed tasks."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from formats.errors import ConfigError, UnknownName
from formats.examples import TextGeneration
from tasks import catalogue
from tasks.task import Task

from .. import runs
from ..kept import digest
from ..report.data import clean, save_json
from ..report.findings import Findings, Table, write_findings
from ..scoring import Writing
from . import ape, self_instruct
from .lm import LM

SCORES = {
    "accuracy": "The share of rows answered rightly: of those that ranked the instruction, and of "
    "test rows; beside it the task's own instruction, and none, on the same test rows.",
    "logprob": "The mean log-probability per token of the right outputs: of rows that ranked the "
    "instruction, and of test rows; beside it the task's own instruction, and none.",
}
CANDIDATES = "Those left at the end. Round 0 was guessed from examples, others are reworded."


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


def run_ape(config: Mapping[str, Any], lm: LM, folder: Path) -> list[Table]:
    """One row per task: the best instruction, what it scores on the rows that ranked it and on
    test rows, and what no instruction and the task's own score there; then the best candidates of
    each task. Finished tasks are kept."""
    settings = {k: v for k, v in config["inducing"].items() if k != "name"}
    writing = Writing(**config["writing"], seed=config["seed"])
    how = ape.Search(**settings, writing=writing)
    tables = [Table("Instructions", [], SCORES[how.by])]
    given = config["tasks"]
    for name in given if isinstance(given, list) else [given]:
        task = catalogue.load(str(name))
        path = folder / f"{task.name.replace('/', '_')}.json"
        about = digest(lm.identity(), task.fingerprint(), how, config["rows"], config["test_rows"])
        found = json.loads(path.read_text("utf-8")) if path.exists() else {}
        if found.get("about") != about:
            found = {"about": about, **ape_of(task, lm, how, config)}
            path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
        tables[0].rows.append(found["row"])
        tables.append(Table(f"Candidates for {task.name}", found["best"], CANDIDATES))
    return tables


def ape_of(task: Task, lm: LM, how: ape.Search, config: Mapping[str, Any]) -> dict[str, Any]:
    """The search for one task: the row of its winner, and the best candidates."""
    pool = rows_of(task, task.splits()[0], 2 * config["rows"])
    half = len(pool) // 2
    best = ape.search(lm, pool[half:], pool[:half], how, config["seed"])
    test = rows_of(task, task.splits()[-1], config["test_rows"])
    asked = [best[0].instruction, task.prompt.instruction or "", ""]
    told = ape.scores(lm, asked, test, how)
    row = {
        "task": task.name,
        "instruction": best[0].instruction,
        "ranked": best[0].score,
        "test": told[0],
        "own instruction": told[1],
        "none": told[2],
        "test rows": len(test),
    }
    return {"row": row, "best": [asdict(c) for c in best]}


def run_self_instruct(config: Mapping[str, Any], lm: LM, folder: Path) -> list[Table]:
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
    counts = [
        {"what": "seed tasks", "count": len(seeds)},
        {"what": "new tasks", "count": len(made.tasks)},
        *({"what": f"left out: {why}", "count": n} for why, n in made.left_out.most_common()),
    ]
    written = [{"instruction": t.instruction, **asdict(t.instances[0])} for t in made.tasks]
    return [Table("Counts", counts), Table("New tasks", written, "With the first row of each.")]


METHODS = {"ape": run_ape, "self_instruct": run_self_instruct}


def induce(config: Mapping[str, Any], lm: LM, folder: Path) -> Table:
    """The run that ``config`` (``conf/induce.yaml``) asks for; writes ``folder``. The table that
    it is about."""
    begun = time.perf_counter()
    name = config["inducing"]["name"]
    if name not in METHODS:
        raise UnknownName("method", name, METHODS)
    runs.write_config(folder, config)
    tables = METHODS[name](config, lm, folder)
    save_json(clean(tables[0].rows), folder / "table.json")
    model = runs.called(Path(str(config["model"]["name"])))
    write_findings(
        Findings(
            f"{name} with {model}",
            tables,
            seconds=time.perf_counter() - begun,
            config=(folder / runs.CONFIG).read_text(encoding="utf-8"),
            versions=runs.versions(),
        ),
        folder,
    )
    return tables[0]
