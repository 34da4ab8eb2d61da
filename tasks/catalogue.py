"""Which tasks there are: declarations of this package, of the user's folders and of plug-ins."""

from __future__ import annotations

import functools
import os
from importlib import import_module, metadata, resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from formats.errors import ConfigError, DeclarationError, UnknownName

from .declare import build, read
from .subsets import parse, shrunk
from .task import Task

ENTRY_POINTS = "unify.tasks"


class Declaration(NamedTuple):
    """A task's resolved declaration and the file that holds it."""

    name: str
    raw: dict[str, Any]
    file: Path


def _packaged(package: str, folder: str = "") -> list[Path]:
    """Folders of an installed package, namespace packages included."""
    spec = find_spec(package)
    if spec is None:
        return []
    return [Path(p) / folder for p in spec.submodule_search_locations or ()]


def folders() -> list[Path]:
    """Where declarations are looked for, in order.

    The ``conf`` package's ``task`` folder, the folders in the environment variable
    ``UNIFY_TASKS``, and entry points of the group ``unify.tasks``, whose value is a package that
    holds YAML files.
    """
    found = _packaged("conf", "task")
    for place in filter(None, os.environ.get("UNIFY_TASKS", "").split(os.pathsep)):
        folder = Path(place).expanduser()
        if not folder.is_dir():
            raise ConfigError(
                "UNIFY_TASKS names no folder", got=place, expected="folders of task declarations"
            )
        found.append(folder)
    for point in metadata.entry_points(group=ENTRY_POINTS):
        module = import_module(point.value.partition(":")[0])
        found.append(Path(str(resources.files(module))))
    return [f for f in dict.fromkeys(found) if f.is_dir()]


@functools.lru_cache(maxsize=8)
def _all(files: tuple[tuple[Path, int], ...]) -> dict[str, Declaration]:
    """Declarations of ``files`` (path, time of change); bases only serve as part of the key."""
    found: dict[str, Declaration] = {}
    for path, _ in files:
        if path.name.startswith("_"):
            continue
        for name, raw in read(path).items():
            if name in found:
                raise DeclarationError(
                    f"two tasks of the name {name!r}",
                    task=name,
                    file=f"{found[name].file} and {path}",
                    fix="rename one of them",
                )
            found[name] = Declaration(name, raw, path)
    return found


def declarations() -> dict[str, Declaration]:
    """All declarations by task name; read again when a file has changed."""
    paths = [path for folder in folders() for path in sorted(folder.rglob("*.yaml"))]
    return _all(tuple((path, path.stat().st_mtime_ns) for path in paths))


def names() -> list[str]:
    """All task names, sorted."""
    return sorted(declarations())


def load(name: str) -> Task:
    """The task ``name``, or a few-shot subset of one (``trec@k16s13``, see ``tasks.subsets``).

    Raises UnknownName with close names, DeclarationError.
    """
    known = declarations()
    parent, subset = (name, None) if name in known else parse(name)
    if parent not in known:
        raise UnknownName("task", parent, known)
    task = build(*known[parent])
    return task if subset is None else shrunk(task, subset)
