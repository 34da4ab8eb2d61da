"""What a training loop knows, in a file: a loop that was killed goes on where it stood."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from .. import checkpoints

T = TypeVar("T")


@dataclass
class Saved:
    """The file, written anew at most every ``seconds``."""

    path: Path
    seconds: float = 60.0
    _last: float = field(default_factory=time.monotonic, repr=False)

    def begin(
        self,
        kind: type[T],
        model: nn.Module,
        made: torch.optim.Optimizer,
        rng: random.Random | None = None,
    ) -> list[T]:
        """Brings weights, optimizer and draws to where the loop stood; what it told until then,
        each a dataclass of ``kind``. Nothing where no whole file is."""
        if not self.path.exists() or checkpoints.torn(self.path) is not None:
            return []
        found: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        model.load_state_dict(found["weights"])
        made.load_state_dict(found["optimizer"])
        if rng is not None:
            rng.setstate(found["rng"])
        return [kind(**one) for one in found["told"]]

    def keep(
        self,
        told: Sequence[Any],
        model: nn.Module,
        made: torch.optim.Optimizer,
        rng: random.Random | None = None,
    ) -> None:
        """Writes the file, if it is time to."""
        if time.monotonic() - self._last < self.seconds:
            return
        state = {
            "weights": model.state_dict(),
            "optimizer": made.state_dict(),
            "rng": None if rng is None else rng.getstate(),
            "told": [asdict(one) for one in told],
        }
        checkpoints.write(state, self.path)
        self._last = time.monotonic()

    def remove(self) -> None:
        """The loop is done."""
        checkpoints.remove(self.path)
