"""Entail: an encoder that reads premise and hypothesis together, and heads that say yes or no."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from formats.collate import Batch, collate
from formats.errors import ConfigError
from formats.instances import Entailment
from formats.layout import Coder
from formats.store import StoredRow

from .base import Backbone, Partial, common_kwargs
from .losses import yes_loss


def log_odds(logits: Tensor, yes: int) -> Tensor:
    """``[n, classes]`` -> ``[n]``: the log-odds of class ``yes`` against all others together."""
    others = torch.cat([logits[:, :yes], logits[:, yes + 1 :]], dim=1)
    return logits[:, yes] - torch.logsumexp(others, dim=1)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh, "gelu": nn.functional.gelu, "relu": torch.relu,
}  # fmt: skip


class PairHead(nn.Module):
    """A classifier over the pooled pair. ``labels`` names the classes in order of their ids;
    ``yes`` is the id of the one that means entailment. ``act`` is the activation between its two
    layers: tanh in BERT and RoBERTa's own classifiers, gelu in RoFormer's and ELECTRA's, relu in
    DistilBERT's (with their own one a model can be exported to its plain class)."""

    def __init__(
        self,
        width: int,
        labels: Sequence[str] = ("no", "yes"),
        yes: int = 1,
        pool: Literal["first", "mean"] = "first",
        act: Literal["tanh", "gelu", "relu"] = "tanh",
    ) -> None:
        super().__init__()
        if not 0 <= yes < len(labels):
            raise ConfigError(
                "the yes label is not among the labels", got=yes, expected=f"0..{len(labels) - 1}"
            )
        if pool not in ("first", "mean"):
            raise ConfigError("unknown pooling", got=pool, expected="first or mean")
        if act not in ACTIVATIONS:
            raise ConfigError("unknown activation", got=act, expected=", ".join(ACTIVATIONS))
        self.labels, self.yes, self.pool, self.act = tuple(labels), yes, pool, act
        self.dense = nn.Linear(width, width)
        self.out = nn.Linear(width, len(labels))

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """hidden ``[n, L, width]``, mask ``[n, L]`` -> logits ``[n, labels]``."""
        if self.pool == "first":
            pooled = hidden[:, 0]
        else:
            weight = mask.to(hidden.dtype)[..., None]
            pooled = (hidden * weight).sum(1) / weight.sum(1)
        return self.out(ACTIVATIONS[self.act](self.dense(pooled)))


class PairBackbone(Backbone):
    """An encoder and a :class:`PairHead`."""

    format: ClassVar = ("entail",)
    can: ClassVar = frozenset({"pair"})
    name: ClassVar = "pair"

    def __init__(self, model: Any, coder: Coder, **head: object) -> None:
        super().__init__(model, coder)
        self.options = head
        self.head = PairHead(model.config.hidden_size, **head)  # type: ignore[arg-type]

    def head_modules(self) -> dict[str, nn.Module]:
        return {"head": self.head}

    def head_options(self) -> dict[str, object]:
        return dict(self.options)

    def odds(self, batch: Batch) -> Tensor:
        """Log-odds of yes, ``[n]``."""
        hidden = self.model(**common_kwargs(self.model, batch)).last_hidden_state.float()
        return log_odds(self.head(hidden, batch.mask).float(), self.head.yes)

    def loss(self, batch: Batch) -> Tensor:
        assert batch.gold is not None
        return yes_loss(self.odds(batch), batch.gold).sum()

    def predict(self, rows: Sequence[StoredRow]) -> list[Partial]:
        batch = collate(rows, self.layout, "entail", score=True).to(self.device)
        odds = self.odds(batch).tolist()
        return [
            Partial(rows[r].row, rows[r].instance + v, Entailment(o))
            for r, v, o in zip(batch.row_of.tolist(), batch.variant_of.tolist(), odds, strict=True)
        ]


class NextSentenceBackbone(PairBackbone):
    """BERT's own next-sentence head: 'is next' means yes (NSP-BERT, Sun et al. 2021)."""

    can: ClassVar = frozenset({"pair"})
    name: ClassVar = "nsp"

    def __init__(self, model: Any, coder: Coder) -> None:
        Backbone.__init__(self, model, coder)
        if not hasattr(model, "cls"):
            raise ConfigError(
                "a model without a next-sentence head",
                got=type(model).__name__,
                expected="BertForNextSentencePrediction or alike",
            )

    def head_modules(self) -> dict[str, nn.Module]:
        return {}

    def head_options(self) -> dict[str, object]:
        return {}

    def odds(self, batch: Batch) -> Tensor:
        logits = self.model(**common_kwargs(self.model, batch)).logits.float()
        return log_odds(logits, 0)
