"""What reasoning asks of a language model: that it writes, scores, and can be told from others."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..scoring import Engine, Request, Score, Writing, Written


class LM(Protocol):
    """A language model that writes and scores."""

    def write(
        self,
        prompts: Sequence[str],
        how: Writing,
        samples: int = 1,
        numbers: Sequence[int] | None = None,
    ) -> list[list[Written]]:
        """``samples`` texts after each prompt. ``numbers`` names the prompts, so that what one
        draws does not depend on its neighbours."""

    def score(self, requests: Sequence[Request]) -> list[Score]:
        """The log-probability of each continuation."""

    def identity(self) -> str:
        """What tells this model from others: a digest."""


@dataclass
class EngineLM:
    """The scoring engine as an :class:`LM`."""

    engine: Engine

    def write(
        self,
        prompts: Sequence[str],
        how: Writing,
        samples: int = 1,
        numbers: Sequence[int] | None = None,
    ) -> list[list[Written]]:
        from ..scoring import write_samples

        return write_samples(self.engine, prompts, how, samples, numbers)

    def score(self, requests: Sequence[Request]) -> list[Score]:
        return self.engine.score(requests)

    def identity(self) -> str:
        """A digest of configuration and weights."""
        import torch

        made = hashlib.blake2b(digest_size=12)
        made.update(str(self.engine.model.config).encode())
        for name, tensor in sorted(self.engine.model.state_dict().items()):
            flat = tensor.detach().cpu().contiguous().view(-1)
            made.update(name.encode())
            made.update(flat.view(torch.uint8).numpy().data)
        return made.hexdigest()
