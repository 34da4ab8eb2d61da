"""promptsource templates as published: read from YAML, rendered as their authors meant them.

Bach et al. 2022: a template is one Jinja source in which ``|||`` parts input and target; the
variable ``answer_choices`` is a second source, split at ``|||``.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jinja2 import meta

from formats.errors import DataError, TemplateError
from formats.templates import _Environment

BAR = "|||"
# Their YAML names Python classes by tags; here they are plain mappings.
_TAGS = ("!Template", "!TemplateMetadata")


class Chance(Exception):
    """A template that draws by chance."""


@dataclass(frozen=True)
class Original:
    """One template: ``source`` holds input and target, ``choices`` the answer choices."""

    name: str
    source: str
    choices: str = ""

    def columns(self) -> frozenset[str]:
        """The dataset's columns that are read."""
        return (names_in(self.source) | names_in(self.used_choices())) - {"answer_choices"}

    def used_choices(self) -> str:
        """The answer choices, where the source reads them: some are listed for scoring only."""
        return self.choices if "answer_choices" in names_in(self.source) else ""


def read(path: Path) -> tuple[str, list[Original], list[str]]:
    """Dataset (``name`` or ``name/subset``), templates, and the names of broken ones.

    Raises DataError.
    """

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        pass

    for tag in _TAGS:
        Loader.add_constructor(tag, lambda loader, node: loader.construct_mapping(node, deep=True))
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader)  # a SafeLoader: plain data only
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        first = " ".join(str(error).split())
        raise DataError(
            f"not promptsource's YAML: {first}",
            expected="a templates.yaml as promptsource writes it",
            file=str(path),
        ) from None
    listed = raw.get("templates") if isinstance(raw, Mapping) else None
    if not isinstance(listed, Mapping) or not listed:
        raise DataError("no templates", file=str(path), expected="dataset, subset, templates")
    dataset = "/".join(str(raw[k]) for k in ("dataset", "subset") if raw.get(k))
    good, bad = [], []
    for id, item in listed.items():
        values = item if isinstance(item, Mapping) else {}
        name, source = values.get("name") or id, values.get("jinja")
        if isinstance(source, str) and BAR in source:
            good.append(Original(str(name), source, str(values.get("answer_choices") or "")))
        else:
            bad.append(str(name))
    return dataset, good, bad


def _choice(items: Sequence[Any]) -> Any:
    if len(set(items)) != 1:
        raise Chance
    return items[0]


def _most_frequent(items: Sequence[Any]) -> list[Any]:
    """All items of the highest count, in order of first occurrence."""
    counts = Counter(items)
    return [item for item, n in counts.items() if n == max(counts.values())]


@functools.cache
def environment() -> _Environment:
    """The prompts' own sandbox, with what promptsource adds as far as it is no lottery."""
    made = _Environment()
    made.globals["zip"] = zip
    made.filters = {**made.filters, "choice": _choice, "most_frequent": _most_frequent}
    return made


@functools.lru_cache(maxsize=4096)
def _compiled(source: str) -> Any:
    return environment().from_string(source)


@functools.lru_cache(maxsize=4096)
def names_in(source: str) -> frozenset[str]:
    """Variables that ``source`` reads; none when it does not compile."""
    try:
        found = meta.find_undeclared_variables(environment().parse(source))
        return frozenset(found - set(environment().globals))
    except Exception:
        return frozenset()


def _render(source: str, row: Mapping[str, Any]) -> str:
    try:
        return str(_compiled(source).render(row))
    except Chance:
        raise TemplateError("draws by chance") from None
    except Exception as error:
        kind = type(error).__name__
        raise TemplateError(f"cannot be rendered: {kind}: {error}") from None


def choices_of(template: Original, row: Mapping[str, Any]) -> list[str]:
    """The answer choices on a row. Raises TemplateError."""
    choices = template.used_choices()
    return [part.strip() for part in _render(choices, row).split(BAR)] if choices else []


def apply(template: Original, row: Mapping[str, Any]) -> tuple[str, str] | None:
    """Input and target on a row, or None where the template has nothing to say about it."""
    given = {**row, "answer_choices": choices} if (choices := choices_of(template, row)) else row
    parts = [part.strip() for part in _render(template.source, given).split(BAR)]
    if len(parts) != 2 or not all(parts):
        return None
    return parts[0], parts[1]
