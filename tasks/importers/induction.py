"""Instruction induction: ``induce/<task>.json`` to learn from, ``execute/<task>.json`` to test."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path

from ..readers.instructions import induction_rows
from ._answers import closed_set
from ._files import document, has_keys
from ._found import Draft, Found
from ._names import kin, slug

LAYOUT = "instruction_induction"
# Tasks whose inputs come from a published dataset (Honovich et al. 2022, appendix A).
SOURCES = {"sentiment": "sst2", "sentence_similarity": "stsb", "word_in_context": "wic_text"}
_SPLITS = {"induce": "train", "execute": "test"}


def sniff(path: Path) -> bool:
    return has_keys(path, "metadata", "examples") and (
        has_keys(path, "num_examples") or path.parent.name in _SPLITS
    )


def unit(path: Path) -> Hashable | None:
    """A task's two files belong together."""
    if path.suffix != ".json" or path.parent.name not in _SPLITS:
        return None
    return path.parent.parent, path.stem


def found(files: Sequence[Path]) -> list[Found]:
    """One task; classification where the answers of both files are closed."""
    paths = {_SPLITS.get(path.parent.name, "all"): path for path in files}
    paths = {split: paths[split] for split in ("train", "test", "all") if split in paths}
    rows = {split: list(induction_rows(document(path), path)) for split, path in paths.items()}
    labels = closed_set([row["output"] for listed in rows.values() for row in listed])
    name = files[0].stem
    cluster, lineage = slug(name), [slug(f"instruction_induction_{name}")]
    if name in SOURCES:
        cluster, lineage = kin(SOURCES[name])
    return [
        Draft(
            name=slug(f"induction_{name}"),
            layout=LAYOUT,
            files=paths,
            rows=rows,
            type="TextClassification" if labels else "TextGeneration",
            fields={"text": "input", "label": "output"}
            if labels
            else {"source": "input", "targets": "outputs"},
            more={
                "cluster": cluster,
                "lineage": lineage,
                "licence": "Apache-2.0",
            },
            labels=labels,
        ).found()
    ]
