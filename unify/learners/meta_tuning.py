"""Meta-tuning: every classification is yes-or-no questions about label descriptions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from formats.collate import Batch
from formats.errors import ConfigError, UnknownName

from ..backbones import Backbone
from ..backbones.losses import label_loss, yes_loss
from .multitask import Multitask
from .optim import Optimization

LOSSES = ("yes", "labels", "both")


class MetaTuning(Multitask):
    """Trains yes or no over the descriptions of many tasks (Zhong et al. 2021, arXiv 2104.04670;
    MPT), and stays near what the backbone knew before.

    ``loss``: ``yes`` asks of each description alone whether it is true; ``labels`` which one of its
    row's is (where exactly one is: other rows keep the yes loss); ``both`` is the sum. ``start`` is
    the share that the weights before training have in those that are kept after it (WiSE-FT,
    Wortsman et al. 2022, arXiv 2109.01903): 0 keeps the trained ones, 1 the first.
    """

    def __init__(
        self,
        backbone: Backbone,
        optimization: Optimization | None = None,
        *,
        loss: str = "both",
        start: float = 0.5,
    ) -> None:
        super().__init__(backbone, optimization)
        if loss not in LOSSES:
            raise UnknownName("loss", loss, LOSSES, field="learner.loss")
        if not 0 <= start <= 1:
            raise ConfigError(
                "a share outside [0, 1]", got=start, expected="0 to 1", field="learner.start"
            )
        if loss != "yes" and "pair" not in backbone.can:
            raise ConfigError(
                "a loss over label descriptions on a model that answers in words",
                got=f"{loss} on head {backbone.name}",
                expected="a head of pairs: pair, dual or nsp",
                fix="format=entail with an encoder, or learner.loss=yes",
            )
        self.loss, self.start = loss, start
        # Of a resumed run too: its backbone is built as before, and only then are the weights of
        # the checkpoint read.
        self._first = {n: p.detach().cpu().clone() for n, p in backbone.named_parameters()}

    def summed(self, batch: Batch) -> Tensor:
        if self.loss == "yes":
            return super().summed(batch)
        assert batch.gold is not None
        odds = self.backbone.odds(batch)  # type: ignore[operator]
        each = yes_loss(odds, batch.gold)
        chosen, single = label_loss(odds, batch.gold, batch.row_of)
        return (torch.where(single, chosen, each) if self.loss == "labels" else chosen + each).sum()

    def on_fit_end(self) -> None:
        """The weights between the first and the trained ones. (Checkpoints keep the trained.)"""
        if not self.start:
            return
        with torch.no_grad():
            for name, parameter in self.backbone.named_parameters():
                first = self._first[name].to(parameter.device, parameter.dtype)
                parameter.lerp_(first, self.start)

    def notes(self) -> list[dict[str, Any]]:
        if not self.start:
            return []
        line = f"the weights are {self.start:.0%} those before training"
        return [{"task": "meta-tuning", "notes": [line]}]
