"""Prompts that depend on the text (instance-dependent prompt generation, Wu et al. 2022,
arXiv 2204.04497): P(x) = P + U tanh(D m(x)), m(x) the mean of the text's word embeddings."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from formats.errors import ConfigError

from ..backbones.base import Backbone
from .prompt import Prompt


class InstancePrompt(Prompt):
    """A :class:`Prompt` plus what a bottleneck of ``size`` makes of the text."""

    name: ClassVar[str] = "instance_prompt"

    def __init__(self, backbone: Backbone, *, size: int = 16, **prompt: Any) -> None:
        """``prompt`` are the settings of :class:`Prompt`."""
        if backbone.coder.layout.kind == "causal":
            raise ConfigError(
                "a prompt that depends on the text before a causal model, which would see its "
                "target there",
                expected="an encoder, a masked or a seq2seq model",
                fix="tuning=prompt",
            )
        super().__init__(backbone, **prompt)
        self.settings["size"] = size
        self.down = nn.Linear(self.virtual.width, size)
        self.up = nn.Linear(size, self.virtual.count * self.virtual.width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def placed(self, words: Tensor) -> Tensor:
        assert self.virtual.now.text is not None
        weight = self.virtual.now.text[..., None].to(words.dtype)
        mean = (words * weight).sum(1) / weight.sum(1).clamp(min=1)
        more = self.up(torch.tanh(self.down(mean)))
        return self.table + more.view(-1, self.virtual.count, self.virtual.width)
