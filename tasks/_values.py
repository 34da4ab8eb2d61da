"""Single keys of a declaration: label spaces, scales, derived splits, announced bad rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from formats.errors import DeclarationError, RowError, UnknownName

from .derive import Derive


def space(raw: Mapping[str, Any], key: str, make: type) -> Any:
    value = raw.get(key)
    if value is None:
        return None
    try:
        if isinstance(value, dict):
            return make(tuple(str(k) for k in value), tuple(str(v) for v in value.values()))
        if isinstance(value, list):
            return make(tuple(str(v) for v in value))
    except RowError as error:  # the space refuses itself; here no row is to blame
        raise DeclarationError(
            error.what, got=error.got, expected=error.expected, fix=error.fix, field=key
        ) from None
    raise DeclarationError(
        f"{key} are neither a list nor a mapping",
        got=value,
        field=key,
        expected="[name, …] or {name as in the data: words for the model}",
    )


def scale(raw: Mapping[str, Any]) -> tuple[float, float, float] | None:
    scale = raw.get("scale")
    if scale is None:
        return None
    if not isinstance(scale, list) or len(scale) not in (2, 3):
        raise DeclarationError(
            "no scale", got=scale, expected="[low, high, quantum]", field="scale"
        )
    low, high, quantum = (*scale, 1.0)[:3]
    return float(low), float(high), float(quantum)


def derive(raw: Mapping[str, Any], published: tuple[str, ...]) -> Derive | None:
    given = raw.get("derive")
    if given is None:
        return None
    known = ("from", "parts", "seed", "group")
    for key in given:
        if key not in known:
            raise UnknownName("derive key", key, known, field="derive")
    if given.get("from") not in published:
        raise UnknownName("split", str(given.get("from")), published, field="derive.from")
    parts = given.get("parts")
    if not isinstance(parts, dict) or abs(sum(parts.values()) - 1) > 1e-9:
        raise DeclarationError(
            "parts that do not make the whole",
            got=parts,
            field="derive.parts",
            expected="{split: fraction} with fractions that sum to 1",
        )
    return Derive(given["from"], dict(parts), int(given.get("seed", 0)), given.get("group"))


def broken(raw: Mapping[str, Any], splits: tuple[str, ...]) -> dict[str, int]:
    given = raw.get("broken") or {}
    if not isinstance(given, dict) or not all(type(n) is int and n > 0 for n in given.values()):
        raise DeclarationError(
            "broken rows that are not counted per split",
            got=given,
            expected="{split: number of rows that no adapter can read}",
            field="broken",
        )
    for split in given:
        if split not in splits:
            raise UnknownName("split", str(split), splits, field="broken")
    return given
