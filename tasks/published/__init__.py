"""Tasks and splits of published collections, by the names that their papers use.

A published task is one of ours, or known only by what the table says: cluster, lineage, where its
rows are. So the leaks of a published split can be named without its rows.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import resources
from typing import Any

import yaml

from formats.errors import DeclarationError, UnknownName

COLLECTIONS = ("metaicl", "crossfit")
_KEYS = ("task", "same", "cluster", "lineage", "hub")


@dataclass(frozen=True)
class Published:
    """Attributes:
    task: its name in our catalogue; None where there are no rows in files.
    identity: equal for two names of one task.
    cluster, lineage: as of a declaration; of a task of ours the catalogue has them.
    hub: the repository of its rows on the Hugging Face Hub; None where that is not known.
    """

    name: str
    identity: str
    task: str | None = None
    cluster: str = ""
    lineage: frozenset[str] = frozenset()
    hub: str | None = None

    def __post_init__(self) -> None:
        if (self.task is None) != bool(self.cluster and self.lineage):
            raise DeclarationError(
                "a published task is one of ours, or has a cluster and a lineage",
                task=self.name,
                got=(self.task, self.cluster, sorted(self.lineage)),
                fix="give it base: of ours, or cluster and lineage",
            )


def _data(file: str) -> dict[str, Any]:
    text = resources.files(__package__).joinpath(f"{file}.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)  # type: ignore[no-any-return]


def _one(name: str, raw: Mapping[str, Any]) -> Published:
    for key in raw:
        if key not in _KEYS:
            raise UnknownName("key", key, _KEYS, field=name)
    cluster = str(raw.get("cluster", ""))
    return Published(
        name=name,
        identity=raw.get("task") or name,
        task=raw.get("task"),
        cluster=cluster,
        lineage=frozenset(raw.get("lineage") or ([name] if cluster else ())),
        hub=raw.get("hub"),
    )


@functools.cache
def table() -> Mapping[str, Published]:
    """All published tasks by name."""
    raws = _data("tasks")
    out = {}
    for name, raw in raws.items():
        first = raw.get("same", name)
        found = _one(first, raws[first])
        out[name] = Published(name, found.identity, found.task, found.cluster, found.lineage,
                              found.hub)  # fmt: skip
    return out


@functools.cache
def splits() -> Mapping[str, tuple[str, ...]]:
    """Published names by ``collection/split/side``, such as ``metaicl/hr_to_lr/seen``."""
    return {
        f"{collection}/{split}/{side}": tuple(names)
        for collection in COLLECTIONS
        for split, sides in _data(collection).items()
        for side, names in sides.items()
    }


def names(pattern: str) -> list[str]:
    """The published tasks of a name, a glob or a split's side. Raises UnknownName."""
    if pattern in splits():
        return list(splits()[pattern])
    if "/" in pattern:
        raise UnknownName("published split", pattern, splits())
    found = [name for name in table() if fnmatchcase(name, pattern)]
    if not found:
        raise UnknownName("published task", pattern, table())
    return found
