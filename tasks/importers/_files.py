"""Looking into files: the keys of a JSON document, the first object of a jsonl file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from formats.errors import DataError

from ..readers.documents import load_json
from ..readers.instructions import listed, text_of

__all__ = ["document", "first_object", "has_keys", "listed", "text_of"]


def document(path: Path) -> Mapping[str, Any]:
    """The parsed file, a JSON object; raises DataError."""
    try:
        found = load_json(path, "utf-8")
    except RecursionError:
        raise DataError(
            "JSON that is nested too deeply", fix="leave the file out of the folder", file=str(path)
        ) from None
    if not isinstance(found, Mapping):
        raise DataError(
            "a document that is no JSON object", expected="a JSON object", file=str(path)
        )
    return found


def has_keys(path: Path, *keys: str) -> bool:
    """Whether a .json file writes all of ``keys``; it is not parsed, so that a broken file is
    still known by them. Inside of JSON texts quotes are escaped: what matches is a key, or a
    whole text."""
    if path.suffix != ".json":
        return False
    data = path.read_bytes()
    return all(f'"{key}"'.encode() in data for key in keys)


def first_object(path: Path) -> Mapping[str, Any]:
    """The first record of a .jsonl file; empty when it is none."""
    if path.suffix != ".jsonl":
        return {}
    with path.open("rb") as stream:
        for line in stream:
            if line.strip():
                try:
                    found = json.loads(line)
                except (ValueError, RecursionError):
                    return {}
                return found if isinstance(found, Mapping) else {}
    return {}


def glance(path: Path) -> tuple[str, str]:
    """Of a file of no known layout: what keeps it from being JSON, and what it is instead."""
    try:
        if path.suffix == ".json":
            found = load_json(path)
            lists = list(found.values()) if isinstance(found, Mapping) else []
            named = all(isinstance(v, list) and all(isinstance(n, str) for n in v) for v in lists)
            names = ", ".join(f"{key} {len(v)}" for key, v in found.items()) if named else ""
            return "", f"names of tasks ({names}), no rows" if lists and names else ""
        with path.open("rb") as stream:
            json.loads(next((line for line in stream if line.strip()), b"{}"))
    except DataError as error:
        return error.what, ""
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}", ""
    return "", ""
