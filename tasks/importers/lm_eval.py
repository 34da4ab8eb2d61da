"""lm-evaluation-harness: multiple-choice YAMLs over local data files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from formats.errors import DataError

from ..readers.lm_eval import SUFFIXES, made, records
from ._found import Draft, Found
from ._names import slug

LAYOUT = "lm_eval"
_SPLITS = {"train": "training_split", "validation": "validation_split", "test": "test_split"}
_NEEDED = ("doc_to_text", "doc_to_choice", "doc_to_target")


class _Loader(yaml.SafeLoader):
    """YAML whose ``!function`` becomes a text that says so, and is never called."""


_Loader.add_constructor("!function", lambda loader, node: _Function(str(node.value)))


class _Function(str):
    """The name of Python code that a YAML refers to."""


def sniff(path: Path) -> bool:
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        return False
    text = path.read_bytes()
    return b"doc_to_text" in text and b"dataset_path" in text


def _document(path: Path) -> dict[str, Any]:
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise DataError(
            "YAML that cannot be read",
            file=str(path),
            got=str(error)[:200],
            fix="mend the YAML, or leave the file out",
        ) from None
    if not isinstance(found, dict):
        raise DataError("a YAML that is no mapping", expected="key: value lines", file=str(path))
    base: dict[str, Any] = {}
    if isinstance(found.get("include"), str):
        base = _document(path.parent / found["include"])
    return {**base, **found}


def found(files: Sequence[Path]) -> list[Found]:
    """The YAML's task. Raises DataError for what it is asked in another way than by options, for
    Python code, and for rows that are not here."""
    (path,) = files
    read = _document(path)
    _check(read)
    data = _data(read, path)
    options = {
        "text": read["doc_to_text"],
        "choices": read["doc_to_choice"],
        "target": read["doc_to_target"],
    }
    if read.get("description"):
        options["before"] = read["description"]
    given = tuple(options.values())
    rows = {s: [made(row, *given) for row in records(file)] for s, file in data.items()}
    notes = [
        f"{key}: {read[key]}"
        for key in ("num_fewshot", "fewshot_split", "filter_list", "repeats")
        if read.get(key)
    ]
    name = str(read.get("task") or path.stem)
    return [
        Draft(
            name=slug(f"lm_eval_{name}"),
            layout=LAYOUT,
            files=data,
            rows=rows,
            type="MultipleChoice",
            fields={"question": "question", "options": "options", "answer": "answer"},
            more={
                "cluster": slug(name),
                "lineage": [slug(name)],
                "licence": str((read.get("metadata") or {}).get("licence", "")) or None,
                "answer_as": "index",
                "prompts": {
                    "instruction": "Choose the right option.",
                    "generate": ["{{ question }}"],
                    "only": True,
                },
            },
            notes=tuple(notes),
            options=options,
        ).found()
    ]


def _check(read: Mapping[str, Any]) -> None:
    kind = read.get("output_type", "generate_until")
    if kind != "multiple_choice":
        raise DataError("a task that is not asked by options", got=kind, expected="multiple_choice")
    for key in _NEEDED:
        if read.get(key) is None:
            raise DataError(f"no {key}", expected=f"{key}: …")
    for key in (*_NEEDED, "process_docs", "custom_dataset"):
        if isinstance(read.get(key), _Function):
            raise DataError(f"{key} is Python code", got=f"!function {read[key]}",
                            expected="a template or a column")  # fmt: skip
    delimiter = read.get("target_delimiter", " ")
    if delimiter != " ":
        raise DataError("options that do not follow a blank", got=delimiter, expected="' '")


def _data(read: Mapping[str, Any], path: Path) -> dict[str, Path]:
    """Split -> its local file."""
    kwargs = read.get("dataset_kwargs") or {}
    given = kwargs.get("data_files")
    if given is None:
        raise DataError("rows that are on the hub", got=read.get("dataset_path"),
                        expected="dataset_kwargs with data_files")  # fmt: skip
    named = dict(given) if isinstance(given, Mapping) else {"train": given}
    out: dict[str, Path] = {}
    for split, key in _SPLITS.items():
        theirs = read.get(key)
        if theirs is None or theirs not in named:
            continue
        files = named[theirs] if isinstance(named[theirs], list) else [named[theirs]]
        if len(files) != 1:
            raise DataError("a split of several files", got=files, expected="one file")
        places = [path.parent / str(files[0]), Path(str(files[0]))]
        file = next((p for p in places if p.is_file()), None)
        if file is None:
            raise DataError(
                "a data file that is not here",
                got=files[0],
                fix="fetch it, or leave the task out",
                split=split,
            )
        if file.suffix not in SUFFIXES:
            raise DataError("a data file of another kind", got=file.name, expected=str(SUFFIXES))
        out[split] = file
    if not out:
        raise DataError(
            "no split whose rows are here",
            got=sorted(named),
            fix="fetch the rows, or leave the task out",
        )
    return out
