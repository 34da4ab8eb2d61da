"""What is asked of a model and what it says: one continuation of one context, and its score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from formats.errors import ConfigError

Ids: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Request:
    """How probable is ``continuation`` after ``context``?

    Each is a text or the token ids themselves, both of one kind. Rows, options and demonstrations
    need no place here: whatever two requests have in common at their beginning is found in their
    tokens and computed once. ``after`` is the text on the other side, which masked models alone
    can read.
    """

    context: str | Ids
    continuation: str | Ids
    after: str | Ids = ""

    def __post_init__(self) -> None:
        if not len(self.continuation):
            raise ConfigError(
                "a request whose continuation is empty",
                got=self.context[-80:],
                expected="a continuation with at least one character",
            )
        if isinstance(self.context, str) != isinstance(self.continuation, str):
            raise ConfigError(
                "a request of text and token ids",
                got=(type(self.context).__name__, type(self.continuation).__name__),
                expected="context and continuation both text, or both token ids",
            )


@dataclass(frozen=True)
class Score:
    """Log-probability (nats) of a whole continuation.

    ``tokens`` are scored tokens, ``bytes`` the continuation's UTF-8 length (0 for token ids).
    ``greedy``: whether each token was the model's own first choice. ``cut`` counts tokens at the
    beginning of the context that did not fit into the window.
    """

    logprob: float
    tokens: int
    bytes: int
    greedy: bool
    cut: int = 0


@dataclass(frozen=True)
class Coded:
    """A request as token ids: ``ids[:begin]`` is given, ``ids[begin:]`` is scored.

    ``source`` is the encoder's input where there is one; ``after`` what follows the blanks.
    """

    ids: Ids
    begin: int
    bytes: int = 0
    cut: int = 0
    source: Ids = ()
    after: Ids = ()

    @property
    def scored(self) -> Ids:
        return self.ids[self.begin :]
