"""Where a backbone wants its texts: special ids, the model's window, and how texts become ids."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Literal, NamedTuple

import numpy as np

from .deaf import deafened
from .errors import ConfigError
from .offsets import tidied
from .pieces import Pieces, separable

Kind = Literal["encoder", "causal", "seq2seq", "masked"]
KINDS_OF_LAYOUT: tuple[str, ...] = ("encoder", "causal", "seq2seq", "masked")

# Scripts that write no blank between words: a target in them gets none before it either.
_UNSPACED = (("\u2e80", "\u9fff"), ("\uac00", "\ud7a3"), ("\uf900", "\ufaff"), ("\uff00", "\uffef"))


def unspaced(text: str) -> bool:
    """Whether ``text`` begins in a script that writes no blank between words."""
    return any(a <= text[:1] <= b for a, b in _UNSPACED)


@dataclass(frozen=True)
class Layout:
    """Special-token ids around one text or a pair, and the window (tokens).

    A pair is ``before + first + between + second + after``; a single text is
    ``single_before + text + single_after``. ``second_type`` is the token type of the second text
    and of ``after`` (0 where the model knows no types).
    """

    kind: Kind
    window: int
    pad: int
    before: tuple[int, ...] = ()
    between: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    second_type: int = 0
    single_before: tuple[int, ...] = ()
    single_after: tuple[int, ...] = ()
    bos: int | None = None
    eos: int | None = None
    mask: int | None = None
    max_target: int = 128
    stride: float = 0.5

    def __post_init__(self) -> None:
        if self.kind not in KINDS_OF_LAYOUT:
            raise ConfigError(f"unknown layout {self.kind!r}", expected=str(KINDS_OF_LAYOUT))
        if self.window < 16:
            raise ConfigError(
                "a model window of fewer than 16 tokens", got=self.window, expected=">= 16"
            )
        if not 0 < self.stride <= 1:
            raise ConfigError(
                "a stride outside (0, 1]",
                got=self.stride,
                expected="a share of the window above 0, at most 1",
            )
        if self.kind == "masked" and self.mask is None:
            raise ConfigError(
                "a masked layout whose tokenizer has no mask token",
                fix="use a masked language model's own tokenizer",
            )

    @property
    def pair_room(self) -> int:
        """Tokens that a pair's two texts may have together."""
        return self.window - len(self.before) - len(self.between) - len(self.after)

    @property
    def single_room(self) -> int:
        return self.window - len(self.single_before) - len(self.single_after)


def probe_layout(tokenizer: Any, kind: Kind, window: int, **more: Any) -> Layout:
    """Reads the special-token frame off a Hugging Face fast tokenizer by encoding a marked pair.

    No list of model names is needed: whatever the post-processor puts around two known texts is
    the frame.
    """

    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    def find(whole: list[int], part: list[int], start: int) -> int:
        for i in range(start, len(whole) - len(part) + 1):
            if whole[i : i + len(part)] == part:
                return i
        raise ConfigError(
            "a tokenizer whose frame around a pair of texts cannot be read",
            got=type(tokenizer).__name__,
            expected="the texts' own tokens within the pair",
        )

    a, b = ids("a"), ids("b")
    # Asked for, because many tokenizers that have types do not return them by themselves.
    pair = tokenizer("a", "b", return_token_type_ids=True)
    whole = list(pair["input_ids"])
    i = find(whole, a, 0)
    j = find(whole, b, i + len(a))
    types = pair.get("token_type_ids")
    single = list(tokenizer("a")["input_ids"])
    k = find(single, a, 0)
    pad = tokenizer.pad_token_id
    if pad is None:
        pad = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else 0
    return Layout(
        kind=kind,
        window=window,
        pad=pad,
        before=tuple(whole[:i]),
        between=tuple(whole[i + len(a) : j]),
        after=tuple(whole[j + len(b) :]),
        second_type=int(types[j]) if types is not None else 0,
        single_before=tuple(single[:k]),
        single_after=tuple(single[k + len(a) :]),
        bos=tokenizer.bos_token_id,
        eos=tokenizer.eos_token_id,
        mask=tokenizer.mask_token_id,
        **more,
    )


class Placed(NamedTuple):
    """Tokens of several texts, one text after the other: ``ids [tokens]``, ``places [tokens, 2]``
    (start, end; characters of the token's text), ``ends [texts + 1]``."""

    ids: np.ndarray
    places: np.ndarray
    ends: np.ndarray


@dataclass
class Coder:
    """Texts to ids in batches, with a memory for the short texts that return in every row.

    User text never becomes a special token: the tokenizer is told to split such strings.
    """

    tokenizer: Any  # a Hugging Face fast tokenizer
    layout: Layout
    _memory: dict[str, list[int]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise ConfigError(
                "a tokenizer without offsets",
                got=type(self.tokenizer).__name__,
                expected="a fast tokenizer (tokenizer.json)",
            )
        import copy

        self._backend = copy.deepcopy(backend)
        self._backend.no_padding()
        self._backend.no_truncation()
        self._backend.encode_special_tokens = True
        self._backend = deafened(self._backend)
        self._pieces = Pieces(self._backend) if separable(self._backend) else None

    def __getstate__(self) -> dict[str, Any]:
        return {"tokenizer": self.tokenizer, "layout": self.layout, "_memory": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without special tokens."""
        memory = self._memory
        fresh = [t for t in dict.fromkeys(texts) if t not in memory]
        if fresh:
            local = dict(zip(fresh, self._encode(fresh), strict=True))
            if len(memory) < 100_000:
                memory.update((t, i) for t, i in local.items() if len(t) <= 64)
            return [memory[t] if t in memory else local[t] for t in texts]
        return [memory[t] for t in texts]

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        if self._pieces is not None:
            coded = self._pieces.encode(texts)
            return coded.split(coded.ids.tolist())
        found = self._backend.encode_batch_fast(list(texts), add_special_tokens=False)
        return [e.ids for e in found]

    def flat(self, texts: Sequence[str]) -> tuple[np.ndarray, list[int]]:
        """The token ids of all ``texts`` in one line, and where each text's begin and end."""
        if self._pieces is not None:
            coded = self._pieces.encode(texts)
            return coded.ids, coded.ends.tolist()
        found = [e.ids for e in self._backend.encode_batch_fast(texts, add_special_tokens=False)]
        return np.array([i for ids in found for i in ids], np.int32), [
            0,
            *accumulate(map(len, found)),
        ]

    def placed(self, texts: Sequence[str]) -> tuple[Placed, list[int]]:
        """The tokens of the different ones of ``texts`` and where they stand, tidied (see
        :func:`~formats.offsets.tidied`); and for each text its number among them."""
        different = list(dict.fromkeys(texts))
        if self._pieces is not None:
            coded = self._pieces.encode(different)
            placed = Placed(coded.ids, np.stack([coded.starts, coded.stops], 1), coded.ends)
        else:
            ids, offsets = self.ids_and_offsets(different)
            tables = [np.zeros((0, 2), np.int64)]
            for text, own in zip(different, offsets, strict=True):
                starts, stops = np.array(own, np.int64).reshape(-1, 2).T
                tables.append(np.stack(tidied(text, starts, stops), 1))
            flat = np.array([i for own in ids for i in own], np.int32)
            ends = np.cumsum([0, *map(len, ids)])
            placed = Placed(flat, np.concatenate(tables).astype(np.int32), ends)
        where = {text: k for k, text in enumerate(different)}
        return placed, [where[text] for text in texts]

    def ids_and_offsets(
        self, texts: Sequence[str]
    ) -> tuple[list[list[int]], list[list[tuple[int, int]]]]:
        """Ids and half-open character offsets per token."""
        found = self._backend.encode_batch(list(texts), add_special_tokens=False)
        return [e.ids for e in found], [e.offsets for e in found]

    def target(self, text: str) -> str:
        """``text`` as a model is to write it after a source; :meth:`text` undoes it."""
        if self.layout.kind == "seq2seq":
            return " " + text if text.startswith(" ") else text  # text() takes one blank away
        return self.continuation(text)

    def continuation(self, text: str) -> str:
        """``text`` as it continues a source: with a blank before it where the script has blanks."""
        if not text:
            return text
        return text if unspaced(text) else " " + text

    def text(self, ids: Sequence[int]) -> str:
        """Generated ids back to a target text (special tokens and the one blank removed)."""
        out = str(
            self.tokenizer.decode(
                list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )
        return out[1:] if out.startswith(" ") else out

    def fingerprint(self) -> str:
        """Changes when the tokenizer or the layout does."""
        digest = hashlib.sha256(self._backend.to_str().encode())
        digest.update(repr(self.layout).encode())
        return digest.hexdigest()[:16]
