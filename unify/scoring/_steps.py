"""What generation asks at every step: noise of its own per request, and whether to stop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, StoppingCriteria


class Noise(LogitsProcessor):
    """Gumbel noise, so that the largest logit is a sample (Maddison et al. 2014).

    Each row draws from its own generator: what a request gets does not depend on its batch."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self.generators = [torch.Generator().manual_seed(s) for s in seeds]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        words = scores.shape[1]
        drawn = torch.stack([torch.rand(words, generator=g) for g in self.generators])
        noise = -torch.log(-torch.log(drawn.clamp(1e-20, 1 - 1e-7)))
        return scores + noise.to(scores)


class Stops(StoppingCriteria):
    """A row is done when what it wrote since ``start`` holds one of the stop strings."""

    def __init__(self, tokenizer: Any, stop: Sequence[str], start: int) -> None:
        self.tokenizer, self.stop, self.start = tokenizer, stop, start
        self.reach = max(map(len, stop)) + 4  # tokens; none is shorter than a character or byte

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Tensor:
        written = input_ids[:, self.start :][:, -4 * self.reach :]
        texts = self.tokenizer.batch_decode(written)
        done = [any(s in t for s in self.stop) for t in texts]
        return torch.tensor(done, device=input_ids.device)


def until(text: str, stop: Sequence[str]) -> tuple[str, str | None]:
    """``text`` before the first stop string, and that string."""
    found = [(at, s) for s in stop if (at := text.find(s)) >= 0]
    if not found:
        return text, None
    at, which = min(found)
    return text[:at], which
