"""Lines that hold no row: refused, or kept in their place until an example is made of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from formats.errors import DataError, RowError, UnifyError

UNREAD = "(a line that holds no row)"  # the only column of such a row; no file has it

# What a reader does with a line that it cannot read: raises, or gives a row in its place.
Unread = Callable[[DataError], dict[str, Any]]


def refused(error: DataError) -> dict[str, Any]:
    """Raises ``error``."""
    raise error


def kept(error: DataError) -> dict[str, Any]:
    """A row that says why its line could not be read."""
    line = error.where.get("row")
    told = {"what": error.what, "expected": error.expected, "fix": error.fix, "line": line}
    return {UNREAD: json.dumps({**told, "got": str(error.got)}, ensure_ascii=True)}


def complain(row: Mapping[str, Any], error: type[UnifyError] = RowError) -> None:
    """Raises ``error`` for a row that :func:`kept` made."""
    if told := row.get(UNREAD):
        raise error(**json.loads(told))
