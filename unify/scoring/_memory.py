"""How many tokens go through the model at once, and what happens when they do not fit."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

import torch

# Names of glibc's mallopt, and the most that it accepts for the first.
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
_LARGE = 32 << 20


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
        return Budget(768)
    free, _ = torch.cuda.mem_get_info(device)
    fit = int(0.4 * free / (4 * width * (40 + 2 * layers)))
    return Budget(max(64, min(fit, 16_384)))


def keep_freed() -> None:
    """Tells glibc to keep what a forward pass freed for the next one. By itself it learns so only
    after many passes, and until then each of them takes its activations from the system page by
    page (a tenth of 500 short rows' time). Other C libraries are left as they are."""
    tell = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if tell is not None:
        tell(_MMAP_THRESHOLD, _LARGE)
        tell(_TRIM_THRESHOLD, 1 << 30)
