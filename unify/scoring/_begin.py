"""What writing begins with: prompts laid out, and what they share computed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ._shared import fresh, held, with_cache
from .engine import Engine
from .requests import Ids

_WORTH = 16  # shared tokens from which on a prefix is computed by itself


def common(prompts: Sequence[Ids]) -> int:
    """Tokens that all prompts begin with, if they are worth a pass of their own; each keeps one
    of its own, from which writing goes on."""
    first, last = min(prompts), max(prompts)
    most = min(map(len, prompts)) - 1
    same = next((k for k in range(most) if first[k] != last[k]), most)
    return same if len(prompts) > 1 and same >= _WORTH else 0


def laid(prompts: Sequence[Ids], pad: int, shared: int, left: bool) -> tuple[Tensor, Tensor]:
    """``[rows, length]``; with ``left``, padding stands between the shared and the own tokens."""
    length = max(map(len, prompts))
    ids = torch.full((len(prompts), length), pad)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        own = torch.tensor(prompt)
        if left:
            ids[row, :shared] = own[:shared]
            mask[row, :shared] = 1
            ids[row, length - len(prompt) + shared :] = own[shared:]
            mask[row, length - len(prompt) + shared :] = 1
        else:
            ids[row, : len(prompt)] = own
            mask[row, : len(prompt)] = 1
    return ids, mask


def begun(engine: Engine, ids: Tensor, mask: Tensor, shared: int, samples: int) -> dict[str, Any]:
    """What is computed once before writing: tokens that all prompts begin with, and, for several
    samples, each prompt. Rows write their own keys behind it, so here each needs its copy."""
    model, layout = engine.model, engine.coder.layout
    ids, mask = ids.to(model.device), mask.to(model.device)
    if layout.kind == "seq2seq":
        if samples == 1:
            return {}
        from transformers.modeling_outputs import BaseModelOutput

        hidden = model.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
        wide = hidden.repeat_interleave(samples, 0)
        return {"encoder_outputs": BaseModelOutput(last_hidden_state=wide)}
    alone = samples > 1 and engine.path == "shared" and ids.shape[1] > 1
    if not shared and not alone:
        return {}
    from transformers.cache_utils import DynamicCache

    cache: Any = DynamicCache()
    if shared:
        first = fresh()
        given = with_cache(model, first)
        model(input_ids=ids[:1, :shared], use_cache=True, logits_to_keep=1, **given)
        wide = (len(ids), -1, -1, -1)
        for k, (keys, values) in enumerate(held(first)):
            cache.update(keys.expand(wide), values.expand(wide), k)
    last = ids.shape[1] - 1  # from which writing goes on
    if alone and last > shared:
        places = (mask.cumsum(1) - 1).clamp(min=0)
        model(
            input_ids=ids[:, shared:last], attention_mask=mask[:, :last],
            position_ids=places[:, shared:last], use_cache=True, logits_to_keep=1,
            **with_cache(model, cache),
        )  # fmt: skip
    if samples > 1:
        cache.batch_repeat_interleave(samples)
    return with_cache(model, cache)
