"""Allowed continuations as a trie over tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from formats.errors import ConfigError

from .requests import Ids


class Trie:
    """After the tokens of an option ``end`` is allowed, and what continues a longer option."""

    def __init__(self, options: Iterable[Ids], end: int) -> None:
        self._root: dict[int, Any] = {}
        self.end = end
        self.number: dict[Ids, int] = {}  # which option the tokens are
        for k, option in enumerate(options):
            if not option:
                raise ConfigError(
                    "an option without a token", expected="options of at least one token"
                )
            node = self._root
            for token in option:
                node = node.setdefault(token, {})
            node[end] = {}
            self.number.setdefault(tuple(option), k)

    def allowed(self, written: Sequence[int]) -> list[int]:
        """The tokens that may follow ``written``; the end where nothing may."""
        node = self._root
        for token in written:
            if token not in node:
                return [self.end]
            node = node[token]
        return list(node) or [self.end]
