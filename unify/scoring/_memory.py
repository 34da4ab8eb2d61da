"""How many tokens go through the model at once, and what happens when they do not fit."""

from __future__ import annotations

from dataclasses import dataclass

import torch


def out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that memory ran out, on an accelerator or in the host."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError)
        and ("out of memory" in str(error) or "can't allocate memory" in str(error))
    )


@dataclass
class Budget:
    """``tokens`` of one forward pass; halved, for good, whenever they did not fit."""

    tokens: int
    halved: int = 0

    def shrink(self) -> bool:
        """Halves; False when there is nothing left to halve."""
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if self.tokens <= 1:
            return False
        self.tokens //= 2
        self.halved += 1
        return True


def starting(device: torch.device, width: int, layers: int) -> Budget:
    """As many tokens as should fit, on a host as many as keep two cores busy.

    A token costs about ``40 * width`` numbers of activations at once, and ``2 * width`` per layer
    where it is kept as keys and values."""
    if device.type != "cuda":
        return Budget(512)
    free, _ = torch.cuda.mem_get_info(device)
    fit = int(0.4 * free / (4 * width * (40 + 2 * layers)))
    return Budget(max(64, min(fit, 16_384)))
