"""The one error shape: what went wrong, where, what was got and expected, and how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_SHOWN = 160


def _show(value: object) -> str:
    """``value`` on one line; a text that would not be seen (blank, control signs) is quoted."""
    plain = isinstance(value, str) and value.isprintable() and value == value.strip() != ""
    text = str(value) if plain else repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def did_you_mean(name: str, known: Iterable[str], noun: str = "name") -> str:
    """A mending hint for a name that is not among ``known``."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(repr(c) for c in close)}?"
    if not names:
        return f"no {noun} is known here"
    listed = ", ".join(names[:12]) + (" …" if len(names) > 12 else "")
    return f"known: {listed}"


class UnifyError(Exception):
    """Base of every error raised on purpose.

    ``where`` collects the place (task, split, file, row, field); callers further out add to it
    with :meth:`at` while the error travels up.
    """

    def __init__(
        self,
        what: str,
        *,
        got: object = None,
        expected: str | None = None,
        fix: str | None = None,
        **where: object,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.got = got
        self.expected = expected
        self.fix = fix
        self.where: dict[str, object] = {k: v for k, v in where.items() if v is not None}

    def at(self, **where: object) -> UnifyError:
        """Adds places that the raiser could not know; what it did know stays. Returns itself."""
        for key, value in where.items():
            if value is not None:
                self.where.setdefault(key, value)
        return self

    def __str__(self) -> str:
        parts = [self.what]
        if self.where:
            order = ("task", "split", "file", "row", "field")
            keys = [k for k in order if k in self.where] + [k for k in self.where if k not in order]
            parts.append("  where:    " + ", ".join(f"{k} {_show(self.where[k])}" for k in keys))
        if self.got is not None:
            parts.append(f"  got:      {_show(self.got)}")
        if self.expected:
            parts.append(f"  expected: {self.expected}")
        if self.fix:
            parts.append(f"  to mend:  {self.fix}")
        return "\n".join(parts)


class RowError(UnifyError):
    """A row of data that does not hold what its task says it holds."""


class DeclarationError(UnifyError):
    """A task, suite or prompt file that contradicts itself or the schema."""


class UnknownName(UnifyError):
    """A name that nothing answers to; the message says which names are close."""

    def __init__(self, noun: str, name: str, known: Iterable[str], **where: object) -> None:
        super().__init__(
            f"unknown {noun} {name!r}",
            got=None,
            expected=None,
            fix=did_you_mean(name, known, noun),
            **where,
        )


class TemplateError(UnifyError):
    """A prompt template that cannot be compiled or rendered."""


class UnsupportedCell(UnifyError):
    """A task type that a format cannot ask."""


class ConfigError(UnifyError):
    """A configuration that names something impossible."""


class LeakError(UnifyError):
    """An 'unseen' task that training would touch."""


class DataError(UnifyError):
    """A source file that is missing, unreadable or not in the layout that its task declares."""


class RunError(UnifyError):
    """A run folder that is missing, incomplete or of another version."""
