"""Positions of the sequence that stand for no word: soft prompts and prefixes.

Ids beyond the vocabulary are written into the frame that the layout puts around every text. So the
window, masks, positions, shared prefixes and heads count them like any token, they reach the
encoder of an encoder-decoder, and only the word embedding has to know that they are no words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from formats.errors import ConfigError

from ..backbones.base import Backbone

Piece = int | str  # so many virtual positions, or words that anchor them
ROOM = 8  # tokens of text that a prompt must leave


class Pass:
    """What is known of the forward pass that is under way; never copied with its owner.

    ``where`` holds the row and column of each virtual position and ``slot`` its number, None where
    the sequences have none (the decoder, or a continued generation). ``text [n, L]`` is True at
    words, ``ids [n, L]`` are those of the pass. ``rows`` is what the owner made for it.
    """

    def __init__(self) -> None:
        self.where: tuple[Tensor, Tensor] | None = None
        self.slot: Tensor | None = None
        self.text: Tensor | None = None
        self.ids: Tensor | None = None
        self.rows: Any = None

    def __reduce__(self) -> tuple[type[Pass], tuple[()]]:
        return Pass, ()


class Virtual(nn.Module):
    """``before``, ``between`` and ``after`` the texts of ``backbone``: numbers of positions, or
    words that anchor them; ``count`` positions in all. ``rows`` makes their vectors.
    """

    def __init__(
        self,
        backbone: Backbone,
        before: Sequence[Piece] = (),
        between: Sequence[Piece] = (),
        after: Sequence[Piece] = (),
    ) -> None:
        super().__init__()
        words = backbone.model.get_input_embeddings()
        self.width = int(words.weight.shape[1])
        self.first = max(len(backbone.coder.tokenizer), int(words.weight.shape[0]))
        self.count = 0
        self.now = Pass()
        self.rows: Callable[[Tensor], Tensor | None] | None = None
        self.pad = backbone.coder.layout.pad
        frames = [self._ids(backbone, part) for part in (before, between, after)]
        if not self.count:
            raise ConfigError(
                "a prompt without positions",
                got=[*before, *between, *after],
                expected="at least one position",
            )
        self._frame(backbone, *frames)
        for module in backbone.model.modules():
            if isinstance(module, nn.Embedding) and module.weight is words.weight:
                module.register_forward_pre_hook(self._find)
                module.register_forward_hook(self._place)

    def _ids(self, backbone: Backbone, pieces: Sequence[Piece]) -> tuple[int, ...]:
        found: list[int] = []
        for piece in pieces:
            if isinstance(piece, str):
                found += backbone.coder.ids([backbone.coder.continuation(piece)])[0]
            else:
                found += range(self.first + self.count, self.first + self.count + piece)
                self.count += piece
        return tuple(found)

    def _frame(
        self,
        backbone: Backbone,
        before: tuple[int, ...],
        between: tuple[int, ...],
        after: tuple[int, ...],
    ) -> None:
        layout = backbone.coder.layout
        if after and layout.kind == "causal":
            raise ConfigError(
                "a prompt behind the text of a causal model: its target stands there",
                fix="tuning.after=[]",
            )
        if between and layout.kind != "encoder":
            raise ConfigError(
                "a prompt between two texts of a language model, which reads one",
                fix="tuning.between=[]",
            )
        made = replace(
            layout,
            before=layout.before + before,
            between=between + layout.between,
            after=after + layout.after,
            single_before=layout.single_before + before,
            single_after=after + layout.single_after,
        )
        if min(made.pair_room, made.single_room) < ROOM:
            raise ConfigError(
                "a prompt that leaves no room for text",
                got=f"{len(before) + len(between) + len(after)} tokens in a window of "
                f"{layout.window}",
                expected=f"at least {ROOM} tokens of text",
                fix="a shorter prompt, or a longer model.window",
            )
        backbone.coder.layout = made

    def _find(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        (ids,) = args
        virtual = ids >= self.first
        now = self.now = Pass()
        if not bool(virtual.any()):
            return None
        now.where = virtual.nonzero(as_tuple=True)
        now.slot = ids[now.where] - self.first
        now.text = ~virtual & (ids != self.pad)
        now.ids = ids
        return (ids.masked_fill(virtual, self.pad),)

    def _place(self, module: nn.Module, args: Any, output: Tensor) -> Tensor | None:
        if self.now.where is None or self.rows is None:
            return None
        rows = self.rows(output)
        return None if rows is None else self.put(output, rows)

    def put(self, output: Tensor, rows: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """``output [n, L, width]`` with ``rows`` in columns ``start:stop`` of the virtual
        positions; rows ``[count, columns]``, or ``[n, count, columns]``, one for each sequence."""
        assert self.now.where is not None and self.now.slot is not None
        (at, place), slot = self.now.where, self.now.slot
        new = (rows[slot] if rows.ndim == 2 else rows[at, slot]).to(output.dtype)
        if start == 0 and stop in (None, output.shape[-1]):
            return output.index_put((at, place), new)
        columns = torch.arange(start, stop or output.shape[-1], device=output.device)
        return output.index_put((at[:, None], place[:, None], columns[None]), new)
