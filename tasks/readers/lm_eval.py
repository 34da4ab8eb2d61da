"""Rows of a multiple-choice task of lm-evaluation-harness, by the templates of its YAML."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from formats.errors import DataError, RowError

from .documents import json_lines, load_json
from .tables import delimited

Row = Mapping[str, Any]
SUFFIXES = (".json", ".jsonl", ".csv", ".parquet")
_WHOLE = re.compile(r"\s*\{\{(.*)\}\}\s*", re.S)


@cache
def _environment() -> Any:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # Nothing of Python is within reach of a template that somebody else wrote.
    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)


def records(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a local data file, as ``datasets`` would load them."""
    if path.suffix == ".parquet":
        import pyarrow.parquet as parquet

        for batch in parquet.ParquetFile(path).iter_batches():
            yield from batch.to_pylist()
    elif path.suffix == ".jsonl":
        yield from json_lines(path)
    elif path.suffix == ".csv":
        yield from delimited(path)
    else:
        try:
            found = load_json(path, "utf-8")
        except DataError:  # lines in a file that is called .json
            yield from json_lines(path)
            return
        yield from found if isinstance(found, list) else [found]


def value(template: Any, row: Row) -> Any:
    """What ``template`` (a column's name, a Jinja text, or the value itself) is for ``row``."""
    if not isinstance(template, str):
        return template
    if template in row:
        return row[template]
    whole = _WHOLE.fullmatch(template)
    if whole is not None and "{{" not in whole[1] and "}}" not in whole[1]:
        return _environment().compile_expression(whole[1], undefined_to_none=False)(**row)
    return _environment().from_string(template).render(**row)


def made(row: Row, text: str, choices: Any, target: Any, before: str = "") -> dict[str, Any]:
    """``{question, options, answer}``: the prompt, the choices, and the place of the right one
    (-1 where there is none). Raises RowError for templates that fail on the row."""
    try:
        listed = value(choices, row)
        if isinstance(listed, str):
            listed = ast.literal_eval(listed)
        options = [str(c) for c in (listed.values() if isinstance(listed, Mapping) else listed)]
        gold = value(target, row)
        question = before + str(value(text, row))
    except RowError:
        raise
    except Exception as error:  # templates raise what they like
        problem = f"a template that fails: {type(error).__name__}: {error}"
        raise RowError(
            problem,
            got=json.dumps(dict(row), default=str)[:200],
            fix="repair the row, or train and evaluate with on_bad_row=skip",
        ) from None
    if isinstance(gold, str) and gold in options:
        gold = options.index(gold)
    if isinstance(gold, list):  # several right ones: none that is one
        gold = gold[0] if len(gold) == 1 else -1
    try:
        place = int(gold)
    except (TypeError, ValueError):
        place = -1
    return {"question": question, "options": options, "answer": place}


def lm_eval(
    path: Path, *, text: str, choices: Any, target: Any, before: str = ""
) -> Iterator[dict[str, Any]]:
    """Rows of the data file ``path``; ``text``, ``choices`` and ``target`` are the task's
    ``doc_to_text``, ``doc_to_choice`` and ``doc_to_target``, ``before`` its ``description``."""
    for number, record in enumerate(records(path)):
        try:
            yield made(record, text, choices, target, before)
        except RowError as error:
            raise error.at(file=str(path), row=number) from None
