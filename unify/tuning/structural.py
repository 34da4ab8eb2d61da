"""A structural prompt (Zhong et al. 2022, ProQA, arXiv 2205.04040, section 3.1): the keys of a
layout and what they are worth, each in trained vectors.

    P(x) = [k_1; v_1(x); k_2; v_2(x); …]

k_i is one vector, the indicator of key i. v_i(x) are ``length`` vectors of the value that row x has
under it: rows of one format, task or domain share them. They stand before the text, whose hard
keys stay where they are. A value that no row of training had is the mean of those that are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from formats.errors import ConfigError
from formats.layout import Coder
from formats.layouts import layout_of

from ..backbones.base import Backbone
from .base import Tuning
from .start import start_rows
from .virtual import Virtual


class StructuralPrompt(Tuning):
    """Vectors for the keys of the layout ``layout`` and for their ``values``.

    A row's values are read from the head of its own text, which the layout writes before any words
    of the row, so that none of these can stand for a value. ``init`` and ``common`` are those of
    :class:`~unify.tuning.prompt.Prompt`, without ``words``.
    """

    name: ClassVar[str] = "structural_prompt"

    def __init__(
        self,
        backbone: Backbone,
        *,
        layout: str | None = None,
        length: int = 5,
        values: Mapping[str, Sequence[str]] | None = None,
        init: str = "vocabulary",
        common: int = 5000,
    ) -> None:
        """Raises ConfigError for a layout without keys, a causal model, or a tokenizer that joins
        keys and values."""
        chosen = layout_of(layout, "generate")
        if chosen is None or not chosen.keys:
            raise ConfigError(
                "a structural prompt, and no keys in the texts", got=layout,
                expected="a layout that writes them", fix="format.layout=proqa",
            )  # fmt: skip
        if backbone.coder.layout.kind == "causal":
            raise ConfigError(
                "a prompt that depends on the text before a causal model, which would see its "
                "target there",
                expected="a masked or a seq2seq model", fix="tuning=prompt",
            )  # fmt: skip
        if init == "words":
            raise ConfigError("a structural prompt that begins as words", fix="tuning.init=random")
        values = {key: list((values or {}).get(key) or chosen.keys[key]) for key in chosen.keys}
        super().__init__(backbone, layout=layout, length=length, values=values)
        self.reader = KeyReader(backbone.coder, values, chosen.close)
        counts = [len(own) for own in values.values()]
        self.length, self.counts = length, counts
        self.virtual = Virtual(backbone, [len(counts) * (1 + length)])
        self.virtual.rows = self.placed
        total = len(counts) + length * sum(counts)
        self.table = nn.Parameter(start_rows(backbone, total, init, (), common))

    def placed(self, words: Tensor) -> Tensor:
        """The vectors ``[n, count, width]`` of a pass whose embeddings are ``words``."""
        now = self.virtual.now
        assert now.where is not None and now.ids is not None
        begins = words.new_zeros(len(words), dtype=torch.long)
        begins = begins.scatter_reduce(0, *now.where, "amax") + 1
        rows = zip(now.ids.tolist(), begins.tolist(), strict=True)
        chosen = torch.tensor([self.reader.values_of(ids[begin:]) for ids, begin in rows])
        return self.vectors(chosen.to(words.device))

    def vectors(self, chosen: Tensor) -> Tensor:
        """The prompts ``[n, count, width]`` of rows whose values are ``chosen [n, keys]``; -1: none
        that is known."""
        width, made = self.table.shape[1], []
        sizes = [len(self.counts), *(self.length * count for count in self.counts)]
        keys, *tables = self.table.split(sizes)
        for k, table in enumerate(tables):
            known = table.view(-1, self.length, width)
            every = torch.cat([known, known.mean(0, keepdim=True)])  # where -1 points to
            own = every[chosen[:, k] % len(every)]
            made += [keys[k].expand(len(chosen), 1, width), own]
        return torch.cat(made, 1)


class KeyReader:
    """Finds the values at the head of a row, ``[Key] value [Key] value … [Close]``, by its ids."""

    def __init__(self, coder: Coder, values: Mapping[str, Sequence[str]], close: str) -> None:
        names = [f"[{name}]" for name in (*values, close)]
        self.keys = coder.ids([names[0], *(coder.continuation(n) for n in names[1:])])
        self.known: list[dict[tuple[int, ...], int]] = []
        for k, (key, own) in enumerate(values.items()):
            if not own:
                raise ConfigError(
                    f"a structural prompt without a value of {key}",
                    fix=f"tuning.values={{{key}: [...]}}",
                )
            coded = coder.ids([coder.continuation(value) for value in own])
            whole = coder.ids([f"{names[k]} {value} {names[k + 1]}" for value in own])
            head = coder.ids([names[k]])[0]
            for value, ids, together in zip(own, coded, whole, strict=True):
                if together != [*head, *ids, *self.keys[k + 1]]:
                    raise ConfigError(
                        "a tokenizer that joins a key and its value", got=f"{names[k]} {value}",
                        expected="tokens that end where words do", fix="tuning=prompt",
                    )  # fmt: skip
            self.known.append({tuple(ids): at for at, ids in enumerate(coded)})

    def values_of(self, ids: Sequence[int]) -> list[int]:
        """The number of each key's value; -1 where it is none that is known."""
        found = [-1] * len(self.known)
        begin = 0
        for k, known in enumerate(self.known):
            key, following = self.keys[k], self.keys[k + 1]
            if list(ids[begin : begin + len(key)]) != key:
                break
            begin += len(key)
            end = _find(ids, following, begin)
            if end is None:
                break
            found[k] = known.get(tuple(ids[begin:end]), -1)
            begin = end
        return found


def _find(ids: Sequence[int], part: Sequence[int], begin: int) -> int | None:
    """Where ``part`` stands first at or behind ``begin``."""
    size = len(part)
    for at in range(begin, len(ids) - size + 1):
        if list(ids[at : at + size]) == list(part):
            return at
    return None
