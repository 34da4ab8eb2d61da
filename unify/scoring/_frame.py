"""From tokenized texts to what each kind of model reads, cut to the window and counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from formats.errors import ConfigError
from formats.layout import Layout

from .encode import Encoder
from .requests import Coded, Ids, Request


def frame(encoder: Encoder, requests: Sequence[Request], config: Any, end: bool) -> list[Coded]:
    """Requests as :class:`Coded`. Raises ConfigError where a continuation alone is too long."""
    layout = encoder.coder.layout
    if layout.kind == "causal":
        pairs = encoder.continuations(requests)
        return [
            _causal(layout, request, *pair, end)
            for request, pair in zip(requests, pairs, strict=True)
        ]
    context, target, after = (
        _alone(encoder, [getattr(r, name) for r in requests])
        for name in ("context", "continuation", "after")
    )
    make = _seq2seq if layout.kind == "seq2seq" else _masked
    start = getattr(config, "decoder_start_token_id", None)
    return [
        make(layout, r, c, (*t, *_end(layout, end)), a, start)
        for r, c, t, a in zip(requests, context, target, after, strict=True)
    ]


def _alone(encoder: Encoder, parts: Sequence[str | Ids]) -> list[Ids]:
    texts = list(dict.fromkeys(p for p in parts if isinstance(p, str)))
    found = dict(zip(texts, map(tuple, encoder.coder.ids(texts)), strict=True))
    return [found[p] if isinstance(p, str) else tuple(p) for p in parts]


def _end(layout: Layout, end: bool) -> Ids:
    return (layout.eos,) if end and layout.kind != "masked" and layout.eos is not None else ()


def _bytes(request: Request) -> int:
    text = request.continuation
    return len(text.encode()) if isinstance(text, str) else 0


def _too_long(what: str, got: int, window: int) -> ConfigError:
    return ConfigError(
        f"{what} that does not fit into the model's window",
        got=f"{got} tokens",
        expected=f"fewer than {window}",
        fix="score it as a statement, in windows",
    )


def _causal(layout: Layout, request: Request, context: Ids, target: Ids, end: bool) -> Coded:
    if request.after:
        raise ConfigError(
            "a causal model cannot read what is behind a continuation",
            got=request.after[:80],
            fix="put all of the context before the continuation",
        )
    target = (*target, *_end(layout, end))
    before = layout.single_before
    if not before and not context:
        first = layout.bos if layout.bos is not None else layout.eos
        if first is None:
            raise ConfigError(
                "nothing to begin with: an empty context and a tokenizer without bos and eos",
                fix="give requests a context",
            )
        before = (first,)
    room = layout.window + 1 - len(before) - len(target)  # the last token is only predicted
    if room < (0 if before else 1):
        raise _too_long("a continuation", len(target), layout.window)
    cut = max(0, len(context) - room)
    ids = (*before, *context[cut:], *target)
    return Coded(ids, len(ids) - len(target), _bytes(request), cut)


def _seq2seq(
    layout: Layout, request: Request, context: Ids, target: Ids, after: Ids, start: int | None
) -> Coded:
    if after:
        raise ConfigError(
            "a seq2seq model reads one context; put all of it there", fix="join the contexts"
        )
    if start is None:
        raise ConfigError(
            "a seq2seq model without a decoder_start_token_id in its configuration",
            fix="set decoder_start_token_id in its config.json",
        )
    if len(target) > layout.window:
        raise _too_long("a continuation", len(target), layout.window)
    cut = max(0, len(context) - layout.single_room)
    source = (*layout.single_before, *context[cut:], *layout.single_after)
    return Coded((start, *target), 1, _bytes(request), cut, source)


def _masked(
    layout: Layout, request: Request, context: Ids, target: Ids, after: Ids, start: int | None
) -> Coded:
    room = layout.single_room - len(target) - len(after)
    if room < 0:
        raise _too_long("a continuation and what is behind it", len(target), layout.window)
    cut = max(0, len(context) - room)
    source = (*layout.single_before, *context[cut:])
    return Coded(target, 0, _bytes(request), cut, source, (*after, *layout.single_after))
