"""Rows of a multiple-choice task of lm-evaluation-harness, by the templates of its YAML."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from formats.errors import DataError, RowError

from .documents import json_lines, load_json
from .tables import delimited

Row = Mapping[str, Any]
SUFFIXES = (".json", ".jsonl", ".csv", ".parquet")


@cache
def _environment() -> Any:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # Nothing of Python is within reach of a template that somebody else wrote.
    made = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    made.filters["regex_replace"] = lambda text, pattern, repl, count=0: re.sub(
        pattern, repl, text, count=count
    )
    return made


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
    return row[template] if template in row else _environment().from_string(template).render(**row)


def _read(template: Any, row: Row) -> Any:
    """As :func:`value`; digits that a template writes are a number, as lm-eval reads them."""
    found = value(template, row)
    written = isinstance(template, str) and template not in row
    return ast.literal_eval(found) if written and found.isdigit() else found


def _gold(template: Any, row: Row) -> Any:
    """The target: a place, an option, or several of them."""
    found = _read(template, row)
    if isinstance(found, str) and template not in row and re.fullmatch(r"\[.*\]", found, re.S):
        with suppress(SyntaxError, ValueError):
            found = ast.literal_eval(found)
    if isinstance(found, list):  # several right ones: none that is one
        return found[0] if len(found) == 1 else -1
    return found


def made(row: Row, text: str, choices: Any, target: Any, before: str = "") -> dict[str, Any]:
    """``{question, options, answer}``: the prompt, the choices, and the place of the right one
    (-1 where there is none). Raises RowError for templates that fail on the row, and for a prompt
    that is a number: each option then has a prompt of its own."""
    try:
        listed = value(choices, row)
        if isinstance(listed, str):
            listed = ast.literal_eval(listed)
        options = [str(c) for c in (listed.values() if isinstance(listed, Mapping) else listed)]
        gold = _gold(target, row)
        asked, before = _read(text, row), str(value(before, row))
    except RowError:
        raise
    except Exception as error:  # templates raise what they like
        problem = f"a template that fails: {type(error).__name__}: {error}"
        raise RowError(
            problem,
            got=json.dumps(dict(row), default=str)[:200],
            fix="repair the row, or train and evaluate with on_bad_row=skip",
        ) from None
    if not isinstance(asked, str):
        raise RowError(
            "a prompt that is no text",
            got=asked,
            expected="one text before all options",
            fix="leave the task out: its options stand before what they are asked for",
        )
    if isinstance(gold, str) and gold in options:
        gold = options.index(gold)
    try:  # the numbers of a CSV are texts
        place = int(gold)
    except (TypeError, ValueError):
        place = -1
    return {"question": before + asked, "options": options, "answer": place}


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
