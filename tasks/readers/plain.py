"""Plain text as rows of a task that needs no labels (:mod:`tasks.plain_text`)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from ._open import text_lines
from .joined import _has, _rows


def plain_text(
    path: Any,
    *,
    ask: str,
    reader: str | None = None,
    column: str = "text",
    seed: int = 0,
    encoding: str = "utf-8",
    **options: Any,
) -> Iterator[dict[str, Any]]:
    """The rows that ``ask`` makes of passages: of the paragraphs of a text file, which blank lines
    part, or of the different texts in ``column`` of the rows of another ``reader``.

    All passages are held in memory. See :func:`tasks.plain_text.rows`.
    """
    from ..plain_text import rows, sentences

    if reader is None:
        texts = list(paragraphs(path, encoding))
    else:
        texts = []
        for row in _rows(path, reader, options):
            _has(row, (column,), "format.column")
            texts.append(str(row[column]))
    yield from rows([sentences(text) for text in dict.fromkeys(texts)], ask, seed)


def paragraphs(path: Path, encoding: str = "utf-8") -> Iterator[str]:
    """Runs of lines that are not blank, each as one text."""
    lines = (line for _, line in text_lines(path, encoding))
    for filled, run in groupby(lines, key=lambda line: bool(line.strip())):
        if filled:
            yield " ".join(line.strip() for line in run)
