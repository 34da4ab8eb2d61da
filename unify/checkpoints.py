"""Checkpoint files: written beside and renamed, with a checksum; a torn one is told apart.

``step-<n>.ckpt`` has ``step-<n>.sha256`` beside it, in the form that ``sha256sum -c`` reads. The
checksum is in place before the checkpoint is: one without the other was never finished.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from pathlib import Path
from typing import Any, BinaryIO

import torch
from lightning_fabric.plugins.io.checkpoint_io import CheckpointIO

from .files import beside, keep, write_whole
from .progress import say

_NAME = re.compile(r"step-(\d+)\.ckpt")
_PART = 1 << 20  # bytes read at a time


class _Hashing:
    """A file for writing that sums up what it is given, and remembers why it failed."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.sum = file, hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        try:
            done = 0
            while done < len(view):
                done += self.file.write(view[done:])
        except OSError as error:  # torch turns it into an error that no longer says why
            self.error = error
            raise
        self.sum.update(view)
        return len(view)

    def flush(self) -> None:
        self.file.flush()


def write(checkpoint: dict[str, Any], path: Path) -> None:
    """Writes ``checkpoint`` to ``path`` whole. Raises OSError; nothing half-written stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = beside(path)
    try:
        with part.open("wb", buffering=0) as raw:
            sink = _Hashing(raw)  # type: ignore[arg-type]
            try:
                torch.save(checkpoint, sink)  # type: ignore[arg-type]
            except RuntimeError:
                if sink.error is not None:
                    raise sink.error from None
                raise
            os.fsync(raw.fileno())
        write_whole(_sum_of(path), f"{sink.sum.hexdigest()}  {path.name}\n")
        os.replace(part, path)
        keep(path.parent)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def _sum_of(path: Path) -> Path:
    return path.with_suffix(".sha256")


def torn(path: Path) -> str | None:
    """Why ``path`` is no checkpoint that was written to its end; None where it is one."""
    try:
        expected = _sum_of(path).read_text(encoding="utf-8").split()[:1]
        found = hashlib.sha256()
        with path.open("rb") as file:
            while part := file.read(_PART):
                found.update(part)
    except (OSError, ValueError) as error:
        return f"it cannot be read: {error}"
    return None if [found.hexdigest()] == expected else "it differs from its checksum"


def listed(folder: Path) -> list[Path]:
    """The checkpoints in ``folder``, newest step first; none of them looked into."""
    found = {int(m[1]): p for p in folder.glob("step-*.ckpt") if (m := _NAME.fullmatch(p.name))}
    return [found[step] for step in sorted(found, reverse=True)]


def newest(folder: Path) -> Path | None:
    """The newest whole checkpoint in ``folder``; torn ones are named on stderr."""
    for path in listed(folder):
        why = torn(path)
        if why is None:
            return path
        say(f"{path}: a torn checkpoint is left out: {why}")
    return None


def step_of(path: Path | None) -> int:
    """The optimizer step that a checkpoint stands behind; 0 without one."""
    match = _NAME.fullmatch(path.name) if path else None
    return int(match[1]) if match else 0


def remove(path: Path) -> None:
    """Removes a checkpoint and its checksum."""
    path.unlink(missing_ok=True)
    _sum_of(path).unlink(missing_ok=True)


def prune(folder: Path, most: int, step: int) -> None:
    """Leaves the ``most`` newest checkpoints up to ``step``, which was just written. One of a later
    step was torn when training went on before it, and would push out a whole one."""
    found = listed(folder)
    up_to = [path for path in found if step_of(path) <= step]
    for path in {*found} - {*up_to[:most]}:
        remove(path)


class WholeCheckpoints(CheckpointIO):
    """How Lightning writes and reads checkpoints here: whole, and plain values only.

    A disk that is full does not raise, so that no rank waits for one that left: ``error`` says it.
    """

    def __init__(self) -> None:
        self.error: OSError | None = None

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        self.error = None
        try:
            write(checkpoint, Path(path))
        except OSError as error:
            self.error = error

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        found = torch.load(path, map_location=map_location or "cpu", weights_only=True)
        return found  # type: ignore[no-any-return]

    def remove_checkpoint(self, path: Any) -> None:
        remove(Path(path))
