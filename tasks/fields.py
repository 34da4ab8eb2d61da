"""From a dataset's columns to the unified fields of a task type."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from formats.errors import DeclarationError, RowError, UnknownName

Getter = Callable[[Mapping[str, Any]], Any]

# kind -> (required fields, optional fields, gold field); names double as default columns.
FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "classify": (("text",), ("text_b",), "label"),
    "multilabel": (("text",), ("text_b", "options"), "labels"),
    "choose": (("question", "options"), ("context", "keys"), "answer"),
    "answer": (("question", "passage"), (), "answers"),
    "tag": (("text",), ("tokens",), "spans"),
    "relate": (("text", "head", "tail"), (), "label"),
    "rate": (("text",), ("text_b",), "value"),
    "generate": (("source",), ("rationale",), "targets"),
}
_HOLE = re.compile(r"\{([^{}]+)\}")


def _walk(value: Any, parts: Sequence[str]) -> Any:
    for i, part in enumerate(parts):
        if isinstance(value, list):
            return [_walk(item, parts[i:]) for item in value]
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _column(path: str, columns: Sequence[str]) -> Getter:
    """``column``, or ``column.key.key`` into nested rows; a list on the way maps over its items."""
    if path in columns:
        return lambda row: row[path]
    if path.endswith("*"):
        several = [name for name in columns if name.startswith(path[:-1])]
        if several:
            return lambda row: [row[name] for name in several]
    first, *rest = path.split(".")
    if first not in columns:
        raise UnknownName("column", path, columns)
    return lambda row: _walk(row[first], rest)


def _hole(path: str, columns: Sequence[str]) -> Getter:
    """A column within a pattern; ``column:joiner`` writes the items of a list."""
    name, colon, joiner = path.partition(":")
    if path in columns or not colon:
        return _column(path, columns)
    get = _column(name, columns)

    def joined(row: Mapping[str, Any]) -> Any:
        value = get(row)
        return joiner.join(map(str, value)) if isinstance(value, list) else value

    return joined


def getter(spec: str | Sequence[str], columns: Sequence[str]) -> Getter:
    """Reads one field: a column, a ``{pattern} of columns``, or a list of columns as a list.

    In a pattern ``{column:, }`` joins the column's list by what follows the colon. ``name*`` is
    the list of all columns whose names begin so, in their order.

    Raises UnknownName for a column that is not there.
    """
    if not isinstance(spec, str):
        several = [getter(item, columns) for item in spec]
        return lambda row: [get(row) for get in several]
    if not _HOLE.search(spec):
        return _column(spec, columns)
    parts = _HOLE.split(spec)  # text, column, text, column, …
    getters = [_hole(path, columns) for path in parts[1::2]]

    def fill(row: Mapping[str, Any]) -> str:
        texts = ["" if (v := get(row)) is None else str(v) for get in getters]
        pairs = zip(parts[::2], [*texts, ""], strict=True)
        return "".join(a + b for a, b in pairs)

    return fill


def getters(
    kind: str,
    declared: Mapping[str, str | Sequence[str]],
    columns: Sequence[str],
    *,
    labelled: bool,
) -> dict[str, Getter]:
    """Getters of the fields of ``kind`` over rows with ``columns``.

    A field that is not declared is the column of its own name; optional ones may lack it. An
    unlabelled split has no gold field.
    """
    required, optional, gold = FIELDS[kind]
    wanted = (*required, *optional, *((gold,) if labelled else ()))
    found: dict[str, Getter] = {}
    for name in wanted:
        if name not in declared and name in optional and name not in columns:
            continue
        try:
            found[name] = getter(declared.get(name, name), columns)
        except UnknownName as error:
            if name == gold:
                error.fix = f"{error.fix} — or list the split under `unlabelled`"
            raise error.at(field=f"fields.{name}") from None
    return found


def check_declared(kind: str, declared: Mapping[str, Any]) -> None:
    """Raises UnknownName for a field that ``kind`` does not have."""
    required, optional, gold = FIELDS[kind]
    for name, spec in declared.items():
        if name not in (*required, *optional, gold):
            raise UnknownName("field", name, (*required, *optional, gold), field="fields")
        if not isinstance(spec, str) and not (
            isinstance(spec, list) and all(isinstance(s, str) for s in spec)
        ):
            raise DeclarationError(
                f"field {name!r} is mapped to no column",
                got=spec,
                field="fields",
                expected="a column, a {pattern}, or a list of columns",
            )


def as_list(value: Any, separator: str | None, field: str) -> list[Any]:
    """A list as it is; a text cut at ``separator``; nothing as the empty list."""
    if value is None:
        return []
    if isinstance(value, str):
        if separator is None:
            raise RowError(
                f"{field} is one text",
                got=value,
                expected="a list",
                field=field,
                fix="declare the separator that parts its items",
            )
        return [part.strip() for part in value.split(separator) if part.strip()]
    if isinstance(value, Iterable):
        return list(value)
    raise RowError(f"{field} is no list", got=value, expected="a list", field=field)
