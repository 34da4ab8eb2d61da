"""Published layouts: one way of asking for all tasks of a format, in place of their templates."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources

import yaml

from .errors import ConfigError, UnknownName
from .examples import KINDS
from .instances import GenerateInstance, Instance
from .prompts._prompts import Variant, variant_of


@dataclass(frozen=True)
class Layout:
    """``ways`` gives each kind of task its templates; ``lower``: all texts are in lower case.

    ``keys`` stand in this order at the head of every text, ``[Key] value``, before ``[close]``,
    each with its values where these are the same for all tasks.
    """

    name: str
    format: str
    ways: Mapping[str, Variant]
    lower: bool = False
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    close: str = ""

    def refusal(self, kind: type) -> str | None:
        """Why tasks of type ``kind`` are not asked so, or None."""
        asked = [name for name in self.ways if KINDS[name] is kind]
        return None if asked else f"the layout {self.name} asks {', '.join(self.ways)} alone"

    def written(self, instance: Instance) -> Instance:
        """``instance`` as the layout writes it."""
        if not self.lower or not isinstance(instance, GenerateInstance):
            return instance
        target = instance.target
        return replace(
            instance,
            source=instance.source.lower(),
            target=None if target is None else target.lower(),
            options=tuple(o.lower() for o in instance.options),
        )


@functools.cache
def _all() -> dict[str, Layout]:
    path = resources.files(__package__) / "prompts" / "layouts.yaml"
    found = {}
    for name, raw in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        format, lower = raw.pop("format"), raw.pop("lower", False)
        keys = {key: tuple(values) for key, values in raw.pop("keys", {}).items()}
        close = raw.pop("close", "")
        ways = {k: variant_of(format, way, f"layouts.{name}.{k}") for k, way in raw.items()}
        found[name] = Layout(name, format, ways, lower, keys, close)
    return found


def layout_of(name: str | None, format: str) -> Layout | None:
    """The layout ``name`` of ``format``; None for None. Raises UnknownName, ConfigError."""
    if name is None:
        return None
    known = _all()
    if name not in known:
        raise UnknownName("layout", name, known, field="format.layout")
    found = known[name]
    if found.format != format:
        raise ConfigError(
            f"the layout {name} asks in another format", got=format, expected=found.format,
            fix=f"format={found.format} format.layout={name}",
        )  # fmt: skip
    return found


def as_in(text: str, part: str) -> str:
    """``part`` as ``text`` writes it, where they differ in upper and lower case alone."""
    if part in text:
        return part
    found = re.search(re.escape(part), text, re.IGNORECASE)
    return found.group() if found else part
