"""Self-Instruct's seed tasks: one file, a row per instance, each with its own instruction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..readers.instructions import self_instruct
from ._files import first_object
from ._found import Draft, Found
from ._names import slug

LAYOUT = "self_instruct"


def sniff(path: Path) -> bool:
    return {"instruction", "instances"} <= set(first_object(path))


def found(files: Sequence[Path]) -> list[Found]:
    """One generation task: a seed task of one or two instances is too small for one of its own."""
    (path,) = files
    rows = list(self_instruct(path))
    return [
        Draft(
            name=slug(f"selfinstruct_{path.stem}"),
            layout=LAYOUT,
            files={"all": path},
            rows={"all": rows},
            type="TextGeneration",
            fields={"source": "source", "targets": "output"},
            more={
                "cluster": "self_instruct",
                "lineage": ["self_instruct"],
                "licence": "Apache-2.0",
                "prompts": {"instruction": "Give the answer.", "generate": ["{{ source }}"]},
            },
            group="instruction",
        ).found()
    ]
