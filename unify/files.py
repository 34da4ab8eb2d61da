"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def keep(folder: Path) -> None:
    """Has the operating system write down which files ``folder`` holds."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def beside(path: Path) -> Path:
    """Where ``path`` is written before it is renamed; no pattern of ours finds it."""
    return path.with_name(f".{path.name}.part")


def write_whole(path: Path, text: str) -> None:
    """Writes ``text`` beside ``path`` and renames it: whoever reads finds all of it, or what was
    there before. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = beside(path)
    # Several processes may write the same file at once: each beside it under a name of its own.
    part = part.with_name(f"{part.name}.{os.getpid()}")
    try:
        # A lone surrogate (half an emoji in a broken row) has no UTF-8 form.
        with part.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    keep(path.parent)
