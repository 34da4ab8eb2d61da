"""BIG-bench JSON tasks: multiple choice by ``target_scores``, generation by ``target``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..readers.instructions import bigbench_rows, texts_of
from ._files import document, has_keys, text_of
from ._found import Draft, Found
from ._names import kin, slug

LAYOUT = "bigbench"


def sniff(path: Path) -> bool:
    return has_keys(path, "examples") and (
        has_keys(path, "target_scores") or has_keys(path, "target")
    )


def found(files: Sequence[Path]) -> list[Found]:
    """One task. What else a document says (canary, metrics, comments) stays out of it."""
    (path,) = files
    read = document(path)
    rows = list(bigbench_rows(read, path))
    choice = any(row["options"] for row in rows)
    name = text_of(read.get("name")) or (path.parent.name if path.stem == "task" else path.stem)
    instruction = text_of(read.get("task_prefix")).strip() or text_of(read.get("description"))
    cluster, lineage = kin(name)
    keywords = texts_of(read.get("keywords") or [])
    return [
        Draft(
            name=slug(f"bigbench_{name}"),
            layout=LAYOUT,
            files={"all": path},
            rows={"all": rows},
            type="MultipleChoice" if choice else "TextGeneration",
            fields={"question": "input", "options": "options", "answer": "answer"}
            if choice
            else {"source": "input", "targets": "targets"},
            more={
                "cluster": cluster,
                "lineage": lineage,
                "licence": "Apache-2.0",
                "answer_as": "index" if choice else None,
                "prompts": {"instruction": instruction} if instruction.strip() else None,
            },
            notes=(f"keywords: {', '.join(keywords)}",) if keywords else (),
        ).found()
    ]
