"""LogiQA (Liu et al. 2020): examination questions as blocks of eight lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from formats.errors import DataError

from ._open import text_lines

_LINES = 8
_LETTERS = "ABCD"
# "A.text"; a few published lines have a blank or a question mark where the full stop should be.
_OPTION = re.compile(r"([A-D])(?:[.?]\s*|\s+)(.*)")


def _by_letter(lines: list[str]) -> tuple[list[str], str]:
    """The four options in the order of their letters, without them; and the order of the file.

    Published blocks also list them as A, C, B, D; the answer names the letter, not the place. A
    line without a letter ("-" in the order) is the first that no line claims, and a letter that
    is claimed twice makes every line stand for its place.
    """
    found = [_OPTION.fullmatch(line) for line in lines]
    letters = [match[1] if match else "" for match in found]
    texts = [match[2] if match else line for match, line in zip(found, lines, strict=True)]
    order = "".join(letter or "-" for letter in letters)
    free = [letter for letter in _LETTERS if letter not in letters]
    if len(free) != letters.count(""):
        return texts, order
    letters = [letter or free.pop(0) for letter in letters]
    return [text for _, text in sorted(zip(letters, texts, strict=True))], order


def logiqa_blocks(path: Path, *, encoding: str = "utf-8") -> Iterator[dict[str, Any]]:
    """Blocks of a blank line, the answer's letter, the context, the question and four options.

    Yields ``{answer, context, question, options, order}``: the options in the order of their
    letters, and the letters in the order of the file.
    """
    stream = text_lines(path, encoding)
    while block := list(islice(stream, _LINES)):
        lines = [line.strip() for _, line in block]
        if not any(lines):
            continue  # blank lines at the end
        if len(lines) != _LINES or lines[0] or lines[1].upper() not in tuple(_LETTERS):
            raise DataError(
                "a block of another layout",
                file=str(path),
                row=block[0][0],
                got=lines[:2],
                expected="a blank line, a letter from a to d, context, question, four options",
            )
        options, order = _by_letter(lines[4:])
        yield {
            "answer": lines[1],
            "context": lines[2],
            "question": lines[3],
            "options": options,
            "order": order,
        }
