"""An alignment run: a method by its name, over a supervised model; what it found, as files."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from formats.errors import UnknownName
from tasks import catalogue
from tasks.dotted import resolve
from tasks.task import Task

from .. import runs
from ..kept import digest
from ..reasoning import EngineLM
from ..report.data import clean, save_json
from ..report.findings import Findings, Table, write_findings
from ..report.lines import Line, Panel, picture
from ..scoring import Engine, Writing, load
from .ground import Ground, Outcome
from .reward import frozen
from .run_loops import run_constitutional, run_star
from .run_methods import run_best_of_n, run_dpo, run_filter, run_ppo, run_reward

METHODS: dict[str, Callable[[Ground], Outcome]] = {
    "reward": run_reward,
    "ppo": run_ppo,
    "dpo": run_dpo,
    "best_of_n": run_best_of_n,
    "filter": run_filter,
    "constitutional": run_constitutional,
    "star": run_star,
}


def align(config: Mapping[str, Any], folder: Path) -> Outcome:
    """The run that ``config`` (``conf/align.yaml``) asks for. Writes ``report.html``,
    ``align.json``, ``curves.svg`` and the trained models into ``folder``."""
    begun = time.perf_counter()
    settings = config["alignment"]
    if settings["name"] not in METHODS:
        raise UnknownName("method", settings["name"], METHODS)
    runs.write_config(folder, config)
    torch.manual_seed(config["seed"])
    model = dict(config["model"])
    name = str(model.pop("name"))

    def fresh() -> Engine:
        return load(name, **model)

    engine = fresh()
    engine.model = frozen(engine.model)
    task = catalogue.load(str(config["tasks"]))
    given = config["writing"]
    writing = Writing(**{**given, "stop": tuple(given["stop"]), "seed": config["seed"]})
    ground = Ground(
        fresh,
        engine,
        task,
        config["rows"],
        config["test_rows"],
        resolve(config["preference"]),
        resolve(config["intended"]),
        writing,
        settings,
        folder,
        config["seed"],
        about(config, engine, task),
    )
    outcome = METHODS[settings["name"]](ground)
    title = f"{settings['name']} on {task.name} from {runs.called(Path(name))}"
    write(outcome, title, folder, time.perf_counter() - begun)
    return outcome


def about(config: Mapping[str, Any], engine: Engine, task: Task) -> str:
    """A digest of what shapes an arm: model, rows, settings and this package's code."""
    code = [f.read_text("utf-8") for f in sorted(Path(__file__).parent.glob("*.py"))]
    given = {k: v for k, v in config.items() if k not in ("name", "model", "hydra")}
    arms = {"alignment": {k: v for k, v in config["alignment"].items() if k != "betas"}}
    return digest(EngineLM(engine).identity(), task.fingerprint(), {**given, **arms}, code)


def write(outcome: Outcome, title: str, folder: Path, seconds: float) -> None:
    """The files of ``outcome``."""
    figure = picture(panels(outcome), title) if outcome.lines else ""
    if figure:
        (folder / "curves.svg").write_text(figure, encoding="utf-8")
    tables = [
        Table("Results", outcome.table, outcome.meaning),
        Table("Counted", [{"what": k, "value": v} for k, v in outcome.facts.items()]),
        Table("Replies", replies(outcome), "The first test rows; not chosen."),
    ]
    config = (folder / runs.CONFIG).read_text(encoding="utf-8")
    versions = runs.versions()
    caption = f"By {outcome.across}."
    write_findings(
        Findings(title, tables, figure, caption, seconds, config, versions), folder
    )
    told = {
        "title": title,
        "table": outcome.table,
        "facts": outcome.facts,
        "lines": outcome.lines,
        "texts": outcome.texts,
        "seconds": seconds,
        "versions": versions,
    }
    save_json(clean(told), folder / "align.json")


def panels(outcome: Outcome) -> list[Panel]:
    """One panel per measure, one line per arm."""
    return [
        Panel(
            [Line(arm, list(zip(outcome.at or range(1, len(values) + 1), values, strict=False)))
             for arm, values in series.items()],
            title=title,
            x=outcome.across,
            log_x=outcome.doubling,
            zero=True,
        )
        for title, series in outcome.lines.items()
    ]  # fmt: skip


def replies(outcome: Outcome) -> list[dict[str, str]]:
    """A row per source, with each arm's reply to it."""
    out: dict[str, dict[str, str]] = {}
    for arm, texts in outcome.texts.items():
        for source, reply in texts:
            out.setdefault(source, {"source": source})[arm] = reply.strip()
    return list(out.values())
