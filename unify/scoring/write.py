"""Free generation: greedy, sampled or by beams, until a stop string, or within listed options."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from formats.errors import ConfigError

from ._begin import begun, common, laid
from ._steps import Noise, Stops, until
from ._told import Told
from .engine import Engine
from .requests import Ids, Request
from .trie import Trie

_TOGETHER = 64  # samples of a prompt that are written at once, however long it is
_APART = 0x9E3779B1  # between the seeds of a request's samples; torch reads 32 bits of a seed


@dataclass(frozen=True)
class Writing:
    """How to write. ``tokens`` is the most that are written; ``temperature`` 0 is greedy.

    ``options`` closes the set of texts; they are whole continuations, blanks included, and never
    cut: with them ``tokens`` is what the longest one takes."""

    tokens: int = 64
    stop: tuple[str, ...] = ()
    beams: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        within = 0 <= self.temperature < math.inf and 0 < self.top_p <= 1 and self.top_k >= 0
        if not within or min(self.tokens, self.beams) < 1 or not 0 <= self.seed < 1 << 32:
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
    heads, tries = _asked(engine, contexts, how.options)
    if how.options:
        longest = max((len(ids) for trie in tries if trie for ids in trie.number), default=0)
        how = replace(how, tokens=longest + 1)  # and the end
    room = _room(engine, how.tokens)
    prompts = [_prompt(engine, head, room) for head in heads]
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


def _room(engine: Engine, tokens: int) -> int:
    """How long a prompt may be before so many ``tokens`` are written. Raises ConfigError."""
    layout = engine.coder.layout
    room = layout.window - (tokens if layout.kind == "causal" else 0)
    # A decoder of its own has positions of its own; relative ones have no such bound.
    most = getattr(engine.model.config, "max_position_embeddings", None)
    if room < 1 or (layout.kind == "seq2seq" and most is not None and tokens >= most):
        raise ConfigError(
            "more tokens to write than the window has",
            got=tokens,
            expected=f"fewer than {layout.window if most is None else min(layout.window, most)}",
            fix="ask for fewer tokens, or a larger window",
        )
    return room


def _asked(
    engine: Engine, contexts: Sequence[str | Ids], options: Sequence[str]
) -> tuple[list[Ids], list[Trie | None]]:
    """The ids of each context and, where there are ``options``, what may be written behind it.
    Blanks at a context's end are the option's then, as in scoring."""
    coder, end = engine.coder, engine.coder.layout.eos
    heads = [tuple(coder.ids([c])[0]) if isinstance(c, str) else tuple(c) for c in contexts]
    tries: list[Trie | None] = [None] * len(heads)
    if not options:
        return heads, tries
    assert end is not None
    for k, context in enumerate(contexts):
        if coder.layout.kind == "seq2seq" or not isinstance(context, str):
            tries[k] = Trie(map(tuple, coder.ids(options)), end)
            continue
        pairs = engine.encoder.continuations([Request(context, o) for o in options])
        heads[k] = pairs[0][0]
        tries[k] = Trie((target for _, target in pairs), end)
    return heads, tries


def _prompt(engine: Engine, ids: Ids, room: int) -> tuple[Ids, int]:
    layout = engine.coder.layout
    before, after = layout.single_before, layout.single_after
    if layout.kind == "causal":
        after = ()
        first = layout.bos if layout.bos is not None else layout.eos
        before = before or (() if ids or first is None else (first,))
    cut = max(0, len(ids) + len(before) + len(after) - room)
    return (*before, *ids[cut:], *after), cut


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
        PrefixConstrainedLogitsProcessor,
        StoppingCriteriaList,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    layout, model = engine.coder.layout, engine.model
    causal = layout.kind == "causal"
    shared = 0
    if causal and how.beams == 1 and engine.path == "shared":
        # A sliding window counts places in the cache, padding behind the shared tokens included.
        window = getattr(engine.scorer, "window", None)
        if window is None or max(map(len, prompts)) + how.tokens <= window:
            shared = common(prompts)
    ids, mask = laid(prompts, layout.pad, shared, left=causal)
    start = ids.shape[1] if causal else 1
    told = Told()
    steps = LogitsProcessorList([told] if how.beams == 1 else [])  # before all others
    if how.options:

        def allowed(row: int, written: Tensor) -> list[int]:
            trie = tries[row // samples]
            assert trie is not None
            return trie.allowed(written[start:].tolist())

        steps.append(PrefixConstrainedLogitsProcessor(allowed, how.beams))
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
    # A published model's habits (beams, penalties, forced ends) are not ours: set them aside, but
    # for the tokens that it ends with.
    habits = model.generation_config
    model.generation_config = GenerationConfig(
        max_new_tokens=how.tokens, do_sample=False, num_beams=how.beams,
        eos_token_id=list(_ends(engine)), pad_token_id=layout.pad, bos_token_id=layout.bos,
        decoder_start_token_id=getattr(model.config, "decoder_start_token_id", None),
    )  # fmt: skip
    try:
        with torch.inference_mode():
            first = begun(engine, ids, mask, shared, samples)
            if samples > 1:
                ids, mask = (t.repeat_interleave(samples, 0) for t in (ids, mask))
            if "encoder_outputs" not in first:
                first["input_ids"] = ids.to(model.device)
            made = model.generate(attention_mask=mask.to(model.device), **first, **more)
    finally:
        model.generation_config = habits
    written = made[:, start:]
    logs: list[list[float] | None] = [None] * len(made)
    if how.beams == 1:
        logs = told.table(written).tolist()
    return [list(map(int, row)) for row in written.tolist()], logs


def _ends(engine: Engine) -> tuple[int, ...]:
    """The tokens that end a text: the tokenizer's, and those that a published chat model names
    beside it (the end of a turn)."""
    end = engine.coder.layout.eos
    assert end is not None
    named = getattr(engine.model.generation_config, "eos_token_id", None)
    return tuple(named) if isinstance(named, list) and end in named else (end,)


def _read(
    engine: Engine,
    ids: list[int],
    logs: list[float] | None,
    how: Writing,
    trie: Trie | None,
    cut: int,
) -> Written:
    layout, decode = engine.coder.layout, engine.coder.tokenizer.decode
    ends, ended = _ends(engine), "length"
    end = next((token for token in ids if token in ends), None)
    if end is not None:
        ids, ended = ids[: ids.index(end)], "end"
    # Behind a stop string stands padding, which may be the end's own token.
    if how.stop:
        spelled = str(decode(ids, clean_up_tokenization_spaces=False))
        ended = until(spelled, how.stop)[1] or ended
        while ended != "end" and len(ids) > 1 and ids[-1] == layout.pad:
            ids = ids[:-1]
    told = None if logs is None else sum(logs[: len(ids) + (ended == "end")])
    whole = (*ids, end) if ended == "end" and end is not None else tuple(ids)
    if trie is not None and tuple(ids) in trie.number:
        return Written(how.options[trie.number[tuple(ids)]], ended, len(ids), cut, told, whole)
    text = str(decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
    return Written(until(text, how.stop)[0], ended, len(ids), cut, told, whole)
