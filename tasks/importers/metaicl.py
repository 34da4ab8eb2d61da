"""MetaICL and CrossFit: ``<task>_<k>_<seed>_{train,dev,test}.jsonl`` of input, output, options."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..readers.instructions import metaicl
from ._files import first_object
from ._found import Draft, Found, usable_labels
from ._names import kin, slug

LAYOUT = "metaicl"
_NAME = re.compile(r"(?P<task>.+)_(?P<k>\d+)_(?P<seed>\d+)_(?P<split>train|dev|test)")
_SPLITS = {"train": "train", "dev": "validation", "test": "test"}


def sniff(path: Path) -> bool:
    first = first_object(path)
    return {"task", "input", "output"} <= set(first)


def unit(path: Path) -> Hashable | None:
    """The files of one task, k and seed belong together."""
    named = _NAME.fullmatch(path.stem) if path.suffix == ".jsonl" else None
    return None if named is None else (path.parent, named["task"], named["k"], named["seed"])


def kind(rows: Sequence[Mapping[str, Any]]) -> tuple[str, tuple[str, ...]]:
    """Type and labels: no options anywhere are a generation task, the same options on all (two or
    more) rows are labels, anything else is multiple choice."""
    sets = {frozenset(row["options"]) for row in rows}
    if sets <= {frozenset()}:
        return "TextGeneration", ()
    first = tuple(rows[0]["options"])
    if len(sets) == 1 and len(rows) > 1 and usable_labels(first):
        return "TextClassification", first
    return "MultipleChoice", ()


_FIELDS = {
    "TextGeneration": {"source": "input", "targets": "output"},
    "TextClassification": {"text": "input", "label": "output"},
    "MultipleChoice": {"question": "input", "options": "options", "answer": "output"},
}


def found(files: Sequence[Path]) -> list[Found]:
    """One task of the splits that there are; a name without k, seed and split is one split."""
    named = {path: _NAME.fullmatch(path.stem) for path in files}
    paths = {_SPLITS[m["split"]] if m else "all": path for path, m in named.items()}
    paths = {split: paths[split] for split in (*_SPLITS.values(), "all") if split in paths}
    rows = {split: list(metaicl(path)) for split, path in paths.items()}
    every = [row for listed in rows.values() for row in listed]
    first = next(iter(named.values()))
    name = f"{first['task']}_{first['k']}_{first['seed']}" if first else files[0].stem
    task = first["task"] if first else files[0].stem
    type, labels = kind(every)
    cluster, lineage = kin(task)
    return [
        Draft(
            name=slug(f"metaicl_{name}"),
            layout=LAYOUT,
            files=paths,
            rows=rows,
            type=type,
            fields=_FIELDS[type],
            more={
                "cluster": cluster,
                "lineage": lineage,
                "answer_as": "text" if type == "MultipleChoice" else None,
            },
            labels=labels,
        ).found()
    ]
