"""Several tuned runs as one model: every example is answered by each run's tuning, all of them in
one batch on the one frozen backbone that they share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from formats.errors import ConfigError, RowError
from formats.examples import Answer, Example
from formats.instances import Raw
from formats.prompts import Prompt, default_prompt
from formats.store import StoredRow

from .. import build, runs
from ..answers import plain
from ..backbones.base import Partial
from ..devices import device_of
from ..unified import CHUNK, Result, Unified
from .bank import Bank


class InTurn:
    """A bank as the backbone of a :class:`~unify.unified.Unified`: row ``k`` of a chunk is answered
    by member ``k`` modulo their number."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank

    def __getattr__(self, name: str) -> Any:
        return getattr(self.bank.backbone, name)

    def eval(self) -> InTurn:
        return self

    def predict(self, rows: Sequence[StoredRow]) -> Iterator[Partial]:
        names = self.bank.names
        who = [names[row.row % len(names)] for row in rows]
        for found in self.bank.predict(rows, who):
            yield from found


class Several(Unified):
    """``origins`` are tuned runs of one backbone and one format, asked on ``device``. Raises
    ConfigError, RunError."""

    def __init__(self, origins: Sequence[str], device: str = "cpu") -> None:
        if not 1 < len(set(origins)) <= CHUNK:
            raise ConfigError("several runs, each once", got=list(origins),
                              expected=f"2 to {CHUNK} runs")  # fmt: skip
        folders = {origin: runs.find(origin) for origin in origins}
        formats = {origin: runs.read_config(f)["format"] for origin, f in folders.items()}
        first = formats[origins[0]]
        if any(f != first for f in formats.values()):
            raise ConfigError("runs of several formats", got=formats, expected="one format for all")
        places = {origin: f / runs.MODEL for origin, f in folders.items()}
        bank = Bank(places, device_of(device))
        super().__init__(InTurn(bank), build.build_format(first))  # type: ignore[arg-type]
        self.names = list(origins)

    def predict(
        self,
        examples: Iterable[Example],
        prompt: Prompt | Callable[[Example], Prompt] | None = None,
        refused: Callable[[Example, RowError], None] | None = None,
    ) -> Iterator[tuple[Example, Answer, list[Raw]]]:
        """As :meth:`Unified.predict`; each example comes once per run, in the order of names."""
        stream = iter(examples)
        while part := list(islice(stream, CHUNK // len(self.names))):
            yield from super().predict([e for e in part for _ in self.names], prompt, refused)

    def ask(self, example: Example, instruction: str | None = None) -> Result:
        """The answers of all runs, by their names."""
        over = {"instruction": instruction} if instruction else None
        prompt = default_prompt(example.kind, self.language, over)
        found = zip(self.names, self.predict([example], prompt), strict=True)
        return Result({name: plain(answer, example) for name, (_, answer, _) in found})
