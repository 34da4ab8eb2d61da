"""Lists and typed spans written as one line of text, and read back exactly.

``join`` and ``split`` write a set of texts; ``write_spans`` and ``read_spans`` write typed spans
by their surface. Both are inverse to each other whatever signs the (non-empty) texts hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .examples import Span

EMPTY = "none"
_SEPARATOR = "; "
_COLON = ": "
_ESCAPED = re.compile(r"[\\;:@]")


def _escape(text: str) -> str:
    out = _ESCAPED.sub(lambda m: "\\" + m.group(), text)
    return "\\" + out if out == EMPTY else out


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _cut(text: str, sign: str) -> list[str]:
    """Splits at unescaped ``sign`` (one character), dropping one blank after it."""
    parts: list[str] = []
    current: list[str] = []
    i = 0
    while i < len(text):
        c = text[i]
        if c == "\\" and i + 1 < len(text):
            current.append(text[i : i + 2])
            i += 2
        elif c == sign:
            parts.append("".join(current))
            current = []
            i += 2 if text[i + 1 : i + 2] == " " else 1
        else:
            current.append(c)
            i += 1
    parts.append("".join(current))
    return parts


def join(items: Sequence[str]) -> str:
    """``["a", "b; c"]`` -> ``a; b\\; c``; no item -> ``none``."""
    return _SEPARATOR.join(map(_escape, items)) if items else EMPTY


def split(text: str) -> list[str]:
    """Reads what :func:`join` wrote. Total: any text gives a list."""
    if text == EMPTY or not text:
        return []
    return [_unescape(part) for part in _cut(text, ";")]


def _places(text: str, surface: str, start: int) -> Iterable[int]:
    at = text.find(surface, start)
    while at >= 0:
        yield at
        at = text.find(surface, at + 1)


def write_spans(text: str, spans: Iterable[Span], word: dict[str, str]) -> str:
    """``type word: surface`` items in text order.

    A surface means its first occurrence at or after the previous item's start; ``@n`` after it
    means the n-th. ``word`` maps a type's name to its words.
    """
    items: list[str] = []
    cursor = 0
    for span in sorted(spans):
        surface = span.of(text)
        nth = 1 + sum(1 for p in _places(text, surface, cursor) if p < span.start)
        times = f"@{nth}" if nth > 1 else ""
        items.append(f"{_escape(word[span.type])}{_COLON}{_escape(surface)}{times}")
        cursor = span.start
    return _SEPARATOR.join(items) if items else EMPTY


def read_spans(text: str, line: str, name: dict[str, str]) -> frozenset[Span]:
    """Reads what :func:`write_spans` wrote; items that name no type or no place are left out.

    ``name`` maps a type's words to its name.
    """
    if line == EMPTY:
        return frozenset()
    found: set[Span] = set()
    cursor = 0
    for item in _cut(line, ";"):
        sides = _cut(item, ":")
        if len(sides) != 2 or _unescape(sides[0]) not in name:
            continue
        surface, *times = _cut(sides[1], "@")
        nth = int(times[0][:12]) if times and times[0].isdecimal() else 1
        surface = _unescape(surface)
        if not surface:
            continue
        for at in _places(text, surface, cursor):
            nth -= 1
            if nth == 0:
                found.add(Span(at, at + len(surface), name[_unescape(sides[0])]))
                cursor = at
                break
    return frozenset(found)
