"""Relations between two marked spans of a sentence: SemEval-2010 task 8 and FewRel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from formats.errors import DataError

from ._open import text_lines
from .documents import load_json
from .tagged import joined

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


def _mention(entity: Any, tokens: list[list[int]]) -> dict[str, int]:
    """The first mention of ``[name, id, [[token, …], …]]``, in characters."""
    places = entity[2][0]
    return {"start": tokens[places[0]][0], "end": tokens[places[-1]][1]}


def fewrel(path: Path, *, encoding: str = "utf-8") -> Iterator[dict[str, Any]]:
    """FewRel (Han et al. 2018): one object, relation -> list of ``{tokens, h, t}``.

    Yields ``{text, head, tail, label, head_id, tail_id, mentions}``; the text is the tokens
    joined by blanks, head and tail are the first mention of each, ``mentions`` how many there are.
    """
    document = load_json(path, encoding)
    row = -1
    try:
        for label, records in document.items():
            for record in records:
                row += 1
                text, tokens = joined(record["tokens"])
                head, tail = record["h"], record["t"]
                yield {
                    "text": text,
                    "head": _mention(head, tokens),
                    "tail": _mention(tail, tokens),
                    "label": label,
                    "head_id": head[1],
                    "tail_id": tail[1],
                    "mentions": len(head[2]) + len(tail[2]),
                }
    except (AttributeError, KeyError, IndexError, TypeError) as error:
        raise DataError(
            f"not in the FewRel layout: {error!r}",
            file=str(path),
            row=row,
            expected="{relation: [{tokens, h: [name, id, [[token, …]]], t: …}]}",
        ) from None
