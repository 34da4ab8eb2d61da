"""Encoder-decoder models: the encoder once per source, its continuations decoded in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from ._logits import logits_at
from ._memory import Budget, out_of_memory
from ._shared import fresh, held, with_cache
from ._slots import Slots, padded, table
from .requests import Coded
from .work import Work


class Seq2Seq:
    """Scores with an encoder and a decoder.

    The decoder reads its start token once per source, which gives the cross-attention's keys and
    values and every option's first token; the rest of the options follows in one batch.
    """

    def __init__(self, model: Any, budget: Budget, pad: int) -> None:
        self.model, self.budget, self.pad = model, budget, pad
        self.work = Work()

    def refusal(self) -> str | None:
        return None

    def score(self, coded: Sequence[Coded]) -> Slots:
        slots = Slots(coded)
        rows: dict[tuple[int, ...], list[int]] = {}
        for k, request in enumerate(coded):
            rows.setdefault(request.source, []).append(k)
        waiting = sorted(rows, key=len)  # the longest is taken first
        with torch.inference_mode():
            while waiting:
                longest = len(waiting[-1])
                fit = max(1, min(len(waiting), self.budget.tokens // longest))
                batch = waiting[-fit:]
                try:
                    self._rows(batch, [rows[s] for s in batch], coded, slots)
                except Exception as error:
                    # Of one source, its continuations are taken fewer at a time.
                    if not out_of_memory(error) or not self.budget.shrink():
                        raise
                    continue
                del waiting[-fit:]
        return slots

    def _rows(
        self,
        sources: Sequence[tuple[int, ...]],
        members: Sequence[Sequence[int]],
        coded: Sequence[Coded],
        slots: Slots,
    ) -> None:
        device = self.model.device
        ids, mask = (t.to(device) for t in padded(sources, self.pad))
        states = self.model.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
        self.work.add(int(mask.sum()), int(mask.sum(1).square().sum()), mask.numel())
        start = coded[members[0][0]].ids[0]
        entries = [
            (row, coded[k].ids[1], slots.starts[k]) for row, ks in enumerate(members) for k in ks
        ]
        cache = EncoderDecoderCache(fresh(), fresh())
        begin = torch.full((len(sources), 1), start, device=device)
        self._decode(begin, states, mask, cache, entries, slots)
        longer = [(row, k) for row, ks in enumerate(members) for k in ks if slots.lengths[k] > 1]
        longer.sort(key=lambda pair: -slots.lengths[pair[1]])
        step = max(1, 2 * self.budget.tokens // ids.shape[1])
        for at in range(0, len(longer), step):
            part = longer[at : at + step]
            inputs, _ = padded([coded[k].ids[1:-1] for _, k in part], self.pad)
            width = inputs.shape[1]
            entries = [
                (row * width + i - 2, coded[k].ids[i], slots.starts[k] + i - 1)
                for row, (_, k) in enumerate(part)
                for i in range(2, len(coded[k].ids))
            ]
            of = torch.tensor([row for row, _ in part], device=device)
            self._decode(
                inputs.to(device), states[of], mask[of], _chosen(cache, of), entries, slots
            )

    def _decode(
        self,
        ids: Tensor,
        states: Tensor,
        mask: Tensor,
        cache: Cache,
        entries: Sequence[tuple[int, int, int]],
        slots: Slots,
    ) -> None:
        made, places, rows = table(entries)
        logits = logits_at(
            self.model,
            torch.from_numpy(places).to(self.model.device),
            encoder_outputs=BaseModelOutput(last_hidden_state=states),
            attention_mask=mask,
            decoder_input_ids=ids,
            **with_cache(self.model, cache),
            use_cache=True,
        )
        slots.file(logits, rows, made)
        self.work.add(len(places), len(places) * mask.shape[1], ids.numel())
        self.work.scored += len(places)


def _chosen(cache: EncoderDecoderCache, of: Tensor) -> EncoderDecoderCache:
    """The cache's rows ``of``, without touching the cache."""
    made = []
    for half in (cache.self_attention_cache, cache.cross_attention_cache):
        copy = fresh()
        for k, (keys, values) in enumerate(held(half)):
            copy.update(keys[of], values[of], k)
        made.append(copy)
    return EncoderDecoderCache(*made)


def plain(model: Any, request: Coded) -> tuple[Tensor, Tensor]:
    """One request by itself, encoder and decoder in one pass: the reference."""
    device = model.device
    with torch.inference_mode():
        logits = model(
            input_ids=torch.tensor([request.source], device=device),
            decoder_input_ids=torch.tensor([request.ids[:-1]], device=device),
            use_cache=False,
        ).logits[0]
        targets = torch.tensor(request.scored, device=device)
        chosen = logits.float().log_softmax(-1).gather(1, targets[:, None])[:, 0]
        return chosen, logits.argmax(-1) == targets
