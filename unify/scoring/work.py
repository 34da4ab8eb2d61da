"""What was computed, counted, so that time can be held against arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class Work:
    """``tokens`` that had to go through the model, ``pairs`` of a token and one it attends to,
    positions whose logits were ``scored``, ``padded`` tokens with padding, and ``passes``."""

    tokens: int = 0
    pairs: int = 0
    scored: int = 0
    padded: int = 0
    passes: int = 0

    def add(self, tokens: int, pairs: int, padded: int | None = None) -> None:
        self.tokens += tokens
        self.pairs += pairs
        self.padded += tokens if padded is None else padded
        self.passes += 1

    def flops(self, model: Any) -> float:
        """Operations of a decoder: two per weight and token, ``4 * width`` per pair and layer,
        two per weight of the output layer and scored position (Kaplan et al. 2020, table 1)."""
        config = model.config.get_text_config()
        head = model.get_output_embeddings().weight
        tables = {id(head)} | {
            id(m.weight) for m in model.modules() if type(m).__name__ == "Embedding"
        }
        inner = sum(p.numel() for p in model.parameters() if id(p) not in tables)
        width, layers = config.hidden_size, config.num_hidden_layers
        return float(
            2 * inner * self.tokens
            + 4 * width * layers * self.pairs
            + 2 * head.numel() * self.scored
        )
