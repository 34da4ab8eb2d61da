"""Studies of learning in context: one evaluation, one table of numbers, one plot.

| study          | a row of the plot           | its values                         |
|----------------|-----------------------------|------------------------------------|
| demonstrations | a kind of demonstrations    | one per task                       |
| order          | a task, and their mean      | one per order of the demonstrations |
| prompts        | a task, and their mean      | one per template                   |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from formats.errors import ConfigError, UnknownName

from .few_settings import FewShot
from .results import TaskResult

STUDIES = ("demonstrations", "order", "prompts")


@dataclass
class Study:
    """``rows`` are what the plot shows (name, values in 0..1), ``facts`` what is said of them."""

    name: str
    title: str
    rows: list[tuple[str, list[float]]]
    facts: dict[str, Any] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """For a terminal: per row its mean, lowest and highest value in points."""
        wide = max((len(name) for name, _ in self.rows), default=0)
        out = [self.title, ""]
        for name, values in self.rows:
            mean, low, high = 100 * float(np.mean(values)), 100 * min(values), 100 * max(values)
            out.append(f"{name:<{wide}}  {mean:5.1f}  ({low:.1f} to {high:.1f})")
        if "range_within_a_draw" in self.facts:
            within = 100 * self.facts["range_within_a_draw"]
            out += ["", f"range over the orders of one draw, mean of the tasks: {within:.1f}"]
        if "gler" in self.facts:
            value = self.facts["gler"]
            said = "undefined: gold labels gain nothing" if value is None else f"{value:.2f}"
            out += ["", f"ground-truth label effect ratio: {said}"]
        return out


def check(name: str, few: FewShot | None) -> None:
    """Raises UnknownName or ConfigError where the settings are not those of study ``name``."""
    if name not in STUDIES:
        raise UnknownName("study", name, STUDIES, field="evaluation.study")
    missing = {
        "demonstrations": few is None
        or not {0} < set(few.shots) or "gold" not in few.labels or few.templates != (),
        "order": few is None or few.orders != "all" or len(few.shots) != 1 or few.shots[0] < 2,
        "prompts": few is None or not few.templates,
    }
    if missing[name]:
        needed = {
            "demonstrations": "shots of 0 and more, labels=[gold,random,…], no templates",
            "order": "orders=all and one number of shots, two or more",
            "prompts": "templates=[…]",
        }
        raise ConfigError(
            f"the study {name} with settings that it cannot be made of",
            expected=needed[name],
            fix=f"evaluation={name}",
        )


def gler(gold: float, random: float, zero: float) -> float | None:
    """The ground-truth label effect ratio (gold - random) / (gold - zero-shot) (Yoo et al. 2022,
    section 3); None where gold demonstrations gain nothing."""
    return None if gold <= zero else (gold - random) / (gold - zero)


def study(name: str, few: FewShot, results: Sequence[TaskResult]) -> Study:
    """What ``results`` say. Raises ConfigError without a task."""
    if not results:
        raise ConfigError("a study without a task", got=name, expected="at least one task")
    if name == "demonstrations":
        return _demonstrations(few, results)
    key = {"order": "orders", "prompts": "templates"}[name]
    shown = [r for r in results if r.notes.get(key)]
    if not shown:
        raise ConfigError(
            f"a study of {key} in which nothing differs", got=name, fix="give at least two values"
        )
    rows = [(_task(r), list(r.notes[key].values())) for r in shown]
    same = [values for _, values in rows if len(values) == len(rows[0][1])]
    rows.insert(0, ("mean of the tasks", np.mean(same, 0).tolist()))
    spread = [float(np.ptp(values)) for _, values in rows[1:]]
    names = list(shown[0].notes[key])
    facts: dict[str, Any] = {"mean_range": float(np.mean(spread)), "names": names}
    if name == "order":
        drawn = [values for r in shown for values in _by_seed(r.notes[key]).values()]
        facts["range_within_a_draw"] = float(np.mean([np.ptp(values) for values in drawn]))
    what = "orders of the demonstrations" if name == "order" else "ways of asking"
    return Study(name, f"{shown[0].setting}: {what}", rows, facts)


def _task(result: TaskResult) -> str:
    return result.task.removesuffix(f", {result.setting}")


def _by_seed(orders: dict[str, float]) -> dict[str, list[float]]:
    """The values of the orders of each draw of demonstrations."""
    groups: dict[str, list[float]] = {}
    for name, value in orders.items():
        groups.setdefault(name.partition(",")[0], []).append(value)
    return groups


def _demonstrations(few: FewShot, results: Sequence[TaskResult]) -> Study:
    by: dict[str, dict[str, float]] = {}
    for r in results:
        by.setdefault(r.setting, {})[_task(r)] = r.value
    most = max(few.shots)
    zero, gold, random = "0-shot", f"{most}-shot", f"{most}-shot, random"
    facts: dict[str, Any] = {"tasks": {s: dict(v) for s, v in by.items()}}
    if random in by:
        mean = {s: float(np.mean(list(by[s].values()))) for s in (zero, gold, random)}
        facts["gler"] = gler(mean[gold], mean[random], mean[zero])
        facts["gler_per_task"] = {
            t: gler(by[gold][t], by[random][t], by[zero][t]) for t in by[gold]
        }
    rows = [(setting, list(values.values())) for setting, values in by.items()]
    tasks = len(by[gold])
    return Study("demonstrations", f"What demonstrations teach, {tasks} tasks", rows, facts)


def write_study(found: Study, folder: Path) -> None:
    """Writes ``study.svg`` and ``study.json`` into ``folder``."""
    from .report.box import boxes
    from .report.data import save_json

    (folder / "study.svg").write_text(boxes(found.title, found.rows), encoding="utf-8")
    facts = {"study": found.name, "title": found.title, "rows": dict(found.rows), **found.facts}
    save_json(facts, folder / "study.json")


def told(folder: Path) -> list[str]:
    """The lines of the study that was written to ``folder``, and where its plot lies."""
    import json

    facts = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    rows = list(facts["rows"].items())
    found = Study(facts["study"], facts["title"], rows, facts)
    return [*found.lines(), "", f"plot: {folder / 'study.svg'}"]
