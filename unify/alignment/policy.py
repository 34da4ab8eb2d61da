"""Texts through a model, token by token: log-probabilities and hidden states of responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from formats.errors import ConfigError

from ..scoring import Engine

Ids = tuple[int, ...]


@dataclass(frozen=True)
class Pair:
    """A prompt and a response, as the model's tokens; the response holds its end token, if any."""

    prompt: Ids
    response: Ids

    def __post_init__(self) -> None:
        if not self.prompt or not self.response:
            raise ConfigError(
                "an empty prompt or response", got=self, expected="at least one token of each"
            )


class Read(NamedTuple):
    """``logprobs [n, t]`` of the responses' tokens, ``mask [n, t]`` of those that there are, and
    ``hidden [n, t, size]``, the state that predicts each."""

    logprobs: Tensor
    mask: Tensor
    hidden: Tensor


def pair(engine: Engine, source: str, target: str) -> Pair:
    """A source and what should be written after it, framed as the model is trained on them."""
    coder = engine.coder
    layout = coder.layout
    ids, wanted = coder.ids([source, coder.target(target)])
    after = () if layout.kind == "causal" else layout.single_after
    end = () if layout.eos is None else (layout.eos,)
    return Pair((*prompt_before(engine, ids), *ids, *after), (*wanted, *end))


def prompt_before(engine: Engine, ids: Sequence[int]) -> Ids:
    """What stands before a source: the tokenizer's own, or something to begin with."""
    layout = engine.coder.layout
    first = layout.bos if layout.bos is not None else layout.eos
    return layout.single_before or (() if len(ids) or first is None else (first,))


def read(engine: Engine, model: Any, pairs: Sequence[Pair]) -> Read:
    """``model`` (of ``engine``'s kind and tokenizer) over ``pairs``, with gradients where they are
    on."""
    layout = engine.coder.layout
    longest = max(len(p.response) for p in pairs)
    responses = _rows([p.response for p in pairs], longest, layout.pad).to(model.device)
    mask = _rows([(1,) * len(p.response) for p in pairs], longest, 0).to(model.device)
    if layout.kind == "causal":
        whole = [(*p.prompt, *p.response) for p in pairs]
        width = max(map(len, whole))
        ids = _rows(whole, width, layout.pad).to(model.device)
        seen = _rows([(1,) * len(w) for w in whole], width, 0).to(model.device)
        found = model(input_ids=ids, attention_mask=seen, output_hidden_states=True)
        first = torch.tensor([len(p.prompt) - 1 for p in pairs], device=model.device)
        places = (first[:, None] + torch.arange(longest, device=model.device)).clamp(max=width - 1)
        rows = torch.arange(len(pairs), device=model.device)[:, None]
        logits, hidden = found.logits[rows, places], found.hidden_states[-1][rows, places]
    else:
        width = max(len(p.prompt) for p in pairs)
        ids = _rows([p.prompt for p in pairs], width, layout.pad).to(model.device)
        seen = _rows([(1,) * len(p.prompt) for p in pairs], width, 0).to(model.device)
        start = int(model.config.decoder_start_token_id)
        begun = torch.full_like(responses[:, :1], start)
        found = model(
            input_ids=ids,
            attention_mask=seen,
            decoder_input_ids=torch.cat([begun, responses[:, :-1]], 1),
            output_hidden_states=True,
        )
        logits, hidden = found.logits, found.decoder_hidden_states[-1]
    chosen = logits.float().log_softmax(-1).gather(-1, responses[..., None])[..., 0]
    return Read(chosen * mask, mask.float(), hidden.float())


def _rows(rows: Sequence[Ids], width: int, pad: int) -> Tensor:
    out = torch.full((len(rows), width), pad)
    for k, row in enumerate(rows):
        out[k, : len(row)] = torch.tensor(row)
    return out
