"""What a masked language model says of words in a blank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from formats.errors import ConfigError
from formats.examples import Example
from formats.layout import Coder

from ..backbones import Backbone
from ..scoring._logits import logits_at
from .patterns import Pattern, Slotted, slotted
from .words import token_scores

Sides = tuple[Sequence[str], Sequence[str]]  # pieces before and behind the blank
Asked = Callable[[Example], Sides]


class Cloze:
    """A masked language model and its tokenizer; ``kind`` is that of a token's score, ``coder`` one
    of another layout than the backbone's own.

    The model may be on a GPU; scores and states come back to the CPU, where all else is computed.
    A word's score is the mean over its tokens, each predicted from a blank of its own with the
    others blank as well. Words of one length share their pass.
    """

    def __init__(
        self, backbone: Backbone, kind: str = "log_odds", coder: Coder | None = None
    ) -> None:
        coder = coder or backbone.coder
        if coder.layout.mask is None or coder.layout.kind != "masked":
            raise ConfigError(
                "a cloze needs a masked language model", got=coder.layout.kind,
                fix="format=generate model=tiny_encoder, or unify pretrain and model=minilm_mlm",
            )
        self.backbone, self.coder, self.kind = backbone, coder, kind
        self.cut = 0  # tokens that did not fit into the window so far

    @property
    def model(self) -> Any:
        """The model alone, which any tuning is hooked into."""
        return self.backbone.model

    def rows(self, sides: Sequence[Sides], blanks: int) -> list[Slotted]:
        """The texts as tokens, with room for so many blanks."""
        found = [slotted(s, self.coder, blanks) for s in sides]
        self.cut += sum(f.cut for f in found)
        return found

    def inputs(self, rows: Sequence[Slotted], blanks: int) -> tuple[dict[str, Tensor], Tensor]:
        """The model's inputs, and the places of the blanks ``[rows, blanks]`` through them."""
        mask = self.coder.layout.mask
        assert mask is not None
        whole = [[*r.before, *[mask] * blanks, *r.after] for r in rows]
        width = max(map(len, whole))
        ids = torch.full((len(rows), width), self.coder.layout.pad)
        seen = torch.zeros_like(ids)
        for k, row in enumerate(whole):
            ids[k, : len(row)] = torch.tensor(row)
            seen[k, : len(row)] = 1
        first = torch.tensor([k * width + len(r.before) for k, r in enumerate(rows)])
        places = first[:, None] + torch.arange(blanks)[None]
        device = next(self.model.parameters()).device
        return (
            {"input_ids": ids.to(device), "attention_mask": seen.to(device)}, places.to(device)
        )  # fmt: skip

    def logits(self, sides: Sequence[Sides], blanks: int = 1) -> Tensor:
        """``[rows, blanks, words of the vocabulary]``."""
        return self.logits_of(self.rows(sides, blanks), blanks)

    def logits_of(self, rows: Sequence[Slotted], blanks: int = 1) -> Tensor:
        """The same of texts that are tokens already."""
        inputs, places = self.inputs(rows, blanks)
        with self.backbone.passing():
            found = logits_at(self.model, places.reshape(-1), **inputs)
        return found.float().reshape(len(rows), blanks, -1)

    def hidden(self, sides: Sequence[Sides]) -> Tensor:
        """The last hidden state at one blank: ``[rows, width]``."""
        inputs, places = self.inputs(self.rows(sides, 1), 1)
        with self.backbone.passing():
            states = self.model.base_model(**inputs).last_hidden_state
        found = states.reshape(-1, states.shape[-1])[places[:, 0]]
        return found.float().cpu()  # type: ignore[no-any-return]

    def scores(self, sides: Sequence[Sides], words: Sequence[tuple[int, ...]]) -> Tensor:
        """``[rows, words]``."""
        return self.scores_of(lambda blanks: self.rows(sides, blanks), words)

    def scores_of(
        self, rows: Callable[[int], Sequence[Slotted]], words: Sequence[tuple[int, ...]]
    ) -> Tensor:
        """The same of texts that are tokens already: ``rows(blanks)``."""
        found: list[Tensor | None] = [None] * len(words)
        for blanks in sorted({len(w) for w in words}):
            logits = self.logits_of(rows(blanks), blanks)
            own = [k for k, w in enumerate(words) if len(w) == blanks]
            ids = torch.tensor([words[k] for k in own], device=logits.device).T  # [blanks, own]
            table = ids[None].expand(len(logits), -1, -1)
            means = token_scores(logits, table, self.kind).mean(1)
            for column, k in enumerate(own):
                found[k] = means[:, column]
        return torch.stack([f for f in found if f is not None], 1).cpu()


@dataclass(frozen=True)
class Asking:
    """How ``pattern`` asks of an example: :data:`Asked`."""

    pattern: Pattern
    instruction: str = ""

    def __call__(self, example: Example) -> Sides:
        return self.pattern.sides(example, self.instruction)
