"""Half precision where the machine computes in it; elsewhere it is emulated, many times slower."""

from __future__ import annotations

import torch


def fast_bf16(accelerator: str = "cpu") -> bool:
    """Whether ``accelerator`` (as Lightning calls it) has instructions for bfloat16."""
    if accelerator in ("gpu", "cuda") or (accelerator == "auto" and torch.cuda.is_available()):
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    known = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in known)
