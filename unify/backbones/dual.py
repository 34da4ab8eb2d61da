"""Entail: an encoder that reads premise and hypothesis apart, and the cosine between the two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, normalize

from formats.collate import Batch
from formats.errors import ConfigError, UnknownName
from formats.instances import Entailment
from formats.layout import Coder
from formats.store import StoredRow

from .base import Backbone, Partial
from .losses import yes_loss

TOKENS = 16_384  # padded tokens that are encoded together
KEPT = 50_000  # vectors of a frozen encoder that are kept in training

Text = tuple[int, ...]  # token ids without their frame


MAPS = ("none", "two", "block")


class CosineHead(nn.Module):
    """Log-odds of yes: ``scale * cosine + bias``, both learned. The order of the hypotheses is that
    of the cosines whatever the two are.

    ``map`` adds to the vectors what is made of them, nothing at first, so that something can be
    learned while the encoder stays: ``two`` linear maps, one of premises and one of hypotheses;
    ``block``, one hidden layer of ``hidden`` units for both.
    """

    def __init__(
        self,
        width: int,
        scale: float = 20.0,
        bias: float = 0.0,
        map: str = "none",
        hidden: int = 128,
    ) -> None:
        super().__init__()
        if not scale > 0:
            raise ConfigError("a scale of cosines that is not positive", got=scale, expected="> 0")
        if map not in MAPS:
            raise UnknownName("map", map, MAPS)
        self.log_scale = nn.Parameter(torch.tensor(float(scale)).log())
        self.bias = nn.Parameter(torch.tensor(float(bias)))
        self.maps = nn.ModuleDict()
        if map == "two":
            for kind in ("premise", "hypothesis"):
                self.maps[kind] = nn.Linear(width, width, bias=False)
        if map == "block":
            self.maps["both"] = nn.Sequential(
                nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width)
            )
        for part in self.maps.values():
            for parameter in (part[-1] if isinstance(part, nn.Sequential) else part).parameters():
                nn.init.zeros_(parameter)

    def _mapped(self, vectors: Tensor, kind: str) -> Tensor:
        for name in (kind, "both"):
            if name in self.maps:
                vectors = vectors + self.maps[name](vectors)
        return vectors

    def forward(self, premises: Tensor, hypotheses: Tensor) -> Tensor:
        """``[n, width]`` twice -> ``[n]``."""
        first, second = self._mapped(premises, "premise"), self._mapped(hypotheses, "hypothesis")
        cosines = cosine_similarity(first.float(), second.float(), dim=-1)
        return self.log_scale.exp() * cosines + self.bias


def numbered(texts: Iterable[Text], numbers: dict[Text, int]) -> list[int]:
    """The number of each text; those that ``numbers`` does not know yet get the next ones."""
    return [numbers.setdefault(text, len(numbers)) for text in texts]


class DualBackbone(Backbone):
    """A sentence encoder (Sentence-BERT, Reimers and Gurevych 2019): tokens' mean, then cosine.

    Untrained, it ranks hypotheses as the encoder's cosine does without any training. A row costs
    one pass for its text, and each different hypothesis of all rows together costs one more; an
    encoder of pairs costs one per row and hypothesis.
    """

    format: ClassVar = ("entail",)
    can: ClassVar = frozenset({"pair"})
    name: ClassVar = "dual"

    def __init__(self, model: Any, coder: Coder, **head: Any) -> None:
        super().__init__(model, coder)
        self.options = head
        self.head = CosineHead(model.config.hidden_size, **head)
        self._known: dict[Text, Tensor] = {}
        self._state = -1

    def head_modules(self) -> dict[str, nn.Module]:
        return {"head": self.head}

    def head_options(self) -> dict[str, object]:
        return dict(self.options)

    def at_once(self, row: StoredRow) -> bool:
        return True

    def _encoded(self, texts: Sequence[Text]) -> Tensor:
        before, after = self.layout.single_before, self.layout.single_after
        parts = [(*before, *text, *after) for text in texts]
        ids = np.full((len(parts), max(map(len, parts))), self.layout.pad, np.int64)
        for row, part in zip(ids, parts, strict=True):
            row[: len(part)] = part
        lengths = torch.tensor([len(p) for p in parts])[:, None]
        mask = (torch.arange(ids.shape[1])[None, :] < lengths).long().to(self.device)
        inputs = torch.from_numpy(ids).to(self.device)
        hidden = self.model(input_ids=inputs, attention_mask=mask).last_hidden_state.float()
        summed = (hidden * mask[..., None]).sum(1)
        return normalize(summed, dim=-1)  # the sum and the mean have one direction

    def _batches(self, texts: Sequence[Text]) -> Iterator[list[int]]:
        """Numbers of ``texts``, longest first: so many as :data:`TOKENS` allows, none of them
        padded to more than twice its length."""
        frame = len(self.layout.single_before) + len(self.layout.single_after)
        batch: list[int] = []
        longest = 0
        for k in sorted(range(len(texts)), key=lambda k: -len(texts[k])):
            size = len(texts[k]) + frame
            if batch and (longest * (len(batch) + 1) > TOKENS or 2 * size < longest):
                yield batch
                batch = []
            if not batch:
                longest = size
            batch.append(k)
        if batch:
            yield batch

    def vectors(self, texts: Sequence[Text]) -> Tensor:
        """Unit vectors ``[texts, width]``. An encoder that is not trained (all of it frozen) says
        the same of a text in every step: each is encoded once while the weights stay."""
        if not self.training or any(p.requires_grad for p in self.model.parameters()):
            return self._fresh(texts)
        state = sum(p._version for p in self.model.parameters())
        if state != self._state or len(self._known) > KEPT:
            self._known, self._state = {}, state
        new = [t for t in dict.fromkeys(texts) if t not in self._known]
        if new:
            self.model.eval()  # no dropout: nothing is fitted to these vectors but the head
            with torch.no_grad():
                self._known.update(zip(new, self._fresh(new), strict=True))
        return torch.stack([self._known[t] for t in texts])

    def _fresh(self, texts: Sequence[Text]) -> Tensor:
        order = list(self._batches(texts))
        found = torch.cat([self._encoded([texts[k] for k in batch]) for batch in order])
        return found[torch.tensor(list(chain.from_iterable(order))).argsort().to(found.device)]

    def odds_of(self, rows: Sequence[StoredRow]) -> Tensor:
        """Log-odds of yes of all hypotheses of ``rows``, one row after the other: ``[n]``."""
        numbers: dict[Text, int] = {}
        premises = numbered((tuple(r.shared.tolist()) for r in rows), numbers)
        hypotheses = [
            numbered((tuple(v.tolist()) for v in r.variant_ids()), numbers) for r in rows
        ]
        found = self.vectors(list(numbers))
        first = [p for p, own in zip(premises, hypotheses, strict=True) for _ in own]
        second = list(chain.from_iterable(hypotheses))
        return self.head(found[first], found[second])  # type: ignore[no-any-return]

    def odds(self, batch: Batch) -> Tensor:
        """Log-odds of yes, ``[n]``."""
        return self.odds_of(batch.rows)

    def loss(self, batch: Batch) -> Tensor:
        assert batch.gold is not None
        return yes_loss(self.odds(batch), batch.gold).sum()

    def predict(self, rows: Sequence[StoredRow]) -> list[Partial]:
        odds = iter(self.odds_of(rows).tolist())
        return [
            Partial(row.row, row.instance + v, Entailment(next(odds)))
            for row in rows
            for v in range(len(row.widths))
        ]
