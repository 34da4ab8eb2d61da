"""Opening text files: encodings, byte order marks, gzip; line breaks are the newline alone."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from formats.errors import DataError


@contextmanager
def open_text(path: Path, encoding: str = "utf-8") -> Iterator[IO[str]]:
    """A text stream that keeps every line break as it is; a leading BOM is dropped.

    Raises DataError when the file is missing or not in ``encoding``.
    """
    # utf-8-sig also reads files without the mark.
    name = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
    try:
        opener: Any = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding=name, newline="\n") as stream:
            yield stream
    except FileNotFoundError:
        raise DataError("a missing file", file=str(path), expected="a readable file") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"a file that is not {encoding}",
            file=str(path),
            got=error.object[error.start :][:20],
            expected=f"text in {encoding}",
            fix="declare its encoding in the task's format",
        ) from None
    except (OSError, EOFError) as error:
        raise DataError(
            f"an unreadable file: {error}",
            file=str(path),
            expected="a whole, readable file",
            fix="fetch the file again",
        ) from None


def text_lines(path: Path, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """``(number from 1, line)`` without its line break (LF or CRLF).

    Lines end at "\\n" only: ``str.splitlines`` would also cut at U+2028, U+0085 and form feeds,
    which occur inside published sentences.
    """
    with open_text(path, encoding) as stream:
        for number, line in enumerate(stream, 1):
            yield number, line.removesuffix("\n").removesuffix("\r")
