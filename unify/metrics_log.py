"""The metrics of a run as a CSV file that a resumed run goes on writing, no step twice."""

from __future__ import annotations

import csv
import io
import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities import rank_zero_only

from .files import write_whole
from .progress import say


class MetricsLog(Logger):
    """``path``: a line per logged step, a column per metric, sorted; empty where a step has none.

    What cannot be written (a full disk) waits in memory, and is written with the next lines.
    """

    def __init__(self, path: Path, often: int = 100) -> None:
        super().__init__()
        self.path, self.often = path, often
        self._columns: list[str] = []
        self._waiting: list[dict[str, Any]] = []
        self._written = 0
        self._begun = self._failing = False

    name = "csv"
    version = ""

    @property
    def rows(self) -> int:
        """Lines logged so far, those of earlier starts included."""
        return self._written + len(self._waiting)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *rest: Any, **more: Any) -> None:
        """Nothing: the run folder holds its configuration."""

    def go_on(self, rows: int) -> None:
        """Keeps the first ``rows`` lines of the file that is there, as a checkpoint counted them.
        """
        kept: list[dict[str, Any]] = []
        if self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                kept = [dict(row) for row in reader][:rows]
                self._columns = list(reader.fieldnames or ()) if kept else []
        if len(kept) < rows:
            say(f"{self.path}: {rows - len(kept)} lines of it are lost")
        self._write_anew(kept)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._waiting.append({**metrics, "step": step})
        if len(self._waiting) >= self.often:
            self.save()

    @rank_zero_only
    def save(self) -> None:
        if not self._waiting:
            return
        try:
            self._append()
            self._failing = False
        except OSError as error:
            if not self._failing:
                say(f"{self.path}: {error}; its lines wait in memory")
            self._failing = True

    @rank_zero_only
    def finalize(self, status: str) -> None:
        self.save()

    def _append(self) -> None:
        new = set().union(*self._waiting) - set(self._columns)
        if new or not self._begun:
            kept: list[dict[str, Any]] = []
            if self._begun:
                with self.path.open(newline="", encoding="utf-8") as file:
                    kept = [dict(row) for row in csv.DictReader(file)]
            before, self._columns = self._columns, sorted({*self._columns, *new})
            try:
                self._write_anew(kept + self._waiting)
            except OSError:
                self._columns = before
                raise
            self._waiting = []
            return
        data = self._text(self._waiting).encode()
        with self.path.open("ab", buffering=0) as file:
            end = file.tell()
            try:
                while data:
                    data = data[file.write(data) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise
        self._written += len(self._waiting)
        self._waiting = []

    def _text(self, rows: list[dict[str, Any]], header: bool = False) -> str:
        text = io.StringIO()
        writer = csv.DictWriter(text, self._columns, lineterminator="\n")
        if header:
            writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    def _write_anew(self, rows: list[dict[str, Any]]) -> None:
        write_whole(self.path, self._text(rows, header=bool(self._columns)))
        self._written, self._begun = len(rows), True
