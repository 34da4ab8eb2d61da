"""Prompt templates: sandboxed Jinja2 that knows where each field ended up.

A template renders to a text plus *marks*: the character spans at which fields stand. Listing the
options of a classification inside a passage therefore needs no offset arithmetic anywhere.
Undefined names are errors; templates cannot reach Python.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from jinja2 import StrictUndefined, meta
from jinja2.exceptions import SecurityError, UndefinedError
from jinja2.runtime import Context, LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from .errors import TemplateError, did_you_mean
from .plans import Step, Unplanned, plan


class Field(str):
    """A text that remembers which field, and which item of it, it is."""

    field: str
    item: int

    def __new__(cls, value: str, field: str, item: int = 0) -> Field:
        self = super().__new__(cls, value)
        self.field, self.item = field, item
        return self

    def __str__(self) -> str:  # Jinja calls str() on what it prints; keep the identity
        return self


class Mark(NamedTuple):
    """Item ``item`` of field ``name`` stands at characters ``start:end`` of the rendering."""

    name: str
    item: int
    start: int
    end: int


class Rendered(NamedTuple):
    """A rendered template: its text, in pieces of which some are fields."""

    pieces: tuple[str, ...]

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def marks(self) -> tuple[Mark, ...]:
        """Where the fields stand."""
        found: list[Mark] = []
        at = 0
        for piece in self.pieces:
            end = at + len(piece)
            if type(piece) is Field:
                found.append(Mark(piece.field, piece.item, at, end))
            at = end
        return tuple(found)

    def where(self, name: str) -> list[tuple[int, int]]:
        """The first place (start, end) of each item of field ``name``, in item order."""
        first: dict[int, tuple[int, int]] = {}
        at = 0
        for piece in self.pieces:
            end = at + len(piece)
            if type(piece) is Field and piece.field == name and piece.item not in first:
                first[piece.item] = at, end
            at = end
        return [first[i] for i in sorted(first)]


def _finalize(value: Any) -> Any:
    """What ``{{ value }}`` prints: texts and numbers as they are, None as nothing."""
    if value is None:
        return ""
    if isinstance(value, (str, int, float, Undefined)):
        return value
    raise TypeError(f"a {type(value).__name__} is no text: loop over it, or join it")


# What a prompt never needs: a few characters of it fill the memory, or it draws by chance.
_FILTERS = {"center", "format", "indent", "random", "wordwrap"}
_METHODS = {"center", "expandtabs", "format", "format_map", "ljust", "rjust", "zfill"}
_OF_LOOPS = {"first", "last", "index", "index0", "length"}


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self) -> None:
        # White space stands as it is written, except one newline at the very end, which a
        # block text of YAML brings along.
        super().__init__(undefined=StrictUndefined, finalize=_finalize)
        self.globals = {"range": self.globals["range"], "zip": zip}
        self.filters = {n: f for n, f in self.filters.items() if n not in _FILTERS}

    def getattr(self, obj: Any, attribute: str) -> Any:
        # What a loop says of itself is safe, and is asked for most often.
        if type(obj) is LoopContext and attribute in _OF_LOOPS:
            return getattr(obj, attribute)
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, str) and attr in _METHODS:
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Any:
        name = getattr(value, "__name__", None)
        if name in _METHODS and isinstance(getattr(value, "__self__", None), str):
            raise SecurityError(f"the text method {name!r} is not for templates")
        return super().wrap_str_format(value)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        numbers = isinstance(left, (int, float)) and isinstance(right, (int, float))
        if operator == "**" or not numbers:
            raise SecurityError(f"{operator} stands between numbers only, and ** nowhere")
        return super().call_binop(context, operator, left, right)


@functools.cache
def _environment() -> _Environment:
    return _Environment()


@functools.lru_cache(maxsize=4096)
def _compile(source: str) -> Any:
    try:
        return _environment().from_string(source)
    except Exception as error:  # a syntax error, or whatever its compiled form stumbles over
        raise TemplateError(
            f"a template that does not compile: {error}",
            got=source,
            expected="Jinja2",
            line=getattr(error, "lineno", None),
        ) from None


@functools.lru_cache(maxsize=4096)
def _plan(source: str) -> Step | None:
    return plan(_environment().parse(source))


_UNDEFINED = re.compile(r"'(\w+)' is undefined")


@functools.lru_cache(maxsize=4096)
def _names(source: str) -> frozenset[str]:
    environment = _environment()
    found = meta.find_undeclared_variables(environment.parse(source))
    return frozenset(found - set(environment.globals))


_SHORT = 64  # characters


@functools.lru_cache(maxsize=8192)
def _short(source: str, values: tuple[str | None, ...]) -> str:
    """What ``source`` says of short values of its names: questions and labels return all the
    time."""
    return Template(source).render(dict(zip(_names(source), values, strict=True))).text


@dataclass(frozen=True)
class Template:
    """One Jinja2 source; equal sources are compiled once per process."""

    source: str

    def __post_init__(self) -> None:
        if not isinstance(self.source, str) or not self.source.strip():
            raise TemplateError(
                "an empty template",
                got=self.source,
                expected="a text with at least one visible character",
            )
        _compile(self.source)

    def names(self) -> frozenset[str]:
        """The field names that the template reads."""
        return _names(self.source)

    def render(self, fields: Mapping[str, Any]) -> Rendered:
        """Fills in ``fields``; raises TemplateError on an undefined name or a forbidden access."""
        return Rendered(tuple(self._pieces(fields)))

    def _pieces(self, fields: Mapping[str, Any]) -> list[str]:
        steps = _plan(self.source)
        if steps is not None:
            try:
                out: list[str] = []
                steps(fields, out)
                return out
            except (Unplanned, LookupError):
                pass  # Jinja prints it, or says what is wrong
        return self._by_jinja(fields)

    def _by_jinja(self, fields: Mapping[str, Any]) -> list[str]:
        try:
            template = _compile(self.source)
            return list(template.root_render_func(template.new_context(fields)))
        except UndefinedError as error:
            name = _UNDEFINED.fullmatch(error.message or "")
            raise TemplateError(
                f"a template reads a field that is not there: {error.message}",
                got=self.source,
                expected=None if name else "a field, and an item that it has",
                fix=did_you_mean(name.group(1), fields, "field") if name else None,
            ) from None
        except SecurityError as error:
            raise TemplateError(
                f"a template reaches for what it may not: {error}",
                got=self.source,
                expected="fields, filters and loops; nothing of Python",
            ) from None
        except Exception as error:  # whatever a template provokes, its author is told
            raise TemplateError(
                f"a template fails on this row: {type(error).__name__}: {error}",
                got=self.source,
                fix="mend the template, or the row's fields that it reads",
            ) from None

    def text(self, fields: Mapping[str, Any]) -> str:
        """The text of :meth:`render`."""
        values = []
        for name in _names(self.source):
            value = fields.get(name, _SHORT)
            if value is not None and not (isinstance(value, str) and len(value) <= _SHORT):
                return "".join(self._pieces(fields))
            values.append(value)
        return _short(self.source, tuple(values))


@functools.lru_cache(maxsize=8192)
def _field(name: str, value: str) -> Field:
    return Field(value, name)


@functools.lru_cache(maxsize=1024)
def _items(name: str, values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(Field(v, name, i) if isinstance(v, str) else v for i, v in enumerate(values))


def fields_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Wraps texts and lists of texts as marked fields; ``None`` and other values stay."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, str):
            out[name] = _field(name, value) if len(value) <= _SHORT else Field(value, name)
        elif isinstance(value, (tuple, list)):
            try:
                out[name] = list(_items(name, tuple(value)))  # label words return with every row
            except TypeError:  # items that cannot be remembered
                out[name] = list(_items.__wrapped__(name, tuple(value)))
        else:
            out[name] = value
    return out
