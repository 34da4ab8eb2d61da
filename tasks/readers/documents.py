"""JSON: one document, one object per line, and the SQuAD layout."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from formats.errors import DataError

from ._open import open_text, text_lines
from ._unread import Unread, refused


def load_json(path: Path, encoding: str = "utf-8") -> Any:
    with open_text(path, encoding) as stream:
        try:
            return json.load(stream)
        except json.JSONDecodeError as error:
            raise DataError(
                f"not JSON: {error.msg}",
                file=str(path),
                line=error.lineno,
                expected="one document",
                fix="fetch the file again; a file of one object per line is format jsonl",
            ) from None


def _row(value: Any, columns: Sequence[str] | None, path: Path, row: int) -> dict[str, Any]:
    if isinstance(value, list) and columns and len(value) == len(columns):
        return dict(zip(columns, value, strict=True))
    if isinstance(value, dict):
        return value
    raise DataError(
        "a record that is no object",
        file=str(path),
        row=row,
        got=value,
        expected="a JSON object" + (f", or a list of {', '.join(columns)}" if columns else ""),
        fix="declare columns for records that are lists",
    )


def _unwound(row: dict[str, Any], paths: Sequence[str], path: Path) -> Iterator[dict[str, Any]]:
    """One row per item of the list at the first path, which its item replaces; so on inside."""
    if not paths:
        yield row
        return
    *outer, last = paths[0].split(".")
    home: Any = row
    for part in outer:
        home = home.get(part) if isinstance(home, dict) else None
    items = home.get(last) if isinstance(home, dict) else None
    if not isinstance(items, list):
        raise DataError(
            f"no list at {paths[0]!r}",
            file=str(path),
            got=items,
            expected="a list, which its items replace one after the other",
            fix="correct `unwind`",
        )
    for item in items:
        home[last] = item
        yield from _unwound(copy.deepcopy(row), paths[1:], path)


def _records(document: Any, records: str, path: Path) -> list[Any]:
    """The list at the dotted path ``records``."""
    found = document
    for part in filter(None, records.split(".")):
        if not isinstance(found, dict) or part not in found:
            raise DataError(
                f"no {records!r} in the document",
                file=str(path),
                got=type(found).__name__,
                expected=f"an object with the key {part!r}",
                fix="correct `records`",
            )
        found = found[part]
    if not isinstance(found, list):
        raise DataError(
            "the records are no list",
            file=str(path),
            got=type(found).__name__,
            expected="a JSON list",
            fix="name the list by `records`",
        )
    return found


def json_document(
    path: Path,
    *,
    records: str | Sequence[str] = "",
    columns: Sequence[str] | None = None,
    unwind: Sequence[str] = (),
    encoding: str = "utf-8",
) -> Iterator[dict[str, Any]]:
    """The records of one document.

    Args:
        records: dotted path to the list of records, or several, one after the other; empty when
            the document is the list.
        columns: names for records that are lists.
        unwind: see :func:`json_lines`.
    """
    document = load_json(path, encoding)
    number = 0
    for place in [records] if isinstance(records, str) else records:
        for value in _records(document, place, path):
            yield from _unwound(_row(value, columns, path, number), unwind, path)
            number += 1


def json_lines(
    path: Path,
    *,
    columns: Sequence[str] | None = None,
    unwind: Sequence[str] = (),
    encoding: str = "utf-8",
    unread: Unread = refused,
) -> Iterator[dict[str, Any]]:
    """One JSON object per line; blank lines are passed over.

    Args:
        unwind: dotted paths to lists within a record, outer ones first. Each item makes a row,
            in which it stands where the list stood.
    """
    for number, line in text_lines(path, encoding):
        if not line.strip():
            continue
        try:
            rows = list(_unwound(_row(_value(line), columns, path, number), unwind, path))
        except DataError as error:
            error.at(file=str(path), row=number)
            rows = [unread(error)]
        yield from rows


def _value(line: str) -> Any:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits
        raise DataError(
            f"not JSON: {error.msg if isinstance(error, json.JSONDecodeError) else error}",
            got=line,
            expected="one object per line",
            fix="mend that line, or fetch the file again",
        ) from None
    if "\\ud" in line or "\\uD" in line:  # only such escapes can be half of a pair
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise DataError(
                "half of a character",
                got=line,
                expected="whole Unicode characters: \\ud83d only before its other half",
                fix="mend that line, or fetch the file again",
            ) from None
    return value


def _squad_answers(qa: dict[str, Any]) -> list[dict[str, Any]] | None:
    """None where there is no gold: no list, or an empty one of a question that has an answer."""
    answers = qa.get("answers")
    if answers is None or (not answers and qa.get("is_impossible") is False):
        return None
    return [{"text": a["text"], "start": a["answer_start"]} for a in answers]


def squad(
    path: Path, *, keep: Sequence[str] = (), encoding: str = "utf-8"
) -> Iterator[dict[str, Any]]:
    """SQuAD 1.1 and 2.0 (Rajpurkar et al. 2016, 2018), also multi-span descendants.

    Yields ``{id, title, paragraph, context, question, answers: [{text, start}], impossible}``.
    Offsets are as published; whether they hold is checked where examples are made.

    Args:
        keep: further keys of the questions that become columns.
    """
    document = load_json(path, encoding)
    paragraph = -1
    try:
        for article in document["data"]:
            for part in article["paragraphs"]:
                paragraph += 1
                for qa in part["qas"]:
                    yield {
                        "id": str(qa.get("id", "")),
                        "title": article.get("title", ""),
                        "paragraph": paragraph,
                        "context": part["context"],
                        "question": qa["question"],
                        "answers": _squad_answers(qa),
                        "impossible": bool(qa.get("is_impossible", False)),
                        **{key: qa[key] for key in keep},
                    }
    except (KeyError, TypeError) as error:
        raise DataError(
            f"not in the SQuAD layout: {error}",
            file=str(path),
            paragraph=paragraph,
            expected="data / paragraphs / context, qas / question, answers / text, answer_start",
        ) from None
