"""Soft prompts at the input.

| tuning   | vectors                                           | source                         |
|----------|---------------------------------------------------|--------------------------------|
| prompt   | trained themselves                                | Lester et al. 2021, 2104.08691 |
| p_tuning | biLSTM of two layers and an MLP over trained ones | Liu et al. 2021, 2103.10385    |

``before``, ``between`` and ``after`` mix virtual positions with words that anchor them:
``before=[3, "Topic:", 2]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from formats.errors import ConfigError

from ..backbones.base import Backbone
from .base import Tuning
from .start import start_rows
from .virtual import Piece, Virtual


class Prompt(Tuning):
    """Vectors at ``length`` positions before the text, or where ``before``, ``between`` and
    ``after`` put them.

    ``init`` is what they begin as: ``random`` (as wide as the model's words), ``vocabulary``
    (words drawn among the ``common`` first of the vocabulary, which lists frequent ones first),
    ``words`` (the tokens of ``words``, of several tokens their mean; label words are given when
    none are listed), or a run whose prompt to go on with.
    """

    name: ClassVar[str] = "prompt"

    def __init__(
        self,
        backbone: Backbone,
        *,
        length: int = 20,
        before: Sequence[Piece] | None = None,
        between: Sequence[Piece] = (),
        after: Sequence[Piece] = (),
        init: str = "vocabulary",
        words: Sequence[str] = (),
        common: int = 5000,
    ) -> None:
        before = [length] if before is None else before
        super().__init__(
            backbone,
            before=list(before), between=list(between), after=list(after)
        )  # fmt: skip
        self.virtual = Virtual(backbone, before, between, after)
        self.virtual.rows = self.placed
        rows = start_rows(backbone, self.virtual.count, init, words, common)
        self.table = nn.Parameter(rows)

    def rows(self) -> Tensor:
        """The vectors ``[count, width]``."""
        return self.table

    def placed(self, words: Tensor) -> Tensor:
        """The vectors of a pass whose word embeddings are ``words [n, L, width]``."""
        return self.rows()


class PTuning(Prompt):
    """Trained vectors that a biLSTM and an MLP turn into the prompt's; folded after training.

    ``reparam`` is the LSTM's width in all (None: the folded prompt).
    """

    name: ClassVar[str] = "p_tuning"

    def __init__(
        self, backbone: Backbone, *, reparam: int | None = 128, dropout: float = 0.0, **prompt: Any
    ) -> None:
        """``prompt`` are the settings of :class:`Prompt`."""
        super().__init__(backbone, **prompt)
        self.settings["reparam"] = reparam
        if reparam is not None and (reparam < 2 or reparam % 2):
            raise ConfigError("a biLSTM of odd width", got=reparam, expected="an even number")
        self.encoder = None if reparam is None else PromptEncoder(
            self.virtual.width, reparam, dropout
        )  # fmt: skip

    def rows(self) -> Tensor:
        return self.table if self.encoder is None else self.encoder(self.table)

    def fold(self) -> None:
        if self.encoder is None:
            return
        self.encoder.eval()
        with torch.no_grad():
            rows = self.encoder(self.table)
        self.encoder = None
        self.table = nn.Parameter(rows.detach().clone())
        self.settings["reparam"] = None


class PromptEncoder(nn.Module):
    """``h_i = MLP([forward LSTM_i : backward LSTM_i])``, two layers of each (P-tuning, 3.2)."""

    def __init__(self, width: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.lstm = nn.LSTM(
            width, hidden // 2, num_layers=2, dropout=dropout, bidirectional=True, batch_first=True
        )
        self.mlp = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, width))

    def forward(self, rows: Tensor) -> Tensor:
        """``[count, width]`` to the same."""
        found, _ = self.lstm(rows[None])
        return self.mlp(found[0])
