"""Rows of an evaluation kept as they come: a killed one continues behind the last row it wrote."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from formats.errors import RunError
from formats.examples import Example, matches
from tasks.metrics import Record

from .answers import answer_of, gold, plain

if TYPE_CHECKING:
    from .backbones import Backbone

STATE = ".state.json"
# Packages whose code shapes a row.
_SHAPING = ("backbones", "data", "scoring", "demonstrations", "tuning")
_FILES = (
    "answers.py",
    "calibrated.py",
    "diagnosis.py",
    "evaluation.py",
    "few_settings.py",
    "few_shot.py",
    "kept.py",
    "means.py",
    "measured.py",
    "predicting.py",
    "ranking.py",
    "ranks.py",
    "results.py",
    "ways.py",
)


def written(record: Record) -> dict[str, Any]:
    """A row of the predictions file; ``scores`` and ``group`` only where there are any."""
    example, answer = record.example, record.answer
    row = {
        "id": example.id,
        "answer": plain(answer, example),
        "gold": gold(example),
        "right": matches(example, answer),
    }
    if record.scores is not None:
        row["scores"] = [float(f"{s:.6g}") for s in record.scores]
    if record.group is not None:
        row["group"] = record.group
    return row


def restored(examples: Iterable[Example], rows: Iterable[Mapping[str, Any]]) -> Iterator[Record]:
    """The records that ``rows`` were written of; both in the order of the split.

    Raises RunError for a row whose example is not there.
    """
    found = iter(examples)
    for row in rows:
        example = next((e for e in found if e.id == row["id"]), None)
        if example is None:
            raise RunError(
                "a kept row that is not among the task's rows",
                fix="delete the predictions file and evaluate again",
                row=row["id"],
            )
        scores = row.get("scores")
        answer = answer_of(row["answer"], example)
        yield Record(example, answer, tuple(scores) if scores else None, row.get("group"))


def whole_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The rows of a predictions file up to the first that is torn, and their length in bytes."""
    rows: list[dict[str, Any]] = []
    size = 0
    if not path.exists():
        return rows, size
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            row = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            row = None
        if not isinstance(row, dict) or not {"id", "answer", "gold", "right"} <= set(row):
            break
        rows.append(row)
        size += len(line)
    return rows, size


@dataclass(frozen=True)
class Kept:
    """One task's predictions file and, beside it, what they are predictions of.

    Attributes:
        path: ``<task>.jsonl``.
        rows_of: digest of all that shapes a row: weights, task, format, demonstrations, code.
        result_of: digest of what shapes the result besides: metrics, resamples, seed.
    """

    path: Path
    rows_of: str
    result_of: str

    @property
    def state_path(self) -> Path:
        return self.path.with_suffix(STATE)

    def _state(self) -> dict[str, Any]:
        try:
            state = json.loads(self.state_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        known = isinstance(state, dict) and state.get("rows_of") == self.rows_of
        return state if known and self.path.exists() else {}

    def _write_state(self, result: Mapping[str, Any] | None) -> None:
        state = {"rows_of": self.rows_of, "result_of": self.result_of, "result": result}
        beside = self.state_path.with_suffix(".tmp")
        beside.write_text(json.dumps(state, ensure_ascii=True), encoding="utf-8")
        os.replace(beside, self.state_path)

    def result(self) -> dict[str, Any] | None:
        """What :meth:`finish` was given, if it is of the same rows and settings."""
        state = self._state()
        if state.get("result_of") != self.result_of:
            return None
        found: dict[str, Any] | None = state.get("result")
        return found

    def begin(self) -> list[dict[str, Any]]:
        """Rows of an earlier start, none of them torn; the file then holds them and no more. Rows
        of other weights, tasks or settings are dropped."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        rows: list[dict[str, Any]] = []
        size = 0
        if self._state():
            rows, size = whole_lines(self.path)
        else:
            if stale := len(whole_lines(self.path)[0]):
                said = f"{stale} kept rows are of other weights, data, settings or code"
                print(f"{self.path.stem}: {said}; computed anew", file=sys.stderr)
            # Before the rows: at no moment do rows stand beside an identity not their own.
            self.state_path.unlink(missing_ok=True)
        with self.path.open("ab") as file:
            file.truncate(size)
        self._write_state(None)
        return rows

    def rewrite(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Puts ``rows`` in place of those that are there."""
        Kept.begin(self)
        beside = self.path.with_suffix(".tmp")
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        beside.write_text("".join(lines), encoding="utf-8", errors="backslashreplace")
        os.replace(beside, self.path)

    def append(self) -> Any:
        """The open file; each line is flushed as it comes."""
        # Half an emoji of a broken row has no UTF-8 form; escaped, it is still JSON.
        return self.path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Marks the task as finished."""
        self._write_state(result)


def digest(*parts: object) -> str:
    """A short digest of what ``repr`` tells."""
    return hashlib.sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest()[:24]


@cache
def code() -> str:
    """A digest of the code between features and rows."""
    here, made = Path(__file__).parent, hashlib.sha256()
    folders = (p for name in _SHAPING for p in sorted((here / name).rglob("*.py")))
    for path in (*folders, *(here / name for name in _FILES)):
        made.update(path.read_bytes())
    return made.hexdigest()[:12]


def weights(backbone: Backbone) -> str:
    """A digest of the backbone's kind, configuration and every tensor."""
    import torch

    config = getattr(backbone.model, "config", None)
    made = hashlib.blake2b(digest_size=12)
    head = backbone.head_options()
    made.update(repr((backbone.name, sorted(head.items()), str(config))).encode())
    for name, value in sorted(backbone.state_dict().items()):
        if not isinstance(value, torch.Tensor):
            made.update(repr((name, value)).encode())
            continue
        tensor = value.detach().cpu().contiguous()
        made.update(repr((name, tensor.dtype, tuple(tensor.shape))).encode())
        made.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return made.hexdigest()
