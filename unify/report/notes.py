"""What the data did not give, from the report's notes and its results, one line per split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .data import Report
from .numbers import NONE, finite

COLUMNS = (
    "skipped",
    "mended",
    "unlabelled",
    "unheld",
    "lost_spans",
    "moved_spans",
    "cut_rows",
    "cut_tokens",
    "unread_answers",
    "unfinished_texts",
)


def _amount(value: Any) -> float:
    """How many rows: a number, ``{"rows": n, ...}``, or reason -> rows."""
    if isinstance(value, Mapping):
        whole = finite(value.get("rows"))
        if whole is not None:
            return whole
        return sum(v for raw in value.values() if (v := finite(raw)) is not None)
    return finite(value) or 0.0


def _reasons(name: str, value: Any) -> list[str]:
    """One line per reason: ``unheld, 3 rows: the answer is not in the passage``."""
    if not isinstance(value, Mapping):
        return []
    found = value.get("reasons", {}) if "rows" in value else value
    if not isinstance(found, Mapping):
        return [f"{name}: {found}"]
    return [f"{name}, {times} × {reason}" for reason, times in found.items()]


def _remarks(note: Mapping[str, Any]) -> list[str]:
    lines = []
    for key in ("derived", "notes"):
        value = note.get(key) or ()
        lines += [value] if isinstance(value, str) else [str(v) for v in value]
    if note.get("candidates"):
        found = note["candidates"]
        lines.append(
            f"candidates hold {found['recall']:.1%} of the gold spans, "
            f"{found['per_row']:.0f} hypotheses per row"
        )
    if note.get("demonstrations_from"):
        lines.append(f"worked examples from {note['demonstrations_from']}")
    if note.get("dropped_demonstrations"):
        lines.append(f"{note['dropped_demonstrations']} demonstrations dropped: no room")
    if note.get("seeds"):
        values = (f"{seed}: {100 * value:.1f}" for seed, value in note["seeds"].items())
        lines.append("per seed: " + ", ".join(values))
    return lines


def line(note: Mapping[str, Any]) -> dict[str, Any]:
    """One note as the page shows it."""
    why = [x for c in ("skipped", "unheld") for x in _reasons(c, note.get(c))]
    return {
        "task": note.get("task", NONE),
        "split": note.get("split", NONE),
        "rows": note.get("rows"),
        "counts": {c: _amount(note.get(c)) for c in COLUMNS},
        "why": why + _remarks(note),
    }


def lines(report: Report) -> list[dict[str, Any]]:
    """All notes that say something. A result's own notes count where the report has none."""
    noted = {note.get("task") for note in report.data_notes}
    notes: list[Mapping[str, Any]] = list(report.data_notes)
    for r in (*report.unseen, *report.held_out):
        if r.task not in noted and r.notes:
            known = {k: v for k, v in r.notes.items() if k != "skipped_rows"}
            notes.append(
                {
                    "task": r.task,
                    "rows": r.rows,
                    "skipped": r.notes.get("skipped_rows"),
                    **known,
                }
            )
        elif r.notes.get("candidates"):
            notes.append({"task": r.task, "rows": r.rows, "candidates": r.notes["candidates"]})
    shown = [line(note) for note in notes]
    return [n for n in shown if n["why"] or any(n["counts"].values())]


def columns(shown: Sequence[Mapping[str, Any]]) -> list[str]:
    """The kinds of loss that occur at all."""
    return [c for c in COLUMNS if any(n["counts"][c] for n in shown)]


def leak_line(leak: Mapping[str, Any]) -> str:
    """A leak in one line: its own words, or its fields."""
    for key in ("reason", "message"):
        if leak.get(key):
            return str(leak[key])
    return "; ".join(f"{k}: {v}" for k, v in leak.items() if v not in (None, "", 0))
