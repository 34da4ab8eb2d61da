"""JSON: one document, one object per line, and the SQuAD layout."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from formats.errors import DataError

from ._open import open_text, text_lines


def _load(path: Path, encoding: str) -> Any:
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


def json_document(
    path: Path,
    *,
    records: str = "",
    columns: Sequence[str] | None = None,
    encoding: str = "utf-8",
) -> Iterator[dict[str, Any]]:
    """The records of one document.

    Args:
        records: dotted path to the list of records; empty when the document is the list.
        columns: names for records that are lists.
    """
    found = _load(path, encoding)
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
    for number, value in enumerate(found):
        yield _row(value, columns, path, number)


def json_lines(
    path: Path, *, columns: Sequence[str] | None = None, encoding: str = "utf-8"
) -> Iterator[dict[str, Any]]:
    """One JSON object per line; blank lines are passed over."""
    for number, line in text_lines(path, encoding):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(
                f"not JSON: {error.msg}",
                file=str(path),
                row=number,
                got=line,
                expected="one object per line",
                fix="fetch the file again",
            ) from None
        yield _row(value, columns, path, number)


def squad(path: Path, *, encoding: str = "utf-8") -> Iterator[dict[str, Any]]:
    """SQuAD 1.1 and 2.0 (Rajpurkar et al. 2016, 2018), also multi-span descendants.

    Yields ``{id, title, paragraph, context, question, answers: [{text, start}], impossible}``.
    Offsets are as published; whether they hold is checked where examples are made.
    """
    document = _load(path, encoding)
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
                        "answers": [
                            {"text": a["text"], "start": a["answer_start"]}
                            for a in qa.get("answers", [])
                        ],
                        "impossible": bool(qa.get("is_impossible", False)),
                    }
    except (KeyError, TypeError) as error:
        raise DataError(
            f"not in the SQuAD layout: {error}",
            file=str(path),
            paragraph=paragraph,
            expected="data / paragraphs / context, qas / question, answers / text, answer_start",
        ) from None
