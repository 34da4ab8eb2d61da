"""Results by slot: one per scored token, requests one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from ._logits import Picked, pick
from .requests import Coded


class Slots:
    """Log-probabilities as they come, in whatever order.

    What a pass gave stays on its device until somebody reads: an accelerator computes on while the
    next pass is laid out."""

    def __init__(self, coded: Sequence[Coded]) -> None:
        self.lengths = [len(c.ids) - c.begin for c in coded]
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)]).tolist()
        self._logprob = np.full(self.starts[-1], np.nan)
        self._first = np.zeros(self.starts[-1], bool)
        self._waiting: list[tuple[np.ndarray, Picked]] = []

    @property
    def logprob(self) -> np.ndarray:
        """Per slot its log-probability; NaN where none came."""
        self._read()
        return self._logprob

    def _read(self) -> None:
        for slots, found in self._waiting:
            self._logprob[slots] = found.logprob.cpu().numpy()
            self._first[slots] = found.first.cpu().numpy()
        self._waiting = []

    def file(self, logits: Tensor, rows: np.ndarray, table: np.ndarray) -> None:
        """Scores ``table`` (place, token, slot) in ``logits[rows]``; overwrites the logits."""
        if not len(table):
            return
        device = logits.device
        tokens = torch.from_numpy(table[:, 1]).to(device)
        found: Picked = pick(logits, torch.from_numpy(rows).to(device), tokens)
        self._waiting.append((table[:, 2], found))

    def each(self) -> Iterator[tuple[float, bool]]:
        """Per request its whole log-probability and whether it was all first choices."""
        self._read()
        for start, length in zip(self.starts, self.lengths, strict=False):
            span = slice(start, start + length)
            yield float(self._logprob[span].sum()), bool(self._first[span].all())


def table(entries: Iterable[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``entries`` (place, token, slot) as ``[n, 3]``, the different places, and each one's row."""
    made = np.array(list(entries), np.int64).reshape(-1, 3)
    places, rows = np.unique(made[:, 0], return_inverse=True)
    return made, places, rows


def padded(sequences: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """``[n, longest]`` ids padded on the right, and their mask (1: a token)."""
    longest = max(map(len, sequences))
    ids = np.full((len(sequences), longest), pad, np.int64)
    mask = np.zeros_like(ids)
    for k, sequence in enumerate(sequences):
        ids[k, : len(sequence)] = sequence
        mask[k, : len(sequence)] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)
