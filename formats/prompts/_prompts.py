"""A task's prompt: an instruction, templates per format, and optional words for hypotheses."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import yaml

from ..errors import DeclarationError, UnknownName
from ..examples import KINDS
from ..templates import Template

LANGUAGES = ("en", "zh")
_PARTS = {
    "generate": ("source",),
    "extract": ("question", "passage"),
    "entail": ("premise", "hypothesis"),
}
_EXTRAS = {"generate": ("target",), "extract": (), "entail": ()}


@dataclass(frozen=True)
class Variant:
    """One way of asking: the named templates of one format.

    ``target`` (generate, multiple choice) is ``text`` or ``letter``: what the model answers with.
    """

    parts: Mapping[str, Template]
    target: str = "text"

    def reads(self, name: str) -> bool:
        """Whether one of the templates reads field ``name``."""
        return any(name in template.names() for template in self.parts.values())


@dataclass(frozen=True)
class Prompt:
    """``variants[format]`` lists the ways of asking; ``hypotheses`` overrides the entail
    hypothesis per label name."""

    instruction: str
    variants: Mapping[str, tuple[Variant, ...]]
    hypotheses: Mapping[str, Template] = field(default_factory=dict)

    def variant(self, format: str, index: int = 0) -> Variant:
        ways = self.variants[format]
        return ways[index % len(ways)]

    def count(self, format: str) -> int:
        return len(self.variants.get(format, ()))


def _variant(format: str, raw: object, where: str) -> Variant:
    if isinstance(raw, str) and format == "generate":
        raw = {"source": raw}
    if not isinstance(raw, Mapping):
        raise DeclarationError(
            f"a {format} template is not a mapping",
            got=raw,
            expected=f"the keys {', '.join(_PARTS[format])}",
            field=where,
        )
    for key in raw:
        if key not in _PARTS[format] + _EXTRAS[format]:
            raise UnknownName(f"{format} template part", str(key), _PARTS[format], field=where)
    missing = [p for p in _PARTS[format] if p not in raw]
    if missing:
        raise DeclarationError(
            f"a {format} template lacks {', '.join(missing)}", got=dict(raw), field=where
        )
    target = raw.get("target", "text")
    if target not in ("text", "letter"):
        raise UnknownName("target", str(target), ("text", "letter"), field=where)
    return Variant({p: Template(raw[p]) for p in _PARTS[format]}, target)


@functools.cache
def _defaults(language: str) -> dict[str, dict[str, Any]]:
    if language not in LANGUAGES:
        raise UnknownName("prompt language", language, LANGUAGES)
    path = resources.files(__package__) / f"{language}.yaml"
    loaded: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def default_prompt(
    kind: str, language: str = "en", overrides: Mapping[str, Any] | None = None
) -> Prompt:
    """The prompt of task type ``kind``, with a task's own parts laid over the defaults.

    ``overrides`` may hold ``instruction``, ``hypotheses`` (label name -> template) and, per
    format, a list of templates; a list stands before the defaults unless ``only: true``.
    """
    if kind not in KINDS:
        raise UnknownName("task kind", kind, KINDS)
    base = _defaults(language)[kind]
    over = dict(overrides or {})
    only = bool(over.pop("only", False))
    known = ("instruction", "hypotheses", *_PARTS)
    for key in over:
        if key not in known:
            raise UnknownName("prompt key", key, (*known, "only"), field="prompts")
    own_hypotheses = over.get("hypotheses") or {}
    if not isinstance(own_hypotheses, Mapping):
        raise DeclarationError(
            "hypotheses that are not a mapping",
            got=own_hypotheses,
            expected="label name: template",
            field="prompts.hypotheses",
        )
    variants: dict[str, tuple[Variant, ...]] = {}
    for format in _PARTS:
        if over.get(format) and format not in base:
            raise DeclarationError(
                f"templates for a cell that is refused: {kind} cannot be asked as {format}",
                got=over[format],
                field=f"prompts.{format}",
                fix="drop them",
            )
        own = over.get(format, [])
        own = own if isinstance(own, list) else [own]
        ways = own if own and only else [*own, *base.get(format, [])]
        if format in base:
            variants[format] = tuple(_variant(format, w, f"prompts.{format}") for w in ways)
    hypotheses = {str(label): Template(source) for label, source in own_hypotheses.items()}
    return Prompt(str(over.get("instruction", base["instruction"])), variants, hypotheses)
