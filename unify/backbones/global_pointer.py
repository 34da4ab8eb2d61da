"""GlobalPointer (Su et al. 2022, arXiv 2208.03054): every span of every type has a score."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from formats.collate import Batch

from .losses import multilabel_loss
from .span import Found, SpanBackbone, closed_loss


def rotate(x: Tensor) -> Tensor:
    """Rotary positions (Su et al. 2021) on ``x [n, L, types, size]`` (size even)."""
    size = x.shape[-1]
    at = torch.arange(x.shape[1], device=x.device, dtype=torch.float32)
    rate = 10000.0 ** (-torch.arange(0, size, 2, device=x.device, dtype=torch.float32) / size)
    angle = (at[:, None] * rate[None, :]).repeat_interleave(2, -1)[None, :, None, :]
    turned = torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2)
    return x * angle.cos().to(x.dtype) + turned * angle.sin().to(x.dtype)


class GlobalPointerHead(nn.Module):
    """``s(i, j) = rope(q_i) . rope(k_j) / sqrt(size)`` per type; zero is the threshold.

    ``efficient`` (Efficient GlobalPointer, of the same paper) has one q and k for all types, which
    find spans, and per type a weight ``w`` of ``4 * size``, which tells them apart:
    ``s(i, j) + w . [q_i; k_i; q_j; k_j] / 2``, with q and k as they are before the rotation. The
    paper's equation has neither scale; they are those of the authors' code (bert4keras): 1 /
    sqrt(size) as in the plain head, and half of what each end adds, so that published settings
    mean the same here. That code's constant per type is left out, as in the equation.
    """

    def __init__(self, width: int, types: int = 1, size: int = 64, efficient: bool = False) -> None:
        super().__init__()
        self.types, self.size = types, size
        self.pairs = 1 if efficient else types  # of a q and a k
        self.out = nn.Linear(width, self.pairs * size * 2)
        # What the first token adds to each type's score, then what the last one does.
        self.kinds = nn.Linear(2 * size, 2 * types, bias=False) if efficient else None

    def forward(self, hidden: Tensor) -> Tensor:
        """hidden ``[n, L, width]`` -> scores ``[n, types, L, L]`` (first token, last token)."""
        n, length, _ = hidden.shape
        both = self.out(hidden).view(n, length, self.pairs, 2 * self.size)
        q, k = rotate(both[..., : self.size]), rotate(both[..., self.size :])
        scores = torch.einsum("nitd,njtd->ntij", q, k).float() / self.size**0.5
        if self.kinds is None:
            return scores
        first, last = self.kinds(both[:, :, 0]).float().transpose(1, 2).chunk(2, 1)
        return scores + (first[..., :, None] + last[..., None, :]) / 2

    def _valid(self, inside: Tensor) -> Tensor:
        """``[n, L]`` -> ``[n, 1, L, L]``: both ends inside the passage, first not after last."""
        both = inside[:, :, None] & inside[:, None, :]
        return both.triu()[:, None]

    def loss(self, hidden: Tensor, batch: Batch) -> Tensor:
        scores = self(hidden)
        assert batch.spans is not None and batch.inside is not None and batch.closed is not None
        gold = torch.zeros_like(scores, dtype=torch.bool)
        k, s, e, t = batch.spans.unbind(1)
        gold[k, t, s, e] = True
        valid = self._valid(batch.inside).expand_as(scores)
        per_type = multilabel_loss(scores.flatten(2), gold.flatten(2), valid.flatten(2))
        is_closed = torch.zeros(len(scores), dtype=torch.bool, device=scores.device)
        is_closed[batch.closed[:, 0]] = True
        k, s, e = batch.closed.unbind(1)
        return per_type[~is_closed].sum() + closed_loss(scores[k, 0, s, e], batch)

    def spans(self, hidden: Tensor, batch: Batch, most: int, longest: int) -> list[list[Found]]:
        scores = self(hidden)
        n, _, length, _ = scores.shape
        assert batch.inside is not None
        at = torch.arange(length, device=scores.device)
        short = (at[None, :] - at[:, None]) < longest
        valid = (self._valid(batch.inside) & short).expand_as(scores)
        flat = scores.masked_fill(~valid, torch.finfo(scores.dtype).min).view(n, -1)
        top = flat.topk(min(most, flat.shape[1]), 1)
        counts = valid.reshape(n, -1).sum(1).tolist()
        out: list[list[Found]] = []
        for values, places, count in zip(
            top.values.tolist(), top.indices.tolist(), counts, strict=True
        ):
            found = []
            for value, place in list(zip(values, places, strict=True))[:count]:
                kind, rest = divmod(place, length * length)
                found.append((rest // length, rest % length, value, kind))
            out.append(found)
        return out

    def at(self, hidden: Tensor, spans: Tensor) -> Tensor:
        if not len(spans):
            return hidden.new_zeros(0)
        k, s, e = spans.unbind(1)
        return self(hidden)[k, 0, s, e]


class GlobalPointerBackbone(SpanBackbone):
    """An encoder and a :class:`GlobalPointerHead`; with ``types`` > 1 it tags in one pass.

    A task's types are the head's first ones, in the task's own order.
    """

    name = "global_pointer"

    def make_head(self, width: int, **head: object) -> nn.Module:
        return GlobalPointerHead(width, **head)  # type: ignore[arg-type]
