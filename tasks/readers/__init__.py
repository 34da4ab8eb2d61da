"""Readers: one published file layout each, to plain rows (dicts). No row is dropped here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .blocks import conll, semeval_relations
from .documents import json_document, json_lines, squad
from .tables import delimited, lines, parallel, tab_separated

Row = dict[str, Any]
# A reader takes the split's file, or {column: file} for `parallel`, and its declared options.
Reader = Callable[..., Iterator[Row]]

READERS: dict[str, Reader] = {
    "csv": delimited,
    "tsv": tab_separated,
    "text": lines,
    "parallel": parallel,
    "json": json_document,
    "jsonl": json_lines,
    "squad": squad,
    "conll": conll,
    "semeval_relations": semeval_relations,
}

__all__ = ["READERS", "Path", "Reader", "Row"]
