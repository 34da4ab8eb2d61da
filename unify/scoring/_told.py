"""How probable what is written was, noted while it is written."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import LogitsProcessor


class Told(LogitsProcessor):
    """Log-probability of every written token under the model's own distribution, before
    temperature and noise. It stands first among the processors; rows must keep their order."""

    def __init__(self) -> None:
        self.last: Tensor | None = None
        self.found: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self._note(input_ids[:, -1])
        self.last = scores.float().log_softmax(-1)
        return scores

    def _note(self, chosen: Tensor) -> None:
        if self.last is not None:
            self.found.append(self.last.gather(1, chosen[:, None].to(self.last.device)))

    def table(self, written: Tensor) -> Tensor:
        """``[rows, tokens]`` for ``written [rows, tokens]``, padding behind an end included."""
        if written.shape[1]:
            self._note(written[:, -1])
        return torch.cat(self.found, 1) if self.found else written.new_zeros(written.shape).float()
