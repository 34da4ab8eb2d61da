"""Tagged sentences: CoNLL columns, CoNLL-U, ``token:TAG`` lines, and tags in a file of their own.

All give ``{text, spans: [{start, end, type}], tokens: [[start, end]]}``; offsets count characters
of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from formats.errors import DataError

from ._open import text_lines
from .tables import parallel
from .tags import each_token, tags_to_spans, well_formed

# Only blanks and tabs part tokens; other white space (NBSP) may stand inside one.
_TOKEN = re.compile(r"[^ \t]+")


def spanned(
    text: str, tokens: Sequence[Sequence[int]], tags: Sequence[str], plain: bool
) -> dict[str, Any]:
    """A row: ``tags[i]`` is the tag of ``text[slice(*tokens[i])]``."""
    places = each_token(tags) if plain else tags_to_spans(tags)
    spans = [{"start": tokens[i][0], "end": tokens[j - 1][1], "type": t} for i, j, t in places]
    return {"text": text, "spans": spans, "tokens": [list(t) for t in tokens]}


def joined(words: Sequence[str], joiner: str = " ") -> tuple[str, list[list[int]]]:
    """The text of ``words`` and the place of each."""
    places: list[list[int]] = []
    at = 0
    for word in words:
        places.append([at, at + len(word)])
        at += len(word) + len(joiner)
    return joiner.join(words), places


def _check(tag: str, plain: bool, path: Path, line: int) -> None:
    if plain or well_formed(tag):
        return
    raise DataError(
        "a tag that is neither O nor a mark and a type",
        file=str(path),
        row=line,
        got=tag,
        expected="IOB1, IOB2, BIOES, BMES or BILOU tags",
        fix="declare the tag's column, or plain: true for one tag per token (parts of speech)",
    )


def conll(
    path: Path,
    *,
    token: int = 0,
    tag: int = -1,
    plain: bool = False,
    delimiter: str | None = None,
    joiner: str = " ",
    document: str = "-DOCSTART-",
    bare: str | None = None,
    encoding: str = "utf-8",
) -> Iterator[dict[str, Any]]:
    """Sentences of token lines in two or more columns, parted by blank lines.

    Args:
        token, tag: column numbers; negative ones count from the right.
        plain: whether each token has a tag of its own (parts of speech) and borders are not
            marked; otherwise tags are read by :func:`~tasks.readers.tags.tags_to_spans`.
        delimiter: what parts columns; None is blanks and tabs.
        joiner: what stands between tokens in the text.
        document: first token of the lines that open a document; such lines are no sentence.
        bare: pattern whose first group is the token, where files write more beside it.
    """
    words: list[str] = []
    tags: list[str] = []
    for number, line in text_lines(path, encoding):
        cells = line.split(delimiter) if delimiter else _TOKEN.findall(line)
        if not line.strip():
            if words:
                yield spanned(*joined(words, joiner), tags, plain)
                words, tags = [], []
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
        _check(cells[tag], plain, path, number)
        word = cells[token]
        if bare is not None:
            found = re.fullmatch(bare, word)
            if found is None:
                raise DataError(
                    "a token of another form",
                    file=str(path),
                    row=number,
                    got=word,
                    expected=f"a match of {bare}",
                    fix="correct `bare`, or the file",
                )
            word = found[1]
        words.append(word)
        tags.append(cells[tag])
    if words:
        yield spanned(*joined(words, joiner), tags, plain)


def token_tags(
    path: Path, *, sign: str = ":", end: str = " <=> ", plain: bool = False, encoding: str = "utf-8"
) -> Iterator[dict[str, Any]]:
    """One sentence per line, ``token:TAG token:TAG``; blank lines are passed over.

    Args:
        sign: what parts a token from its tag; the last one counts, tokens may hold others.
        end: what follows, and from where on the line is a label of the sentence (``label``).
    """
    for number, line in text_lines(path, encoding):
        if not line.strip():
            continue
        sentence, _, label = line.partition(end)
        words: list[str] = []
        tags: list[str] = []
        for item in _TOKEN.findall(sentence):
            word, found, tag = item.rpartition(sign)
            if not found or not word:
                raise DataError(
                    "a token without a tag",
                    file=str(path),
                    row=number,
                    got=item,
                    expected=f"token{sign}TAG",
                    fix="correct `sign`, or the file",
                )
            _check(tag, plain, path, number)
            words.append(word)
            tags.append(tag)
        yield {**spanned(*joined(words), tags, plain), "label": label}


def parallel_tags(
    files: Mapping[str, Path],
    *,
    text: str = "text",
    tags: str = "tags",
    plain: bool = False,
    encoding: str = "utf-8",
) -> Iterator[dict[str, Any]]:
    """Parallel line files of which one holds sentences and another their tags, one per token.

    The text stays as published but for blanks at its ends. Further files are columns of their
    own, without blanks at their ends.

    Args:
        text, tags: which of ``files`` hold what.
    """
    for number, cells in enumerate(parallel(files, encoding=encoding), 1):
        row = {column: str(cell).strip(" \t") for column, cell in cells.items()}
        sentence, names = row.pop(text), row.pop(tags).split()
        tokens = [list(m.span()) for m in _TOKEN.finditer(sentence)]
        if len(tokens) != len(names):
            raise DataError(
                f"{len(names)} tags for {len(tokens)} tokens",
                file=str(files[tags]),
                row=number,
                got=" ".join(names),
                expected="one tag per token, parted by blanks",
                fix="fetch the files again",
            )
        for name in names:
            _check(name, plain, files[tags], number)
        yield {**spanned(sentence, tokens, names, plain), **row}
