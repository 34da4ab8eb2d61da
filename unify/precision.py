"""Half precision where the machine computes in it; elsewhere it is emulated, many times slower."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from formats.errors import ConfigError

if TYPE_CHECKING:
    from .backbones import Backbone

# What a model computes in when it is only asked, by the names that Lightning has for it.
NUMBERS = {"32-true": torch.float32, "bf16-true": torch.bfloat16, "16-true": torch.float16}


def fast_bf16(accelerator: str = "cpu") -> bool:
    """Whether ``accelerator`` (as Lightning calls it) has instructions for bfloat16."""
    if accelerator in ("gpu", "cuda") or (accelerator == "auto" and torch.cuda.is_available()):
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    known = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in known)


def trained_in(precision: str, accelerator: str = "cpu") -> str:
    """``precision`` of a trainer; ``auto`` is bf16-mixed where ``accelerator`` has it, else
    single."""
    if precision != "auto":
        return precision
    return "bf16-mixed" if fast_bf16(accelerator) else "32-true"


def numbers_of(precision: str) -> torch.dtype:
    """The type of the weights of a model that is only asked. Raises ConfigError."""
    if precision not in NUMBERS:
        raise ConfigError(
            "no precision to evaluate in", got=precision, expected=", ".join(NUMBERS),
            field="trainer.precision",
        )  # fmt: skip
    return NUMBERS[precision]


def round_weights(backbone: Backbone, numbers: torch.dtype) -> None:
    """Rounds the model's weights to ``numbers``, in place. Its buffers stay: rotary frequencies
    that were rounded turn farther with every position. So do its heads, which get float32 states:
    rounded scores of options tie, and the first one would win; and what `transformers` keeps
    (`_keep_in_fp32_modules`: T5's `wo` overflows in half precision)."""
    if numbers == torch.float32:
        return
    heads = {id(p) for head in backbone.head_modules().values() for p in head.parameters()}
    wide = set(getattr(backbone.model, "_keep_in_fp32_modules", None) or ())
    for name, parameter in backbone.named_parameters():
        kept = numbers == torch.float16 and wide & set(name.split("."))
        if id(parameter) not in heads and not kept and parameter.is_floating_point():
            parameter.data = parameter.data.to(numbers)
