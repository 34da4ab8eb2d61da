"""What the verbs share that run a method: ``method=``, ``task=``, ``run=`` and a small table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import runs


def spelled(arguments: Sequence[str], group: str) -> list[str]:
    """``method=x`` chooses ``conf/<group>/x``; ``task=`` is their key ``tasks``: a folder of conf
    has that name; ``run=x`` is the model of that run. Raises RunError."""
    said = {"method": group, "task": "tasks"}
    out = []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if key == "run":
            key, value = "model.name", str(runs.find(value) / runs.MODEL)
        out.append(f"{said.get(key, key)}{equals}{value}")
    return out


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """A table of ``rows`` on the terminal; a column per key, texts flush left."""
    from rich.console import Console
    from rich.table import Table

    from ..report.numbers import cell

    table = Table(box=None, pad_edge=False)
    for column in dict.fromkeys(key for row in rows for key in row):
        text = any(isinstance(row.get(column), str) for row in rows)
        table.add_column(column.replace("_", " "), justify="left" if text else "right")
    for row in rows:
        table.add_row(*(cell(row.get(str(c))) for c in dict.fromkeys(k for r in rows for k in r)))
    Console(width=110, markup=False).print(table)
