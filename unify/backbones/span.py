"""Extract: an encoder over question and passage, and heads that score spans of the passage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from formats.collate import Batch, collate
from formats.errors import ConfigError
from formats.instances import ScoredSpan, Scores, Spans
from formats.layout import Coder
from formats.store import StoredRow

from .base import Backbone, Partial, common_kwargs
from .losses import multilabel_loss

LOWEST = -1e4  # the margin of a candidate that stands in no window of its passage


class StartEndHead(nn.Module):
    """Start and end logits per token; a span's margin is their sum.

    Both are trained as multi-label sets over the passage tokens with threshold zero, so that none,
    one or several spans are the same case. ``closed="candidates"`` trains closed questions on the
    sums at the listed candidates alone, as one set; the default treats them as any other.
    """

    def __init__(self, width: int, types: int = 1, closed: str = "tokens") -> None:
        super().__init__()
        if closed not in ("candidates", "tokens"):
            raise ConfigError(
                "unknown training of closed questions", got=closed, expected="candidates or tokens"
            )
        self.closed = closed
        if types != 1:
            raise ConfigError(
                "a start/end head scores one type at a time",
                got=types,
                fix="use head=global_pointer, or format.one_pass=false",
            )
        self.out = nn.Linear(width, 2)

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """hidden ``[n, L, width]`` -> start and end logits ``[n, L]``."""
        start, end = self.out(hidden).float().unbind(-1)
        return start, end

    def loss(self, hidden: Tensor, batch: Batch) -> Tensor:
        start, end = self(hidden)
        assert batch.closed is not None and batch.inside is not None
        assert batch.starts is not None and batch.ends is not None
        is_closed = torch.zeros(len(start), dtype=torch.bool, device=start.device)
        if self.closed == "candidates":
            is_closed[batch.closed[:, 0]] = True
        open_loss = multilabel_loss(start, batch.starts, batch.inside) + multilabel_loss(
            end, batch.ends, batch.inside
        )
        loss = open_loss[~is_closed].sum()
        if self.closed == "candidates":
            k, s, e = batch.closed.unbind(1)
            loss = loss + closed_loss(start[k, s] + end[k, e], batch)
        return loss

    def spans(self, hidden: Tensor, batch: Batch, most: int, longest: int) -> list[list[Found]]:
        """The best ``most`` spans of at most ``longest`` tokens per sequence."""
        start, end = self(hidden)
        assert batch.inside is not None
        out: list[list[Found]] = []
        lowest = torch.finfo(start.dtype).min
        start = start.masked_fill(~batch.inside, lowest)
        end = end.masked_fill(~batch.inside, lowest)
        wide = min(most, start.shape[1])
        best_start, best_end = start.topk(wide, 1), end.topk(wide, 1)
        for k in range(len(start)):
            room = int(batch.inside[k].sum())
            s_at = dict(
                zip(
                    best_start.indices[k, :room].tolist(),
                    best_start.values[k, :room].tolist(),
                    strict=True,
                )
            )
            e_at = dict(
                zip(
                    best_end.indices[k, :room].tolist(),
                    best_end.values[k, :room].tolist(),
                    strict=True,
                )
            )
            out.append(pair_up(s_at, e_at, most, longest))
        return out

    def at(self, hidden: Tensor, spans: Tensor) -> Tensor:
        """Margins of ``spans [c, 3]`` (sequence, first, last)."""
        start, end = self(hidden)
        k, s, e = spans.unbind(1)
        return start[k, s] + end[k, e]


Found = tuple[int, int, float, int]  # first token, last token, margin, type


def closed_loss(scores: Tensor, batch: Batch) -> Tensor:
    """Set loss over the candidates of each closed sequence; ``scores [c]``. Returns the sum."""
    assert batch.closed is not None and batch.chosen is not None
    if not len(scores):
        return scores.sum()
    owner = batch.closed[:, 0]
    _, group, counts = torch.unique_consecutive(owner, return_inverse=True, return_counts=True)
    first = torch.cumsum(counts, 0) - counts
    place = torch.arange(len(owner), device=owner.device) - first[group]
    shape = (len(counts), int(counts.max()))
    table = scores.new_zeros(shape)
    gold = torch.zeros(shape, dtype=torch.bool, device=scores.device)
    mask = torch.zeros(shape, dtype=torch.bool, device=scores.device)
    table[group, place] = scores
    gold[group, place] = batch.chosen
    mask[group, place] = True
    return multilabel_loss(table, gold, mask).sum()


def softplus(x: float) -> float:
    """log(1 + e^x), without overflow."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def pair_up(
    starts: dict[int, float], ends: dict[int, float], most: int, longest: int
) -> list[Found]:
    """Spans from start and end margins, best first.

    A pair is an answer (positive margin: the sum) when both sides are positive and no other
    positive side stands between them; any other pair keeps its rank below zero: log sigmoid(sum).
    """
    sure_starts = sorted(t for t, v in starts.items() if v > 0)
    sure_ends = sorted(t for t, v in ends.items() if v > 0)
    found: list[Found] = []
    for s, a in starts.items():
        for e, b in ends.items():
            if not s <= e < s + longest:
                continue
            total = a + b
            clear = (
                a > 0
                and b > 0
                and not any(s < t <= e for t in sure_starts)
                and not any(s <= t < e for t in sure_ends)
            )
            if not clear:
                total = -softplus(-total)
            found.append((s, e, total, 0))
    found.sort(key=lambda f: (-f[2], f[0], f[1]))
    return found[:most]


class SpanBackbone(Backbone):
    """An encoder and a span head.

    ``most`` spans are kept per question and window; ``longest`` bounds them in tokens.
    """

    format: ClassVar = ("extract",)
    can: ClassVar = frozenset({"span"})
    name: ClassVar = "span"

    def __init__(
        self, model: Any, coder: Coder, *, most: int = 20, longest: int = 48, **head: object
    ) -> None:
        super().__init__(model, coder)
        self.most, self.longest, self.options = most, longest, head
        self.types = int(str(head.get("types", 1)))
        self.head = self.make_head(model.config.hidden_size, **head)

    def make_head(self, width: int, **head: object) -> nn.Module:
        return StartEndHead(width, **head)  # type: ignore[arg-type]

    def head_modules(self) -> dict[str, nn.Module]:
        return {"head": self.head}

    def head_options(self) -> dict[str, object]:
        return {"most": self.most, "longest": self.longest, **self.options}

    def hidden(self, batch: Batch) -> Tensor:
        return self.model(**common_kwargs(self.model, batch)).last_hidden_state.float()

    def loss(self, batch: Batch) -> Tensor:
        assert batch.spans is not None
        asked = int(batch.spans[:, 3].max()) + 1 if len(batch.spans) else 1
        if asked > self.types:
            raise ConfigError(
                "more entity types in one pass than the head scores",
                got=asked,
                expected=f"at most {self.types}",
                fix="model.head=global_pointer model.head_options.types=<n>, "
                "or format.one_pass=false",
            )
        return self.head.loss(self.hidden(batch), batch)  # type: ignore[operator]

    def predict(self, rows: Sequence[StoredRow]) -> list[Partial]:
        batch = collate(rows, self.layout, "extract", score=True).to(self.device)
        hidden = self.hidden(batch)
        closed = [len(rows[r].closed) > 0 or rows[r].candidates > 0 for r in batch.row_of.tolist()]
        assert batch.closed is not None and batch.shift is not None
        margins = self.head.at(hidden, batch.closed).tolist()  # type: ignore[operator]
        found: list[list[Found]] = [[] for _ in closed]
        if not all(closed):
            found = self.head.spans(hidden, batch, self.most, self.longest)  # type: ignore[operator]
        shift = batch.shift.tolist()
        out: list[Partial] = []
        at = 0
        for k, (r, v) in enumerate(
            zip(batch.row_of.tolist(), batch.variant_of.tolist(), strict=True)
        ):
            row = rows[r]
            if closed[k]:
                values = [LOWEST] * row.candidates
                for c in row.closed.reshape(-1, 3)[:, 0].tolist():
                    values[c] = max(values[c], margins[at])  # its best place
                    at += 1
                out.append(Partial(row.row, row.instance + v, Scores(tuple(values))))
                continue
            places = row.offsets.reshape(-1, 2)
            spans = [
                ScoredSpan(int(places[s - shift[k], 0]), int(places[e - shift[k], 1]), score, kind)
                for s, e, score, kind in found[k]
            ]
            out.append(Partial(row.row, row.instance + v, Spans(tuple(spans))))
        return out
