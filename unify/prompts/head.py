"""A linear layer on the first token (BERT: Devlin et al. 2019, 4.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from formats.examples import Example, RelationClassification

from ..backbones import Backbone
from .patterns import shortened
from .pet import ROWS
from .shots import text_of


def second_of(example: Example) -> str:
    """What stands behind the text: the second of a pair, or which two a relation is between."""
    if isinstance(example, RelationClassification):
        return f"{example.head.of(example.text)} and {example.tail.of(example.text)}"
    return getattr(example, "text_b", None) or ""


class LinearHead(nn.Module):
    """Classification fine-tuning (Devlin et al. 2019, 4.1): a linear layer on the first token."""

    def __init__(self, backbone: Backbone, labels: int) -> None:
        super().__init__()
        self.backbone = backbone
        width = backbone.model.config.hidden_size
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(width, labels)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        for name, parameter in backbone.model.named_parameters():
            # The words' layer is not used; what is tied to the embeddings goes by their name.
            if name.startswith(("cls.", "lm_head.")):
                parameter.requires_grad_(False)

    def scores(self, examples: Sequence[Example]) -> Tensor:
        """``[examples, labels]``."""
        coder = self.backbone.coder
        texts = [text_of(e) for e in examples]
        second = [second_of(e) for e in examples]
        layout = coder.layout
        rows = []
        for first, other in zip(coder.ids(texts), coder.ids(second), strict=True):
            a, b = [*first], [*other]
            shortened([a, b], layout.pair_room if b else layout.single_room)
            rows.append([*layout.before, *a, *layout.between, *b, *layout.after] if b else
                        [*layout.single_before, *a, *layout.single_after])  # fmt: skip
        width = max(map(len, rows))
        ids = torch.tensor([[*r, *[layout.pad] * (width - len(r))] for r in rows])
        mask = torch.tensor([[1] * len(r) + [0] * (width - len(r)) for r in rows])
        device = self.backbone.device
        with self.backbone.passing():
            states = self.backbone.model.base_model(
                input_ids=ids.to(device), attention_mask=mask.to(device)
            ).last_hidden_state
        return self.head(self.dropout(states[:, 0].float().cpu()))  # type: ignore[no-any-return]

    def answers(self) -> Callable[[Sequence[Example]], Tensor]:
        """:meth:`scores` without gradients and dropout, a part of the rows at a time."""

        def scores(examples: Sequence[Example]) -> Tensor:
            self.eval()
            with torch.inference_mode():
                parts = [self.scores(examples[k : k + ROWS]) for k in range(0, len(examples), ROWS)]
            return torch.cat(parts).clone()

        return scores
