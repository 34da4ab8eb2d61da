"""Columns out of columns: what the named groups of a pattern find in a text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from formats.errors import DeclarationError


def with_patterns(
    rows: Iterable[Mapping[str, Any]], patterns: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """The rows, with a column more for each named group of ``patterns`` (column: pattern).

    A pattern has to match the whole text; a dot matches line breaks too. Where it does not
    match, its columns are None, so that the row is found out when its example is made.
    Raises DeclarationError for a pattern that is none, or that names no group.
    """
    compiled: dict[str, re.Pattern[str]] = {}
    for column, pattern in patterns.items():
        try:
            compiled[column] = re.compile(pattern, re.DOTALL)
        except re.error as error:
            raise DeclarationError(
                f"no regular expression: {error}",
                got=pattern,
                fix="mend the pattern in the task's format",
                field=f"format.patterns.{column}",
            ) from None
        if not compiled[column].groupindex:
            raise DeclarationError(
                "a pattern without named groups",
                got=pattern,
                field=f"format.patterns.{column}",
                expected="(?P<name>…) for each new column",
            )
    for row in rows:
        out = dict(row)
        for column, matcher in compiled.items():
            found = matcher.fullmatch(str(row[column])) if row.get(column) is not None else None
            out.update(found.groupdict() if found else dict.fromkeys(matcher.groupindex))
        yield out
