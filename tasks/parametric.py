"""One declaration for many alike: ``each`` lists values for the ``{names}`` in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from formats.errors import DeclarationError


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    """``value`` with ``{name}`` replaced in all its texts; other braces stay as they are."""
    if isinstance(value, str):
        for name, text in values.items():
            value = value.replace(f"{{{name}}}", text)
        return value
    if isinstance(value, Mapping):
        return {key: _filled(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    return value


def expanded(raw: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The declarations that ``raw`` stands for, by the ``name`` that it gives each of them.

    ``each`` is a list of ``{name: value}`` mappings with equal keys. Raises DeclarationError.
    """
    rest = {key: value for key, value in raw.items() if key not in ("each", "name")}
    each, pattern = raw.get("each"), raw.get("name")
    alike = isinstance(each, list) and each and all(isinstance(v, Mapping) for v in each)
    if not alike or len({frozenset(values) for values in each}) != 1:  # type: ignore[union-attr]
        raise DeclarationError(
            "values that do not make a table",
            got=each,
            expected="a list of mappings with equal keys, one for each task",
            field="each",
        )
    if not isinstance(pattern, str):
        raise DeclarationError(
            "many tasks without names", got=pattern, expected="name: prefix_{key}", field="name"
        )
    found: dict[str, dict[str, Any]] = {}
    for values in each:  # type: ignore[union-attr]
        texts = {str(key): str(value) for key, value in values.items()}
        name = _filled(pattern, texts)
        if name in found:
            raise DeclarationError(
                f"two tasks of the name {name!r}",
                got=dict(values),
                fix="let `name` hold what tells them apart",
                field="name",
            )
        found[name] = _filled(rest, texts)
    return found
