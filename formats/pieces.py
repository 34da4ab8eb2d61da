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
from itertools import accumulate, chain, count, pairwise
from typing import Any, NamedTuple

import numpy as np

from .offsets import tidied

MOST_TOKENS = 1 << 18  # the table is begun anew when it holds more
NOWHERE = -1  # the place of what is no piece
_ON_A_SHEET = 64  # new pieces that are encoded as one text

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
    are characters of the token's own text, as :func:`~formats.offsets.tidied` gives them.
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

    def __init__(self, places: Iterator[int], fresh: list[tuple[int, str]]) -> None:
        super().__init__()
        self.places, self.fresh = places, fresh

    def __missing__(self, piece: str) -> int:
        place = self[piece] = next(self.places)
        self.fresh.append((place, piece))
        return place


class _Sheets:
    """Texts in which new pieces stand: piece ``places[k]`` behind character ``begins[k]`` of all
    texts joined by two blanks, its characters counted from ``origins[k]``."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.places: list[int] = []
        self.begins: list[int] = []
        self.origins: list[int] = []
        self.length = 0

    def add(self, text: str, places: Sequence[int], begins: Sequence[int]) -> None:
        self.texts.append(text)
        self.places += places
        self.begins += [self.length + b for b in begins]
        self.origins += [self.length + max(b, 0) for b in begins]
        self.length += len(text) + 2

    def first(self, fresh: Sequence[tuple[int, str]]) -> None:
        """Pieces that begin a text: each one has a sheet of its own."""
        for place, piece in fresh:
            self.add(piece, [place], [-1])

    def other(self, fresh: Sequence[tuple[int, str]]) -> None:
        """Pieces that follow a blank share sheets, which begin with a letter of no piece."""
        run: list[tuple[int, str]] = []
        for place, piece in fresh:
            if not piece or piece != piece.strip():
                self.add("a " + piece, [NOWHERE, place], [-1, 1])  # it needs the end of a text
            else:
                run.append((place, piece))
        for at in range(0, len(run), _ON_A_SHEET):
            places, words = zip(*run[at : at + _ON_A_SHEET], strict=True)
            begins = accumulate((len(w) + 1 for w in words[:-1]), initial=1)
            self.add(" ".join(("a", *words)), [NOWHERE, *places], [-1, *begins])


class Pieces:
    """The pieces of one tokenizer and their tokens. ``backend`` is this object's own."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        # A piece is encoded once: the model's own memory of words would only take time.
        resize = getattr(backend.model, "_resize_cache", None)
        if resize is not None:
            resize(0)
        self._clear()

    def _clear(self) -> None:
        places = count()
        self._fresh_first: list[tuple[int, str]] = []
        self._fresh_other: list[tuple[int, str]] = []
        self._first = _Places(places, self._fresh_first)
        self._other = _Places(places, self._fresh_other)
        # Rows: ids, starts, stops. Piece k has the columns from begins[k] to begins[k + 1].
        self._table = np.zeros((3, 0), np.int32)
        self._begins = np.zeros(1, np.int64)
        self._chars = np.zeros(0, np.int64)  # characters of a piece and the blank before it

    def _learn(self) -> None:
        """Puts the pieces that wait into the table."""
        many = len(self._fresh_first) + len(self._fresh_other)
        if not many:
            return
        chars = np.zeros(many, np.int64)
        known = len(self._chars)
        sheets = _Sheets()
        sheets.first(self._fresh_first)
        sheets.other(self._fresh_other)
        for fresh, blank in ((self._fresh_first, 0), (self._fresh_other, 1)):
            for place, piece in fresh:
                chars[place - known] = len(piece) + blank
            fresh.clear()
        found = self._backend.encode_batch(sheets.texts, add_special_tokens=False)
        ids = [e.ids for e in found]
        sizes = list(map(len, ids))
        total = sum(sizes)
        flat = np.fromiter(chain.from_iterable(ids), np.int32, total)
        pairs = chain.from_iterable(chain.from_iterable(e.offsets for e in found))
        offsets = np.fromiter(pairs, np.int64, 2 * total).reshape(-1, 2)
        base = np.cumsum([0, *(len(t) + 2 for t in sheets.texts[:-1])])
        starts, stops = (offsets + np.repeat(base, sizes)[:, None]).T
        starts, stops = tidied("  ".join(sheets.texts), starts, stops)
        # A token belongs to the last piece that begins before the token's end.
        which = np.searchsorted(np.array(sheets.begins), stops) - 1
        owner = np.array(sheets.places)[which]
        origin = np.array(sheets.origins)[which]
        order = np.argsort(owner, kind="stable")
        order = order[owner[order] != NOWHERE]
        new = np.stack([flat, starts - origin, stops - origin])[:, order].astype(np.int32)
        self._table = np.concatenate([self._table, new], 1)
        counts = np.bincount(owner[order] - known, minlength=many)
        self._begins = np.concatenate([self._begins, self._begins[-1] + np.cumsum(counts)])
        self._chars = np.concatenate([self._chars, chars])

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
        begins = self._begins[at]
        sizes = self._begins[at + 1] - begins
        before = np.concatenate([[0], np.cumsum(sizes)])  # tokens in front of each piece
        chars = np.concatenate([[0], np.cumsum(self._chars[at])])
        base = chars[:-1] - np.repeat(chars[ends[:-1]], np.diff(ends))
        column = np.arange(before[-1]) + np.repeat(begins - before[:-1], sizes)
        ids, starts, stops = (row.take(column) for row in self._table)
        base = np.repeat(base.astype(np.int32), sizes)
        return Coded(ids, starts + base, stops + base, before[ends])
