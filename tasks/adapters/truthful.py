"""TruthfulQA (Lin et al. 2022): choices from its lists of true and false answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..readers.joined import by_hash


def _listed(text: str) -> list[str]:
    return list(dict.fromkeys(part.strip() for part in text.split(";") if part.strip()))


def mc1(row: Mapping[str, Any]) -> dict[str, Any]:
    """One choice: the best answer among the false ones (section 3.2), in the order of a hash."""
    best = row["Best Answer"].strip()
    false = [text for text in _listed(row["Incorrect Answers"]) if text != best]
    return {"question": row["Question"], "options": by_hash([best, *false]), "answer": best}


def mc2(row: Mapping[str, Any]) -> dict[str, Any]:
    """Every true answer among all answers. One that is listed as true and as false is true."""
    true, false = _listed(row["Correct Answers"]), _listed(row["Incorrect Answers"])
    options = by_hash(list(dict.fromkeys([*true, *false])))
    return {"text": row["Question"], "options": options, "labels": true}


def written(row: Mapping[str, Any]) -> dict[str, Any]:
    """Free text: the best answer, then the other true ones, are the references."""
    best = row["Best Answer"].strip()
    others = [text for text in _listed(row["Correct Answers"]) if text != best]
    return {"source": row["Question"], "targets": [best, *others]}
