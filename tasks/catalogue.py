"""Which tasks there are: declarations of this package, of the user's folders and of plug-ins."""

from __future__ import annotations

import functools
import os
import re
from importlib import import_module, metadata, resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from formats.errors import ConfigError, DeclarationError, UnifyError, UnknownName

from .declare import build, read
from .subsets import parse, shrunk
from .task import Task

ENTRY_POINTS = "unify.tasks"
# What a run, or a sweep of them, leaves in its folder, and a line of it that no declaration has.
OF_RUNS, RUN = ("config.yaml", "multirun.yaml"), re.compile(r"^(seed: -?\d+$|hydra:)", re.MULTILINE)


class Declaration(NamedTuple):
    """A task's resolved declaration, the file that holds it, and all files it was read from."""

    name: str
    raw: dict[str, Any]
    file: Path
    files: tuple[Path, ...] = ()


class _Look(NamedTuple):
    """All declarations, and when the folders and files that they were found in had changed."""

    folders: list[Path]
    below: tuple[tuple[Path, int], ...]
    times: dict[Path, int]
    found: dict[str, Declaration]
    broken: dict[Path, UnifyError]

    def holds(self, name: str) -> bool:
        """Whether ``name`` is still declared as it was: no folder, and no file of its own, has
        changed since."""
        files = self.found[name].files if name in self.found else ()
        return (
            bool(files)
            and self.folders == folders()
            and all(_time(path) == time for path, time in self.below)
            and all(_time(path) == self.times[path] for path in files)
        )

    def refuse(self) -> None:
        """Raises the error of the first file that could not be read."""
        for error in self.broken.values():
            raise error


_last: _Look | None = None


def _time(path: Path) -> int:
    """When ``path`` was changed; -1 where it is gone."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return -1


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
    found += _plugins()
    return [f for f in dict.fromkeys(found) if f.is_dir()]


@functools.cache
def _plugins() -> list[Path]:
    """Folders of the installed packages that bring tasks."""
    points = metadata.entry_points(group=ENTRY_POINTS)
    modules = [import_module(point.value.partition(":")[0]) for point in points]
    return [Path(str(resources.files(module))) for module in modules]


@functools.lru_cache(maxsize=8)
def _all(
    files: tuple[tuple[Path, int], ...],
) -> tuple[dict[str, Declaration], dict[Path, int], dict[Path, UnifyError]]:
    """Declarations of ``files`` (path, time of change), the times of all that was read, and what is
    wrong with those that could not be."""
    found: dict[str, Declaration] = {}
    times: dict[Path, int] = {}
    broken: dict[Path, UnifyError] = {}
    for path, _ in files:
        if path.name.startswith("_"):
            continue
        met: set[Path] = set()
        try:
            declared = read(path, met)
        except UnifyError as error:
            broken[path] = error
            declared = {}
        for name, raw in declared.items():
            if name in found:
                raise DeclarationError(
                    f"two tasks of the name {name!r}",
                    task=name,
                    file=f"{found[name].file} and {path}",
                    fix="rename one of them",
                )
            found[name] = Declaration(name, raw, path, tuple(met))
        times.update((file, _time(file)) for file in met)
    return found, times, broken


@functools.lru_cache(maxsize=4096)
def _of_run(path: Path, time: int) -> bool:
    """Whether the file says how a run was started: a run may stand among the user's tasks."""
    try:
        return RUN.search(path.read_text(encoding="utf-8")) is not None
    except (OSError, UnicodeDecodeError):
        return False  # reading it as a declaration will say what is wrong


def _look() -> _Look:
    """All declarations as they are now; files are read again when they have changed."""
    global _last
    places, paths, below = folders(), [], []
    for place in places:
        for folder, within, files in os.walk(place):
            at = Path(folder)
            if any(n in files and _of_run(at / n, _time(at / n)) for n in OF_RUNS):
                within.clear()
                continue
            below.append((at, _time(at)))
            paths += [at / name for name in files if name.endswith(".yaml")]
    key = tuple((path, _time(path)) for path in sorted(paths))
    found, times, broken = _all(key)
    if any(_time(path) != time for path, time in times.items()):  # a base from elsewhere
        _all.cache_clear()
        found, times, broken = _all(key)
    _last = _Look(places, tuple(below), times, found, broken)
    return _last


def declarations(whole: bool = True) -> dict[str, Declaration]:
    """All declarations by task name.

    Raises DeclarationError or UnknownName of a file that cannot be read where ``whole``: a choice
    among all tasks would silently be one among fewer.
    """
    look = _look()
    if whole:
        look.refuse()
    return look.found


def refuse_broken() -> None:
    """Raises the error of a file that could not be read when declarations were last looked at."""
    (_last or _look()).refuse()


def broken() -> dict[Path, UnifyError]:
    """The files of declarations that cannot be read, and why."""
    return dict(_look().broken)


def names() -> list[str]:
    """The names of all tasks that can be read, sorted; see :func:`broken` for the others."""
    return sorted(declarations(whole=False))


def load(name: str) -> Task:
    """The task ``name``, or a few-shot subset of one (``trec@k16s13``, see ``tasks.subsets``).

    Raises UnknownName with close names, DeclarationError.
    """
    # Looking at every file takes a while, and suites load thousands of tasks one by one.
    last = _last if _last is not None and _last.holds(name.partition("@")[0]) else _look()
    known = last.found
    parent, subset = (name, None) if name in known else parse(name)
    if parent not in known:
        last.refuse()  # one of these may have it
        raise UnknownName("task", parent, known)
    one = known[parent]
    task = build(one.name, one.raw, one.file)
    return task if subset is None else shrunk(task, subset)
