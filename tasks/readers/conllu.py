"""CoNLL-U (Universal Dependencies): sentences with their own text, and words inside tokens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from formats.errors import DataError

from ._open import text_lines

_COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")


class _Sentence:
    """The lines of one sentence; ``at`` is where the next token is looked for in the text."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text: str | None = None
        self.lines: list[tuple[int, list[str]]] = []

    def _written(self) -> str:
        """The text of a sentence that does not give it: forms, with blanks unless forbidden."""
        out, covered = "", 0
        for _, cells in self.lines:
            low, _, high = cells[0].partition("-")
            if int(low) <= covered:
                continue
            covered = int(high or low)
            out += cells[1] + ("" if "SpaceAfter=No" in cells[9].split("|") else " ")
        return out.strip()

    def _find(self, form: str, at: int, number: int, text: str) -> tuple[int, int]:
        while text[at : at + 1].isspace():
            at += 1
        if not text.startswith(form, at):
            raise DataError(
                "a token that does not stand in its sentence's text",
                file=str(self.path),
                row=number,
                got=form,
                expected=text[at : at + 40],
                fix="fetch the file again",
            )
        return at, at + len(form)

    def row(self, tag: int) -> dict[str, Any]:
        text = self._written() if self.text is None else self.text
        tokens: list[list[int]] = []
        spans: list[dict[str, Any]] = []
        at, place, parts = 0, (0, 0), 0  # parts: how many words of a token are still to come
        apart = False  # whether each of them has its own characters
        for i, (number, cells) in enumerate(self.lines):
            low, dash, high = cells[0].partition("-")
            if dash:
                place = self._find(cells[1], at, number, text)
                at, parts = place[1], int(high) - int(low) + 1
                words = [c[1] for _, c in self.lines[i + 1 : i + 1 + parts]]
                apart = "".join(words) == cells[1]
                if apart:
                    at = place[0]
                else:
                    tokens.append(list(place))
                continue
            if parts == 0 or apart:
                place = self._find(cells[1], at, number, text)
                at = place[1]
                tokens.append(list(place))
            parts = max(0, parts - 1)
            span = {"start": place[0], "end": place[1], "type": cells[tag]}
            if span not in spans[-1:]:  # two words of one token may have one tag
                spans.append(span)
        return {"text": text, "spans": spans, "tokens": tokens}


def conllu(path: Path, *, tag: str = "upos", encoding: str = "utf-8") -> Iterator[dict[str, Any]]:
    """Sentences of the CoNLL-U format (Nivre et al. 2016, 2020), one tagged span per word.

    Yields ``{id, text, spans: [{start, end, type}], tokens: [[start, end]]}``. The text is that of
    the ``# text`` line. Tokens are the syntactic words, at their places in it. Where the words of
    a multiword token (id ``1-2``) spell it one after the other (*don't* = *do* + *n't*), each has
    its own characters; where they do not (French *du* = *de* + *le*), each word's tag stands on
    the whole token. Empty words (id ``8.1``) are not written and are left out.

    Args:
        tag: the column that is the tag: upos, xpos, deprel …
    """
    column = _COLUMNS.index(tag)
    name, sentence = "", None
    for number, line in text_lines(path, encoding):
        if not line.strip():
            if sentence is not None and sentence.lines:
                yield {"id": name, **sentence.row(column)}
            name, sentence = "", None
            continue
        sentence = sentence or _Sentence(path)
        if line.startswith("#"):
            key, _, value = line[1:].partition("=")
            if key.strip() == "text":
                sentence.text = value.strip()
            elif key.strip() == "sent_id":
                name = value.strip()
            continue
        cells = line.split("\t")
        if len(cells) != len(_COLUMNS) or not cells[0][:1].isdecimal():
            raise DataError(
                "a word line of another layout",
                file=str(path),
                row=number,
                got=line,
                expected=f"an id and {len(_COLUMNS)} columns parted by tabs",
                fix="read it as conll, or fetch it again",
            )
        if "." not in cells[0]:
            sentence.lines.append((number, cells))
    if sentence is not None and sentence.lines:
        yield {"id": name, **sentence.row(column)}
