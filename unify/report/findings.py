"""What a run found that is no score per task: tables of any columns, and a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from .numbers import cell


@dataclass(frozen=True)
class Table:
    """``rows`` with a column per key, in the order of first mention; a missing value is empty."""

    title: str
    rows: list[dict[str, Any]]
    caption: str = ""

    @property
    def columns(self) -> list[str]:
        return list(dict.fromkeys(key for row in self.rows for key in row))


@dataclass(frozen=True)
class Findings:
    """``tables``: the first is what the run is about. ``figure``: an SVG of our own making."""

    title: str
    tables: Sequence[Table]
    figure: str = ""
    caption: str = ""
    seconds: float = 0.0
    config: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


def _view(table: Table) -> dict[str, Any]:
    texts = {c for c in table.columns if any(isinstance(r.get(c), str) for r in table.rows)}
    return {
        "title": table.title,
        "caption": table.caption,
        "columns": [{"name": c.replace("_", " "), "text": c in texts} for c in table.columns],
        "rows": [
            [{"value": cell(row.get(c)), "text": c in texts} for c in table.columns]
            for row in table.rows
        ],
    }


def findings_page(found: Findings) -> str:
    """The page, self-contained."""
    from .html import environment

    return environment().get_template("findings.html").render(
        title=found.title,
        tables=[_view(t) for t in found.tables if t.rows],
        figure=Markup(found.figure),
        caption=found.caption,
        seconds=found.seconds,
        config=found.config,
        versions=dict(found.versions),
    )


def write_findings(found: Findings, folder: Path) -> None:
    """Writes ``report.html`` into ``folder``."""
    from .files import PAGE

    folder.mkdir(parents=True, exist_ok=True)
    (folder / PAGE).write_text(findings_page(found), encoding="utf-8")
