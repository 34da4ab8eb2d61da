"""Token ids of texts from those of their blank-separated pieces, which are remembered.

Words return all the time, and a tokenizer reads each of them anew. Where its pipeline provably
never looks over a single blank between two visible characters, a text's tokens are those of its
pieces, one after the other:

    "Ann keeps boats"  ->  "Ann" + " keeps" + " boats"

Tokens of all known pieces lie in one table, from which those of many texts are gathered at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import count, pairwise
from typing import Any, NamedTuple

import numpy as np

MOST_TOKENS = 1 << 18  # the table is begun anew when it holds more

_SPACE_RUN = re.compile(r"\s\s")
_BOUNDARY = re.compile(r"(?<=\S) (?=\S)")

# Steps that look at one character and its marks, or that part texts at blanks at the latest.
_NORMALIZERS = {"NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "BertNormalizer"}
_SPLITTERS = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}
_REFINERS = _SPLITTERS | {"ByteLevel", "Digits", "Punctuation"}


def _steps(part: Any, key: str) -> list[dict[str, Any]]:
    if part is None:
        return []
    return list(part[key]) if part["type"] == "Sequence" else [part]


def separable(backend: Any) -> bool:
    """Whether the tokenizer's own description proves that pieces may be encoded on their own."""
    whole: dict[str, Any] = json.loads(backend.to_str())
    if not all(t["special"] for t in whole["added_tokens"]):
        return False  # such a token may be found across blanks
    if whole["model"].get("dropout"):
        return False
    if any(s["type"] not in _NORMALIZERS for s in _steps(whole["normalizer"], "normalizers")):
        return False
    first, *rest = _steps(whole["pre_tokenizer"], "pretokenizers") or [{"type": None}]
    parts = first["type"] in _SPLITTERS or (
        first["type"] == "ByteLevel" and first.get("use_regex", True)
    )
    return bool(parts) and all(s["type"] in _REFINERS for s in rest)


def pieces(text: str) -> list[str]:
    """``text`` in pieces; all but the first one follow a single blank, which they leave out."""
    if _SPACE_RUN.search(text) or text[:1].isspace() or text[-1:].isspace():
        return _BOUNDARY.split(text)
    return text.split(" ")


class Coded(NamedTuple):
    """Tokens of several texts, one after the other.

    ``ends [texts + 1]`` says where each text's begin and end; ``starts`` and ``stops`` ``[tokens]``
    are characters of the token's own text, the blank that a token begins with left out.
    """

    ids: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    ends: np.ndarray

    def split(self, flat: Sequence[int], width: int = 1) -> list[list[int]]:
        """``flat``, ``width`` values per token, as one list per text."""
        ends = (self.ends * width).tolist()
        return [list(flat[a:b]) for a, b in pairwise(ends)]


class _Places(dict[str, int]):
    """Piece -> its place in the table; a new one gets the next place and waits in ``fresh``."""

    def __init__(self, places: Iterator[int], fresh: list[tuple[str, str]], lead: str) -> None:
        super().__init__()
        self.places, self.fresh, self.lead = places, fresh, lead

    def __missing__(self, piece: str) -> int:
        place = self[piece] = next(self.places)
        self.fresh.append((self.lead, piece))
        return place


class Pieces:
    """The pieces of one tokenizer and their tokens."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._lead = len(backend.encode("a", add_special_tokens=False).ids)
        self._clear()

    def _clear(self) -> None:
        places = count()
        self._fresh: list[tuple[str, str]] = []
        self._first = _Places(places, self._fresh, "")
        self._other = _Places(places, self._fresh, "a ")  # encoded behind a letter and a blank
        # Rows: ids, starts, stops. Piece k has the columns from begins[k] to begins[k + 1].
        self._table = np.zeros((3, 0), np.int32)
        self._begins = np.zeros(1, np.int64)
        self._chars = np.zeros(0, np.int64)  # characters of a piece and the blank before it

    def _learn(self) -> None:
        """Puts the pieces that wait into the table."""
        if not self._fresh:
            return
        wholes = [lead + piece for lead, piece in self._fresh]
        found = self._backend.encode_batch(wholes, add_special_tokens=False)
        rows: tuple[list[int], list[int], list[int]] = ([], [], [])
        counts, chars = [], []
        for (lead, piece), whole, encoded in zip(self._fresh, wholes, found, strict=True):
            skip, back = (self._lead, 1) if lead else (0, 0)
            ids, offsets = encoded.ids[skip:], encoded.offsets[skip:]
            rows[0].extend(ids)
            rows[1].extend(s - back + (e - s > 1 and whole[s].isspace()) for s, e in offsets)
            rows[2].extend(e - back for _, e in offsets)
            counts.append(len(ids))
            chars.append(len(piece) + back)
        self._fresh.clear()
        self._table = np.concatenate([self._table, np.array(rows, np.int32)], 1)
        begins = self._begins[-1] + np.cumsum(counts)
        self._begins = np.concatenate([self._begins, begins])
        self._chars = np.concatenate([self._chars, np.array(chars, np.int64)])

    def encode(self, texts: Sequence[str]) -> Coded:
        """The tokens of ``texts``."""
        if self._table.shape[1] > MOST_TOKENS:
            self._clear()
        first, other = self._first, self._other.__getitem__
        places: list[int] = []
        ends = [0]
        for text in texts:
            head, *more = pieces(text)
            places.append(first[head])
            places.extend(map(other, more))
            ends.append(len(places))
        self._learn()
        at = np.array(places, np.int64)
        sizes = self._begins[at + 1] - self._begins[at]
        before = np.concatenate([[0], np.cumsum(sizes)])  # tokens in front of each piece
        chars = np.concatenate([[0], np.cumsum(self._chars[at])])
        base = chars[:-1] - np.repeat(chars[ends[:-1]], np.diff(ends))
        column = np.arange(before[-1]) + np.repeat(self._begins[at] - before[:-1], sizes)
        ids, starts, stops = self._table[:, column]
        base = np.repeat(base, sizes).astype(np.int32)
        return Coded(ids, starts + base, stops + base, before[ends])
