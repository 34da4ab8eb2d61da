"""Layouts in which a row spans several lines: CoNLL columns and SemEval-2010 task 8."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from formats.errors import DataError

from ._open import text_lines


def tags_to_spans(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """IOB1 or IOB2 tags to ``(first token, token after the last, type)``.

    ``B-`` always opens a span; ``I-`` opens one where no span of its type is open. That is IOB1
    (Ramshaw and Marcus 1995), and on well-formed IOB2 it gives the IOB2 reading.
    """
    spans: list[tuple[int, int, str]] = []
    opened, kind = 0, ""
    for i, tag in enumerate([*tags, "O"]):
        mark, _, name = tag.partition("-")
        if kind and (mark != "I" or name != kind):
            spans.append((opened, i, kind))
            kind = ""
        if mark in ("B", "I") and not kind:
            opened, kind = i, name
    return spans


def _sentence(rows: list[list[str]], token: int, tag: int, joiner: str) -> dict[str, Any]:
    tokens: list[list[int]] = []
    at = 0
    for cells in rows:
        tokens.append([at, at + len(cells[token])])
        at += len(cells[token]) + len(joiner)
    spans = [
        {"start": tokens[i][0], "end": tokens[j - 1][1], "type": kind}
        for i, j, kind in tags_to_spans([cells[tag] for cells in rows])
    ]
    return {"text": joiner.join(c[token] for c in rows), "spans": spans, "tokens": tokens}


def conll(
    path: Path,
    *,
    token: int = 0,
    tag: int = -1,
    delimiter: str | None = None,
    joiner: str = " ",
    document: str = "-DOCSTART-",
    encoding: str = "utf-8",
) -> Iterator[dict[str, Any]]:
    """Sentences of token lines, parted by blank lines.

    Yields ``{text, spans: [{start, end, type}], tokens: [[start, end]]}``; offsets count
    characters of the tokens joined by ``joiner``.

    Args:
        token, tag: column numbers; negative ones count from the right.
        delimiter: what parts columns; None is any white space.
        document: first token of the lines that open a document; such lines are no sentence.
    """
    rows: list[list[str]] = []
    for number, line in text_lines(path, encoding):
        # Only blanks and tabs part columns; other white space (NBSP) may stand inside a token.
        cells = line.split(delimiter) if delimiter else re.split(r"[ \t]+", line.strip(" \t"))
        if not line.strip():
            if rows:
                yield _sentence(rows, token, tag, joiner)
                rows = []
            continue
        if cells[0] == document:
            continue
        if len(cells) < 2 or not -len(cells) <= tag < len(cells) or not cells[token]:
            raise DataError(
                "a token line without a tag",
                file=str(path),
                row=number,
                got=line,
                expected="columns of a token and its tag",
                fix="declare token, tag or delimiter",
            )
        if cells[tag] != "O" and not re.match(r"[BI]-.", cells[tag]):
            raise DataError(
                "a tag that is neither O nor B- or I- with a type",
                file=str(path),
                row=number,
                got=cells[tag],
                expected="IOB1 or IOB2 tags",
                fix="declare the tag's column",
            )
        rows.append(cells)
    if rows:
        yield _sentence(rows, token, tag, joiner)


_MARKS = re.compile(r"</?e[12]>")


def semeval_relations(path: Path, *, encoding: str = "utf-8") -> Iterator[dict[str, Any]]:
    """SemEval-2010 task 8 (Hendrickx et al. 2010): blocks of sentence, relation, comment, blank.

    Yields ``{id, text, head, tail, label}``; head is <e1>, tail <e2>, and offsets count characters
    of the text without marks.
    """
    block: list[str] = []
    opened = 1

    def row() -> dict[str, Any]:
        found = re.fullmatch(r'(\d+)\t"(.*)"', block[0].strip())
        if found is None or len(block) < 2:
            raise DataError(
                "a block of another layout",
                file=str(path),
                row=opened,
                got=block[0],
                expected="a number, a tab and a quoted sentence; then the relation",
            )
        text, places, at = "", dict[str, int](), 0
        for mark in _MARKS.finditer(found[2]):
            text += found[2][at : mark.start()]
            places[mark.group()] = len(text)
            at = mark.end()
        text += found[2][at:]
        if len(places) != 4:
            raise DataError(
                "a sentence without both marks",
                file=str(path),
                row=opened,
                got=block[0],
                expected="<e1>…</e1> and <e2>…</e2>",
            )
        return {
            "id": found[1],
            "text": text,
            "head": {"start": places["<e1>"], "end": places["</e1>"]},
            "tail": {"start": places["<e2>"], "end": places["</e2>"]},
            "label": block[1].strip(),
        }

    for number, line in text_lines(path, encoding):
        if line.strip():
            if not block:
                opened = number
            block.append(line)
        elif block:
            yield row()
            block = []
    if block:
        yield row()
