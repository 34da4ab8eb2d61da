"""A task's prompt: an instruction, templates per format, and optional words for hypotheses."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
    ``questions`` (extract, tagging) replaces the question for the types that it names.
    """

    parts: Mapping[str, Template]
    target: str = "text"
    questions: Mapping[str, Template] = field(default_factory=dict)

    def reads(self, name: str) -> bool:
        """Whether one of the templates reads field ``name``."""
        return name in self._names

    @functools.cached_property
    def _names(self) -> frozenset[str]:
        templates = (*self.parts.values(), *self.questions.values())
        return frozenset().union(*(t.names() for t in templates))


@dataclass(frozen=True)
class Prompt:
    """``variants[format]`` lists the ways of asking; ``hypotheses`` overrides the entail
    hypothesis per label name; ``about`` holds more fields that templates may read. ``detection``
    (entail, tagging) asks of a candidate whether it is a span of any type."""

    instruction: str
    variants: Mapping[str, tuple[Variant, ...]]
    hypotheses: Mapping[str, Template] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)
    detection: Template | None = None

    def variant(self, format: str, index: int = 0) -> Variant:
        ways = self.variants[format]
        return ways[index % len(ways)]

    def count(self, format: str) -> int:
        return len(self.variants.get(format, ()))


def variant_of(format: str, raw: object, where: str) -> Variant:
    """The templates of one way of asking; ``where`` names their place in errors."""
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
            f"a {format} template lacks {', '.join(missing)}",
            got=dict(raw),
            fix="write a template for each of these parts",
            field=where,
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


def _named(over: Mapping[str, Any], key: str) -> dict[str, Template]:
    """The templates per label or type that a task gives under ``key``."""
    own = over.get(key) or {}
    if not isinstance(own, Mapping):
        raise DeclarationError(
            f"{key} that are not a mapping",
            got=own,
            expected="name of a label or type: template",
            field=f"prompts.{key}",
        )
    return {str(name): Template(source) for name, source in own.items()}


def default_prompt(
    kind: str, language: str = "en", overrides: Mapping[str, Any] | None = None,
    about: Mapping[str, str] | None = None,
) -> Prompt:  # fmt: skip
    """The prompt of task type ``kind``, with a task's own parts laid over the defaults, and its
    fields ``about`` the task.

    ``overrides`` may hold ``instruction``, ``hypotheses`` (label or type name -> template),
    ``questions`` (type name -> template, one more way of asking, which stands first),
    ``detection`` (a template) and, per format, a list of templates; a list stands before the
    defaults unless ``only: true``.
    """
    if kind not in KINDS:
        raise UnknownName("task kind", kind, KINDS)
    base = _defaults(language)[kind]
    over = dict(overrides or {})
    only = bool(over.pop("only", False))
    known = ("instruction", "hypotheses", "questions", "detection", *_PARTS)
    for key in over:
        if key not in known:
            raise UnknownName("prompt key", key, (*known, "only"), field="prompts")
    hypotheses = _named(over, "hypotheses")
    questions = _named(over, "questions")
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
            variants[format] = tuple(variant_of(format, w, f"prompts.{format}") for w in ways)
    if questions and kind != "tag":
        raise DeclarationError(
            f"questions per type for {kind}, which has no types",
            got=list(questions),
            field="prompts.questions",
            fix="declare a template under extract",
        )
    if questions:
        asked = variants["extract"]
        variants["extract"] = (replace(asked[0], questions=questions), *asked)
    if over.get("detection") and "detection" not in base:
        raise DeclarationError(
            f"a detection for {kind}, which has no spans of types",
            got=over["detection"],
            field="prompts.detection",
            fix="drop it",
        )
    detection = over.get("detection", base.get("detection"))
    instruction = str(over.get("instruction", base["instruction"]))
    return Prompt(
        instruction, variants, hypotheses, dict(about or {}),
        None if detection is None else Template(detection),
    )  # fmt: skip
