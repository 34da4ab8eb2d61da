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
        moved: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            moved[f.name] = (
                value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
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
) -> tuple[Tensor, list[int], list[int]]:
    """Pairs within their frame ``[n, L]``, their lengths, and where each second text begins."""
    head, middle, tail = len(layout.before), len(layout.between), len(layout.after)
    begins = [head + len(first) + middle for first, _ in parts]
    ends = [begin + len(second) for begin, (_, second) in zip(begins, parts, strict=True)]
    lengths = [end + tail for end in ends]
    out = np.full((len(parts), max(lengths, default=0)), layout.pad, np.int64)
    out[:, :head] = layout.before
    for row, begin, end, (first, second) in zip(out, begins, ends, parts, strict=True):
        row[head : begin - middle] = first
        row[begin - middle : begin] = layout.between
        row[begin:end] = second
        row[end : end + tail] = layout.after
    return torch.from_numpy(out), lengths, begins


def _pair(rows: Sequence[StoredRow], layout: Layout, format: str) -> Batch:
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    row_of: list[int] = []
    variant_of: list[int] = []
    for r, row in enumerate(rows):
        for v, variant in enumerate(row.variant_ids()):
            parts.append((variant, row.shared) if format == "extract" else (row.shared, variant))
            row_of.append(r)
            variant_of.append(v)
    ids, lengths, shifts = _framed(parts, layout)
    n, width = ids.shape
    at = torch.arange(width)[None, :]
    real = at < torch.tensor(lengths, dtype=torch.long)[:, None]
    mask = real.long()
    begin = torch.tensor(shifts, dtype=torch.long)[:, None]
    types = ((at >= begin) & real).long() * layout.second_type
    batch = Batch(ids, mask, types, torch.tensor(row_of), torch.tensor(variant_of), float(n), rows)
    if format == "entail":
        batch.gold = torch.from_numpy(
            np.concatenate([r.gold for r in rows]) if rows else np.zeros(0, np.float32)
        )
        return batch
    length = torch.tensor([len(rows[r].shared) for r in row_of])[:, None]
    batch.inside = (at >= begin) & (at < begin + length)
    batch.shift = begin[:, 0]
    starts, ends = torch.zeros(n, width), torch.zeros(n, width)
    first_of_row = np.cumsum([0, *(len(r.widths) for r in rows)])
    spans: list[tuple[int, int, int, int]] = []
    closed: list[tuple[int, int, int]] = []
    chosen: list[bool] = []
    for r, row in enumerate(rows):
        gold: set[tuple[int, int, int]] = set()
        for v, s, e, t in row.spans.reshape(-1, 4).tolist():
            k = int(first_of_row[r]) + v
            spans.append((k, s + shifts[k], e + shifts[k], t))
            gold.add((v, s, e))
        for v in range(len(row.widths) if len(row.closed) else 0):
            k = int(first_of_row[r]) + v
            for _, s, e in row.closed.reshape(-1, 3).tolist():
                closed.append((k, s + shifts[k], e + shifts[k]))
                chosen.append((v, s, e) in gold)
    batch.spans = torch.tensor(spans, dtype=torch.long).reshape(-1, 4)
    starts[batch.spans[:, 0], batch.spans[:, 1]] = 1.0
    ends[batch.spans[:, 0], batch.spans[:, 2]] = 1.0
    batch.closed = torch.tensor(closed, dtype=torch.long).reshape(-1, 3)
    batch.chosen = torch.tensor(chosen, dtype=torch.bool)
    batch.starts, batch.ends = starts, ends
    return batch


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
