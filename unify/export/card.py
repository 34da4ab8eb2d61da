"""The model card: what the run's own report says, for whoever gets the folder."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from .. import runs
from ..report.data import best_baseline
from ..results import TaskResult
from .use import USES


def card(note: Mapping[str, Any], folder: Path) -> str:
    """The README.md of an exported folder, from ``note`` (its unify.json) and the run's report."""
    report = _read(folder / runs.REPORT)
    seen = list(runs.seen_tasks(folder)) or list(report.get("seen", ()))
    parts = [
        "---\n" + yaml.safe_dump(_head(note, seen), sort_keys=False, allow_unicode=True) + "---",
        f"# {folder.name}",
        f"A model that was trained across {len(seen)} tasks in the format **{note['format']}**, "
        "and evaluated on tasks that it was not trained on.",
        "## Use\n\n" + USES[note["auto"]](note),
        "## Unseen tasks\n\n" + unseen(report),
        "## How it was asked\n\n" + _asked(note["prompts"]),
        "## Trained on\n\n" + trained_on(seen),
        "## Limits\n\n" + _limits(note, report),
    ]
    return "\n\n".join(parts) + "\n"


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _head(note: Mapping[str, Any], seen: list[str]) -> dict[str, Any]:
    """The card's own fields. Its licence is the user's to choose, the data's are listed below."""
    head: dict[str, Any] = {"library_name": "peft" if note["base"] else "transformers"}
    if note["base"] not in (None, "base"):
        head["base_model"] = note["base"]
    if note["pipeline"]:
        head["pipeline_tag"] = note["pipeline"]
    head["tags"] = ["unify", note["format"]]
    languages = sorted({t.language for t in _tasks(seen).values()})
    if languages:
        head["language"] = languages
    return head


def _tasks(names: list[str]) -> dict[str, Any]:
    """The tasks that this machine knows; a run may come from another one."""
    from formats.errors import UnifyError
    from tasks import catalogue

    found = {}
    for name in names:
        try:
            found[name] = catalogue.load(name)
        except UnifyError:
            continue
    return found


def unseen(report: Mapping[str, Any]) -> str:
    """The results on unseen tasks as a table, with their intervals."""
    entries = report.get("unseen") or {}
    if not entries:
        return "No unseen task was evaluated."
    lines = [
        "| task | type | metric | value | 95% interval | rows | best trivial method |",
        "|---|---|---|--:|---|--:|---|",
    ]
    for name, e in entries.items():
        best = _best(name, e)
        lines.append(
            f"| {name} | {e['type']} | {e['metric']} | {_percent(e['value'])} | "
            f"{_percent(e['low'])} to {_percent(e['high'])} | {e['rows']} | {best} |"
        )
    macro = report.get("macro") or {}
    if macro.get("value") is not None:
        lines.append(
            f"\nMacro average {_percent(macro['value'])}; "
            f"the best trivial method of each task {_percent(macro['best_baseline'])}. "
            "Values are times 100; intervals are bootstrapped over rows."
        )
    if report.get("allowed_leaks"):
        lines.append("\nThe run was told to go on although unseen tasks leaked into training.")
    lines += [f"\n{line}" for line in report.get("contact", ())]
    skipped = report.get("skipped") or {}
    if skipped:
        lines.append("\nLeft out: " + "; ".join(f"{k} ({v})" for k, v in skipped.items()) + ".")
    return "\n".join(lines)


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:.1f}"


def _best(name: str, entry: Mapping[str, Any]) -> str:
    result = TaskResult(
        name, entry["type"], entry["format"], entry["metric"], 0.0, 0.0, 0.0, 0,
        entry["baselines"], 0.0,
    )  # fmt: skip
    best = best_baseline(result)
    return "none" if best is None else f"{best[0]} {_percent(best[1])}"


def _asked(prompts: Mapping[str, str]) -> str:
    """A small example of each type, as the model reads it."""
    whole = ["One small example of each task type, as the model read it (tasks may word it in "
             "their own way):"]  # fmt: skip
    for kind, text in prompts.items():
        whole.append(f"**{kind}**\n\n```text\n{text}\n```")
    return "\n\n".join(whole)


def trained_on(seen: list[str]) -> str:
    """The seen tasks by the licence of their data."""
    known = _tasks(seen)
    by_licence: dict[str, list[str]] = defaultdict(list)
    for name in seen:
        licence = known[name].licence if name in known else "unknown here"
        by_licence[licence or "none stated"].append(name)
    lines = ["| licence of the data | tasks |", "|---|---|"]
    lines += [f"| {k} | {', '.join(v)} |" for k, v in sorted(by_licence.items())]
    lines.append(
        "\nThe data's licences say what may be done with it; which of them reach the weights is "
        "not for this card to decide."
    )
    return "\n".join(lines)


def _limits(note: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    lines = [
        f"- The model reads {note['window']} tokens at once. The run cut longer passages into "
        "overlapping windows and shortened other texts in their middle; plain tokenizers cut "
        "their end.",
        "- Scores on tasks unlike those above have not been measured.",
    ]
    if note["pipeline"] is None or note["pipeline"] != "zero-shot-classification":
        lines.append(
            "- The task types above were asked with the prompts shown; other wordings may do worse."
        )
    lines.append(
        f"- Loaded alone, it gave the run's logits up to {max(note['off'], 1e-7):.0e} of the "
        "largest one, measured on three pairs of texts when it was written."
    )
    if report.get("versions"):
        versions = ", ".join(f"{k} {v}" for k, v in report["versions"].items())
        lines.append(f"- Trained with {versions}.")
    return "\n".join(lines)
