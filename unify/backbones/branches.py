"""Who attends to whom where one sequence holds several queries, and whether a model obeys."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from formats.collate import Batch

from ..scoring._check import tolerance


def mask(model: Any, batch: Batch) -> Any:
    """``[n, 1, L, L]`` to be added to attention: 0 where a token may look, the type's least number
    elsewhere. One per kind of layer where the model has several kinds."""
    assert batch.branch is not None and batch.places is not None
    config = model.config.get_text_config()
    seen = _seen(batch.branch)
    like = model.get_input_embeddings().weight
    kinds = tuple(dict.fromkeys(getattr(config, "layer_types", None) or ()))
    window = getattr(config, "sliding_window", None)
    if getattr(config, "use_sliding_window", True) is False or kinds == ("full_attention",):
        window = None
    full = _added(seen, like)
    near = full
    if window is not None and int(batch.places.max()) >= window:
        near = _added(seen & (batch.places[:, :, None] - batch.places[:, None] < window), like)
    if len(kinds) > 1:
        return {kind: full if kind == "full_attention" else near for kind in kinds}
    return near


def _seen(branch: Tensor) -> Tensor:
    """``[n, L, L]``: what stands before, is shared or of the same branch. Padding sees itself, so
    that no row is empty."""
    key, query = branch[:, None], branch[:, :, None]
    before = torch.ones(branch.shape[1], branch.shape[1], dtype=torch.bool).tril().to(branch.device)
    itself = torch.eye(branch.shape[1], dtype=torch.bool, device=branch.device)
    return ((key == 0) | (key == query)) & (key >= 0) & before | itself


def _added(seen: Tensor, like: Tensor) -> Tensor:
    least = torch.finfo(like.dtype).min
    return torch.zeros(seen.shape, dtype=like.dtype, device=like.device).masked_fill_(
        ~seen, least
    )[:, None]


def refusal(backbone: Any) -> str | None:
    """Why ``backbone`` must read every query by itself, or None: drawn tokens are scored both ways
    and compared."""
    if backbone.layout.kind != "causal" or not backbone.places:
        return "the model takes no positions"
    draw = torch.Generator().manual_seed(0)
    words = int(backbone.model.config.get_text_config().vocab_size)
    shared, *queries = (
        torch.randint(words, (n,), generator=draw) for n in (backbone.layout.window // 2, 5, 3)
    )
    alone = [_batch([shared, q]) for q in queries]
    packed = _batch([shared, *queries])
    was = backbone.training
    backbone.eval()
    try:
        with torch.inference_mode():
            found = [
                torch.log_softmax(backbone.targets(b.to(backbone.device)).logits.float(), -1)
                for b in (packed, *alone)
            ]
    except Exception as error:
        return f"several queries in one sequence failed: {type(error).__name__}: {error}"[:300]
    finally:
        backbone.train(was)
    apart = float((found[0] - torch.cat(found[1:])).abs().max())
    if not apart <= tolerance(backbone.model):
        return f"queries read together and alone differed by {apart:.2g} per token"
    return None


def _batch(parts: list[Tensor]) -> Batch:
    """One sequence: what is shared, and queries of which all but the first token are targets."""
    shared, *queries = parts
    ids = torch.cat(parts)[None]
    branch = torch.cat([torch.full_like(p, k) for k, p in enumerate(parts)])[None]
    places = torch.cat(
        [torch.arange(len(shared)), *(len(shared) + torch.arange(len(q)) for q in queries)]
    )[None]
    target = ids.clone()
    target[:, : len(shared)] = -100
    first = [len(shared) + sum(len(q) for q in queries[:k]) for k in range(len(queries))]
    target[:, first] = -100
    zero = torch.zeros(1, dtype=torch.long)
    made = Batch(ids, torch.ones_like(ids), torch.zeros_like(ids), zero, zero, 0.0)
    made.target = target
    if len(queries) > 1:
        made.branch, made.places = branch, places
    return made
