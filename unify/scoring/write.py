"""Free generation: greedy, sampled or by beams, until a stop string, or within listed options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from formats.errors import ConfigError

from ._shared import fresh, held
from ._steps import Noise, Stops, until
from ._told import Told
from .engine import Engine
from .requests import Ids, Request
from .trie import Trie

_WORTH = 16  # shared tokens from which on a prefix is computed by itself
_TOGETHER = 64  # samples of a prompt that are written at once, however long it is
_APART = 0x9E3779B1  # between the seeds of a request's samples; torch reads 32 bits of a seed


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
            raise ConfigError(
                "an impossible way of writing", got=self, expected="settings within their ranges"
            )
        if self.temperature and self.beams > 1:
            raise ConfigError("beams and sampling together", fix="beams=1 or temperature=0")
        if "" in self.stop:
            raise ConfigError("an empty stop string", expected="at least one character")


@dataclass(frozen=True)
class Written:
    """``text`` without the stop string; ``ended`` is that string, ``end`` (the model's own) or
    ``length``. ``cut`` counts context tokens that did not fit. ``logprob`` (nats) is that of all
    ``tokens``, and of the end where the model wrote one; None of beams. ``ids`` are the tokens,
    with that end; those that spell a stop string are among them."""

    text: str
    ended: str
    tokens: int
    cut: int = 0
    logprob: float | None = field(default=None, compare=False)
    ids: Ids = field(default=(), compare=False, repr=False)


def write(engine: Engine, contexts: Sequence[str | Ids], how: Writing) -> list[Written]:
    """What the model writes after each context, in their order. Raises ConfigError for masked
    models, which cannot."""
    return [found[0] for found in write_samples(engine, contexts, how, 1)]


def write_samples(
    engine: Engine,
    contexts: Sequence[str | Ids],
    how: Writing,
    samples: int,
    numbers: Sequence[int] | None = None,
) -> list[list[Written]]:
    """``samples`` texts per context; each context goes through the model once (of more than 64
    samples, once for each 64).

    Request ``numbers[k]`` (its place, unless given) always draws the same texts under one seed,
    whatever is asked beside it, and its first samples are those of fewer samples. Raises
    ConfigError."""
    layout = engine.coder.layout
    if layout.kind not in ("causal", "seq2seq"):
        raise ConfigError(
            "a masked language model cannot write freely",
            expected="a causal or seq2seq model, or listed options to score",
        )
    if layout.eos is None:
        raise ConfigError(
            "a tokenizer without an end token cannot end a text",
            fix="use a tokenizer with an eos token",
        )
    if samples < 1 or (samples > 1 and not how.temperature):
        raise ConfigError(
            "several samples of a text that is always the same", got=samples, fix="temperature=0.7"
        )
    room = layout.window - (how.tokens if layout.kind == "causal" else 0)
    if room < 1:
        raise ConfigError(
            "more tokens to write than the window has",
            got=how.tokens,
            fix="ask for fewer tokens, or a larger window",
        )
    prompts = [_prompt(engine, c, room) for c in contexts]
    tries: list[Trie | None] = [_trie(engine, c, how) for c in contexts]
    named = range(len(prompts)) if numbers is None else numbers
    out: list[list[Written]] = [[] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda k: -len(prompts[k][0]))
    assert engine.budget is not None
    while order:
        longest = len(prompts[order[0]][0]) + how.tokens
        fit = max(1, 4 * engine.budget.tokens // (longest * how.beams))
        # Samples of one prompt stay together, so that it is computed once.
        fit = max(fit, min(samples, _TOGETHER))
        batch, order = order[: max(1, fit // samples)], order[max(1, fit // samples) :]
        asked = [prompts[k][0] for k in batch]
        for first in range(0, samples, fit):
            draws = range(first, min(samples, first + fit))
            seeds = [how.seed * 1_000_003 + named[k] + j * _APART for k in batch for j in draws]
            texts, told = _batch(engine, asked, [tries[k] for k in batch], seeds, how, len(draws))
            for row, (ids, logs) in enumerate(zip(texts, told, strict=True)):
                k = batch[row // len(draws)]
                out[k].append(_read(engine, ids, logs, how, tries[k], prompts[k][1]))
    return out


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
    seeds: Sequence[int],
    how: Writing,
    samples: int,
) -> tuple[list[list[int]], list[list[float] | None]]:
    """Written ids and their log-probabilities, ``samples`` rows per prompt; one call of
    transformers' ``generate``."""
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
    told = Told()
    steps = LogitsProcessorList([told] if how.beams == 1 else [])
    if how.temperature:
        steps.append(TemperatureLogitsWarper(how.temperature))
        if how.top_k:
            steps.append(TopKLogitsWarper(how.top_k))
        if how.top_p < 1:
            steps.append(TopPLogitsWarper(how.top_p))
        steps.append(Noise(seeds))
    more: dict[str, Any] = {"logits_processor": steps}
    if how.stop:
        stops = Stops(engine.coder.tokenizer, how.stop, start)
        more["stopping_criteria"] = StoppingCriteriaList([stops])
    if how.options:

        def allowed(row: int, written: Tensor) -> list[int]:
            trie = tries[row // samples]
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
            begun = _begun(engine, ids, mask, shared, samples)
            if samples > 1:
                ids, mask = (t.repeat_interleave(samples, 0) for t in (ids, mask))
            if "encoder_outputs" not in begun:
                begun["input_ids"] = ids.to(model.device)
            made = model.generate(attention_mask=mask.to(model.device), **begun, **more)
    finally:
        model.generation_config = habits
    written = made[:, start:]
    logs: list[list[float] | None] = [None] * len(made)
    if how.beams == 1:
        logs = told.table(written).tolist()
    return [list(map(int, row)) for row in written.tolist()], logs


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


def _begun(engine: Engine, ids: Tensor, mask: Tensor, shared: int, samples: int) -> dict[str, Any]:
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
        model(input_ids=ids[:1, :shared], past_key_values=first, use_cache=True, logits_to_keep=1)
        wide = (len(ids), -1, -1, -1)
        for k, (keys, values) in enumerate(held(first)):
            cache.update(keys.expand(wide), values.expand(wide), k)
    last = ids.shape[1] - 1  # from which writing goes on
    if alone and last > shared:
        places = (mask.cumsum(1) - 1).clamp(min=0)
        model(
            input_ids=ids[:, shared:last], attention_mask=mask[:, :last],
            position_ids=places[:, shared:last], past_key_values=cache, use_cache=True,
            logits_to_keep=1,
        )  # fmt: skip
    if samples > 1:
        cache.batch_repeat_interleave(samples)
    return {"past_key_values": cache}


def _read(
    engine: Engine,
    ids: list[int],
    logs: list[float] | None,
    how: Writing,
    trie: Trie | None,
    cut: int,
) -> Written:
    layout = engine.coder.layout
    end, ended = layout.eos, "length"
    if end in ids:
        ids, ended = ids[: ids.index(end)], "end"
    if how.stop and ended == "length":  # what stands behind a stop string
        while len(ids) > 1 and ids[-1] == layout.pad:
            ids = ids[:-1]
    told = None if logs is None else sum(logs[: len(ids) + (ended == "end")])
    whole = (*ids, end) if ended == "end" and end is not None else tuple(ids)
    if trie is not None and tuple(ids) in trie.number:
        return Written(how.options[trie.number[tuple(ids)]], ended, len(ids), cut, told, whole)
    decode = engine.coder.tokenizer.decode
    text = str(decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
    text, stopped = until(text, how.stop)
    return Written(text, stopped or ended, len(ids), cut, told, whole)
