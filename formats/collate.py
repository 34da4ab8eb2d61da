"""Stored rows to padded tensors. Shapes: n sequences, length L; see :class:`Batch`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .layout import Layout
from .store import StoredRow


@dataclass
class Batch:
    """Padded sequences and what is to be learned from them.

    ids, mask, types: ``[n, L]``. ``row_of[k]`` is the position in ``rows`` and ``variant_of[k]``
    the variant that sequence ``k`` belongs to.

    generate: ``target [n, T]`` with -100 where nothing is to be predicted. Causal: T = L and
    position t of ``target`` is the token *at* t (heads shift);
    padding stands on the left, so that targets end together. Seq2seq: ids is the source ``[r, L]``
    (once per row), ``source_of [n]`` points into it. Masked: T = L, the tokens behind the masks.
    extract: ``starts, ends [n, L]`` are 1 at gold tokens, ``inside [n, L]`` is True on passage
    tokens, ``shift [n]`` is where the passage begins, ``spans [m, 4]`` (sequence, first, last,
    type), ``closed [c, 3]`` (sequence, first, last) the listed candidates of closed instances and
    ``chosen [c]`` whether each is gold.
    entail: ``gold [n]``, the probability of yes.
    ``branch [n, L]`` is given where a causal sequence holds several queries: 0 for what they share,
    k for query k, which sees the shared tokens and its own, -1 for padding; ``places [n, L]`` are
    the positions then.
    ``weight`` is what the loss of this batch counts for in its step (tokens or sequences),
    ``dropped`` the demonstrations that its episodes had no room for.
    """

    ids: Tensor
    mask: Tensor
    types: Tensor
    row_of: Tensor
    variant_of: Tensor
    weight: float
    rows: Sequence[StoredRow] = field(default_factory=list)
    tasks: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    target: Tensor | None = None
    source_of: Tensor | None = None
    starts: Tensor | None = None
    ends: Tensor | None = None
    inside: Tensor | None = None
    shift: Tensor | None = None
    spans: Tensor | None = None
    closed: Tensor | None = None
    chosen: Tensor | None = None
    gold: Tensor | None = None
    branch: Tensor | None = None
    places: Tensor | None = None
    step_weight: float = 0.0
    step_parts: int = 1
    dropped: int = 0

    def to(self, device: torch.device | str) -> Batch:
        # A copy to the host that nobody waits for is read before it is there.
        ahead = torch.device(device).type != "cpu"
        moved: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            moved[f.name] = (
                value.to(device, non_blocking=ahead) if isinstance(value, Tensor) else value
            )
        return Batch(**moved)

    @property
    def tokens(self) -> int:
        """Real tokens, padding left out."""
        return int(self.mask.sum())


def _pad(parts: Sequence[np.ndarray], value: int, *, left: bool = False) -> Tensor:
    width = max((len(p) for p in parts), default=0)
    out = np.full((len(parts), width), value, np.int64)
    for k, p in enumerate(parts):
        at = width - len(p) if left else 0
        out[k, at : at + len(p)] = p
    return torch.from_numpy(out)


def _mask(parts: Sequence[np.ndarray], width: int, *, left: bool = False) -> Tensor:
    lengths = torch.tensor([len(p) for p in parts], dtype=torch.long)[:, None]
    at = torch.arange(width)[None, :]
    return (at >= width - lengths if left else at < lengths).long()


def collate(
    rows: Sequence[StoredRow], layout: Layout, format: str, *, score: bool = False
) -> Batch:
    """One batch of all variants of ``rows``.

    ``score=True`` keeps every option of generate rows; otherwise only targets are laid out.
    """
    if format == "generate":
        return _generate(rows, layout, score)
    return _pair(rows, layout, format)


def _framed(
    parts: Sequence[tuple[np.ndarray, np.ndarray]], layout: Layout
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs within their frame ``[n, L]``, their lengths, and where each second text begins."""
    head, middle, tail = len(layout.before), len(layout.between), len(layout.after)
    begins = [head + len(first) + middle for first, _ in parts]
    ends = [begin + len(second) for begin, (_, second) in zip(begins, parts, strict=True)]
    out = np.full((len(parts), max(ends, default=-tail) + tail), layout.pad, np.int64)
    out[:, :head] = layout.before
    for row, begin, end, (first, second) in zip(out, begins, ends, parts, strict=True):
        row[head : begin - middle] = first
        row[begin - middle : begin] = layout.between
        row[begin:end] = second
        row[end : end + tail] = layout.after
    return out, np.array(ends, np.int64) + tail, np.array(begins, np.int64)


def _pair(rows: Sequence[StoredRow], layout: Layout, format: str) -> Batch:
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    for row in rows:
        if format == "extract":
            parts += [(variant, row.shared) for variant in row.variant_ids()]
        else:
            parts += [(row.shared, variant) for variant in row.variant_ids()]
    variants = np.array([len(row.widths) for row in rows], np.int64)
    first = np.cumsum(variants) - variants  # the first sequence of each row
    row_of = np.repeat(np.arange(len(rows)), variants)
    ids, lengths, begins = _framed(parts, layout)
    at = np.arange(ids.shape[1])
    real = at < lengths[:, None]
    batch = Batch(
        torch.from_numpy(ids),
        torch.from_numpy(real.astype(np.int64)),
        torch.from_numpy(((at >= begins[:, None]) & real) * np.int64(layout.second_type)),
        torch.from_numpy(row_of),
        torch.from_numpy(np.arange(len(parts)) - first[row_of]),
        float(len(parts)),
        rows,
    )
    if format == "entail":
        batch.gold = torch.from_numpy(_joined([r.gold for r in rows], np.float32))
        return batch
    widths = np.array([len(row.shared) for row in rows], np.int64)[row_of]
    inside = (at >= begins[:, None]) & (at < (begins + widths)[:, None])
    batch.inside, batch.shift = torch.from_numpy(inside), torch.from_numpy(begins)
    spans, owner = _spans([row.spans for row in rows], 4)
    spans[:, 0] += first[owner]  # from the row's variant to the batch's sequence
    spans[:, 1:3] += begins[spans[:, 0], None]
    closed, k = _spans([rows[r].closed for r in row_of.tolist()], 3)
    closed[:, 0] = k
    closed[:, 1:] += begins[k, None]
    place = np.array([ids.size, ids.shape[1], 1], np.int64)  # one number per (sequence, s, e)
    chosen = np.isin(closed @ place, spans[:, :3] @ place)
    batch.spans, batch.closed = torch.from_numpy(spans), torch.from_numpy(closed)
    batch.chosen = torch.from_numpy(chosen)
    batch.starts, batch.ends = torch.zeros(ids.shape), torch.zeros(ids.shape)
    batch.starts[batch.spans[:, 0], batch.spans[:, 1]] = 1.0
    batch.ends[batch.spans[:, 0], batch.spans[:, 2]] = 1.0
    return batch


def _joined(parts: Sequence[np.ndarray], kind: type) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0, kind)


def _spans(parts: Sequence[np.ndarray], width: int) -> tuple[np.ndarray, np.ndarray]:
    """Flat spans as one table ``[m, width]``, and the part ``[m]`` that each comes from."""
    table = _joined(parts, np.int32).astype(np.int64).reshape(-1, width)
    return table, np.repeat(np.arange(len(parts)), [len(p) // width for p in parts])


def _chosen(row: StoredRow, score: bool) -> list[tuple[int, np.ndarray]]:
    pairs = list(enumerate(row.variant_ids()))
    if score or len(pairs) < 2:
        return pairs
    gold = int(np.argmax(row.gold))
    return [pairs[gold]]


def _generate(rows: Sequence[StoredRow], layout: Layout, score: bool) -> Batch:
    before, after = (
        np.array(layout.single_before, np.int32),
        np.array(layout.single_after, np.int32),
    )
    parts: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    row_of: list[int] = []
    variant_of: list[int] = []
    sources: list[np.ndarray] = []
    for r, row in enumerate(rows):
        source = np.concatenate([before, row.shared])
        sources.append(np.concatenate([source, after]))
        for v, variant in _chosen(row, score):
            row_of.append(r)
            variant_of.append(v)
            blank = np.full(len(source), -100)
            if layout.kind == "causal":
                parts.append(np.concatenate([source, variant]))
                targets.append(np.concatenate([blank, variant]))
            elif layout.kind == "masked":
                assert layout.mask is not None
                # As many blanks as the row's longest answer: their number must not tell which
                # answer is right (Schick and Schütze 2021b, section 3.1).
                holes = np.full(int(row.widths.max()), layout.mask)
                behind = np.full(len(holes) - len(variant) + len(after), -100)
                parts.append(np.concatenate([source, holes, after]))
                targets.append(np.concatenate([blank, variant, behind]))
            else:
                targets.append(variant.astype(np.int64))
    if layout.kind == "seq2seq":
        parts = sources
    left = layout.kind == "causal"
    ids = _pad(parts, layout.pad, left=left)
    target = _pad(targets, -100, left=left)
    batch = Batch(
        ids,
        _mask(parts, ids.shape[1], left=left),
        torch.zeros_like(ids),
        torch.tensor(row_of, dtype=torch.long),
        torch.tensor(variant_of, dtype=torch.long),
        float((target != -100).sum()),
        rows,
    )
    batch.target = target
    if layout.kind == "seq2seq":
        batch.source_of = batch.row_of
    return batch


def sources(rows: Sequence[StoredRow], layout: Layout) -> tuple[Tensor, Tensor]:
    """Sources alone, for free generation: ids and mask ``[r, L]``.

    Causal sources are padded on the left, so that every row continues at the same position.
    """
    before, after = (
        np.array(layout.single_before, np.int32),
        np.array(layout.single_after, np.int32),
    )
    tail = after if layout.kind == "seq2seq" else after[:0]
    parts = [np.concatenate([before, r.shared, tail]) for r in rows]
    left = layout.kind == "causal"
    ids = _pad(parts, layout.pad, left=left)
    return ids, _mask(parts, ids.shape[1], left=left)
