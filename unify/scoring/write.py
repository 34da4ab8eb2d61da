"""Free generation: greedy, sampled or by beams, until a stop string, or within listed options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from formats.errors import ConfigError

from ._shared import fresh, held
from ._steps import Noise, Stops, until
from .engine import Engine
from .requests import Ids, Request
from .trie import Trie

_WORTH = 16  # shared tokens from which on a prefix is computed by itself


@dataclass(frozen=True)
class Writing:
    """How to write. ``tokens`` is the most that are written; ``temperature`` 0 is greedy.

    ``options`` closes the set of texts; they are whole continuations, blanks included."""

    tokens: int = 64
    stop: tuple[str, ...] = ()
    beams: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.temperature < 0 or not 0 < self.top_p <= 1 or self.tokens < 1 or self.beams < 1:
            raise ConfigError("an impossible way of writing", got=self)
        if self.temperature and self.beams > 1:
            raise ConfigError("beams and sampling together", fix="beams=1 or temperature=0")
        if "" in self.stop:
            raise ConfigError("an empty stop string")


@dataclass(frozen=True)
class Written:
    """``text`` without the stop string; ``ended`` is that string, ``end`` (the model's own) or
    ``length``. ``cut`` counts context tokens that did not fit."""

    text: str
    ended: str
    tokens: int
    cut: int = 0


def write(engine: Engine, contexts: Sequence[str | Ids], how: Writing) -> list[Written]:
    """What the model writes after each context, in their order. Raises ConfigError for masked
    models, which cannot."""
    layout = engine.coder.layout
    if layout.kind not in ("causal", "seq2seq"):
        raise ConfigError(
            "a masked language model cannot write freely",
            expected="a causal or seq2seq model, or listed options to score",
        )
    if layout.eos is None:
        raise ConfigError("a tokenizer without an end token cannot end a text")
    room = layout.window - (how.tokens if layout.kind == "causal" else 0)
    if room < 1:
        raise ConfigError("more tokens to write than the window has", got=how.tokens)
    prompts = [_prompt(engine, c, room) for c in contexts]
    tries: list[Trie | None] = [_trie(engine, c, how) for c in contexts]
    out: list[Written | None] = [None] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda k: -len(prompts[k][0]))
    assert engine.budget is not None
    while order:
        longest = len(prompts[order[0]][0]) + how.tokens
        fit = max(1, 4 * engine.budget.tokens // (longest * how.beams))
        batch, order = order[:fit], order[fit:]
        texts = _batch(
            engine, [prompts[k][0] for k in batch], [tries[k] for k in batch], batch, how
        )
        for k, ids in zip(batch, texts, strict=True):
            out[k] = _read(engine, ids, how, tries[k], prompts[k][1])
    return [w for w in out if w is not None]


def _prompt(engine: Engine, context: str | Ids, room: int) -> tuple[Ids, int]:
    layout = engine.coder.layout
    ids = tuple(engine.coder.ids([context])[0]) if isinstance(context, str) else tuple(context)
    before, after = layout.single_before, layout.single_after
    if layout.kind == "causal":
        after = ()
        first = layout.bos if layout.bos is not None else layout.eos
        before = before or (() if ids or first is None else (first,))
    cut = max(0, len(ids) + len(before) + len(after) - room)
    return (*before, *ids[cut:], *after), cut


def _trie(engine: Engine, context: str | Ids, how: Writing) -> Trie | None:
    if not how.options:
        return None
    end = engine.coder.layout.eos
    assert end is not None
    if engine.coder.layout.kind == "seq2seq" or not isinstance(context, str):
        return Trie(map(tuple, engine.coder.ids(how.options)), end)
    pairs = engine.encoder.continuations([Request(context, o) for o in how.options])
    return Trie((target for _, target in pairs), end)


def _batch(
    engine: Engine,
    prompts: Sequence[Ids],
    tries: Sequence[Trie | None],
    numbers: Sequence[int],
    how: Writing,
) -> list[list[int]]:
    """Written ids per prompt, one call of transformers' ``generate``."""
    from transformers import (
        GenerationConfig,
        LogitsProcessorList,
        StoppingCriteriaList,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    layout, model = engine.coder.layout, engine.model
    causal = layout.kind == "causal"
    shared = _common(prompts) if causal and how.beams == 1 and engine.path == "shared" else 0
    ids, mask = _padded(prompts, layout.pad, shared, left=causal)
    start = ids.shape[1] if causal else 1
    steps = LogitsProcessorList()
    if how.temperature:
        steps.append(TemperatureLogitsWarper(how.temperature))
        if how.top_k:
            steps.append(TopKLogitsWarper(how.top_k))
        if how.top_p < 1:
            steps.append(TopPLogitsWarper(how.top_p))
        steps.append(Noise([how.seed * 1_000_003 + n for n in numbers]))
    more: dict[str, Any] = {"logits_processor": steps}
    if how.stop:
        stops = Stops(engine.coder.tokenizer, how.stop, start)
        more["stopping_criteria"] = StoppingCriteriaList([stops])
    if how.options:

        def allowed(row: int, written: Tensor) -> list[int]:
            trie = tries[row]
            assert trie is not None
            return trie.allowed(written[start:].tolist())

        more["prefix_allowed_tokens_fn"] = allowed
    # A published model's habits (beams, penalties, forced ends) are not ours: set them aside.
    habits = model.generation_config
    model.generation_config = GenerationConfig(
        max_new_tokens=how.tokens, do_sample=False, num_beams=how.beams,
        eos_token_id=layout.eos, pad_token_id=layout.pad, bos_token_id=layout.bos,
        decoder_start_token_id=getattr(model.config, "decoder_start_token_id", None),
    )  # fmt: skip
    try:
        with torch.inference_mode():
            if shared:
                more["past_key_values"] = _prefix(model, ids[:1, :shared], len(prompts))
            made = model.generate(
                input_ids=ids.to(model.device), attention_mask=mask.to(model.device), **more
            )
    finally:
        model.generation_config = habits
    return [list(map(int, row)) for row in made[:, start:].tolist()]


def _common(prompts: Sequence[Ids]) -> int:
    """Tokens that all prompts begin with, if they are worth a pass of their own; each keeps one
    of its own, from which writing goes on."""
    first, last = min(prompts), max(prompts)
    most = min(map(len, prompts)) - 1
    same = next((k for k in range(most) if first[k] != last[k]), most)
    return same if len(prompts) > 1 and same >= _WORTH else 0


def _padded(prompts: Sequence[Ids], pad: int, shared: int, left: bool) -> tuple[Tensor, Tensor]:
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


def _prefix(model: Any, ids: Tensor, rows: int) -> Any:
    """A growing cache that begins with ``ids [1, n]``, computed once. Rows write their own keys
    behind it, so here each needs its copy."""
    from transformers.cache_utils import DynamicCache

    cache = fresh()
    model(input_ids=ids.to(model.device), past_key_values=cache, use_cache=True, logits_to_keep=1)
    wide = DynamicCache()
    for k, (keys, values) in enumerate(held(cache)):
        wide.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), k)
    return wide


def _read(engine: Engine, ids: list[int], how: Writing, trie: Trie | None, cut: int) -> Written:
    end = engine.coder.layout.eos
    ended = "length"
    if end in ids:
        ids, ended = ids[: ids.index(end)], "end"
    if trie is not None and tuple(ids) in trie.number:
        return Written(how.options[trie.number[tuple(ids)]], ended, len(ids), cut)
    decode = engine.coder.tokenizer.decode
    text = str(decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
    text, stopped = until(text, how.stop)
    return Written(text, stopped or ended, len(ids), cut)
