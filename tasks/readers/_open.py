"""Opening files: encodings, byte order marks, gzip, zip; line breaks are the newline alone."""

from __future__ import annotations

import codecs
import gzip
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from formats.errors import DataError


def on_disk(path: Path) -> Path:
    """The file that holds ``path``: itself, or the zip archive above it (``a.zip/folder/file``)."""
    if not path.is_file():
        for parent in path.parents:
            if parent.suffix == ".zip" and parent.is_file():
                return parent
    return path


def _member(archive: Path, path: Path) -> bytes:
    """The bytes of ``path``, which lies inside ``archive``."""
    name = path.relative_to(archive).as_posix()
    with zipfile.ZipFile(archive) as files:
        try:
            return files.read(name)
        except KeyError:
            held = [n for n in files.namelist() if not n.endswith("/")]
            raise DataError(
                f"no {name!r} in the archive",
                file=str(archive),
                got=", ".join(held[:8]) + (" …" if len(held) > 8 else ""),
                expected="a file that the archive holds",
                fix="correct the part of the path after the archive's name",
            ) from None


def _stream(path: Path) -> Any:
    archive = on_disk(path)
    opener: Any = gzip.open if path.suffix == ".gz" else open
    if archive == path:
        return opener(path, "rb")
    inner = io.BytesIO(_member(archive, path))
    return gzip.GzipFile(fileobj=inner) if path.suffix == ".gz" else inner


@contextmanager
def open_text(path: Path, encoding: str = "utf-8") -> Iterator[IO[str]]:
    """A text stream that keeps every line break as it is; a leading BOM is dropped.

    ``path`` may end in ``.gz``, and may lie inside a zip archive (``archive.zip/folder/file``).

    Raises DataError when the file is missing or not in ``encoding``.
    """
    try:
        known = codecs.lookup(encoding).name
    except LookupError:
        raise DataError(
            f"no encoding {encoding!r}",
            file=str(path),
            expected="an encoding that Python knows, such as utf-8, latin-1 or gb18030",
            fix="correct the encoding in the task's format",
        ) from None
    name = "utf-8-sig" if known == "utf-8" else known  # it also reads files without the mark
    try:
        with _stream(path) as raw, io.TextIOWrapper(raw, name, newline="\n") as stream:
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
    except (OSError, EOFError, zipfile.BadZipFile) as error:
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
