"""(Super-)Natural Instructions: a JSON file is a task with its guide and its instances."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..guide import Guide, guide_of
from ..readers.instructions import natural_rows, texts_of
from ._answers import closed_set
from ._files import document, has_keys
from ._found import Draft, Found
from ._names import kin, slug

LAYOUT = "natural_instructions"


def sniff(path: Path) -> bool:
    return has_keys(path, "Definition", "Instances")


def _first(value: Any) -> str:
    return next((t for t in texts_of(value) if t.strip() not in ("", "-")), "") if value else ""


def _notes(guide: Guide) -> list[str]:
    return [f"{guide.dropped} examples of the guide lack a text"] if guide.dropped else []


def found(files: Sequence[Path]) -> list[Found]:
    """One task: the definition is its instruction; classification where the outputs are closed."""
    (path,) = files
    read = document(path)
    guide = guide_of(read, str(path))
    rows = list(natural_rows(read, path))
    labels: tuple[str, ...] = ()
    if all(len(row["outputs"]) <= 1 for row in rows):
        shown = [example.output for example in guide.positive]
        labels = closed_set([row["output"] for row in rows], shown)
    sources = [t for t in texts_of(read.get("Source") or []) if t.strip()] or [path.stem]
    name = path.name.split(".")[0]  # what follows are marks such as .excerpt
    more = {
        "cluster": slug(_first(read.get("Categories")) or name),
        "lineage": list(dict.fromkeys(n for t in sources for n in kin(t)[1])),
        "licence": _first(read.get("Instance License")),
        "prompts": {"instruction": guide.definition},
        "guide": path.name,
    }
    return [
        Draft(
            name=slug(f"ni_{name}"),
            layout=LAYOUT,
            files={"all": path},
            rows={"all": rows},
            type="TextClassification" if labels else "TextGeneration",
            fields={"text": "input", "label": "output"}
            if labels
            else {"source": "input", "targets": "outputs"},
            more=more,
            labels=labels,
            language=_first(read.get("Input_language")) or "English",
            notes=tuple(_notes(guide)),
        ).found()
    ]
