"""Suites: which tasks are trained on (seen) and which are only evaluated (unseen)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from formats.errors import DeclarationError, UnifyError, UnknownName

from . import catalogue, published
from .subsets import parse

KEYS = (
    "seen", "unseen", "limits", "train", "evaluate", "held_out", "clean", "base", "cluster",
)  # fmt: skip
PUBLISHED = "published:"
LEAKS = ("task", "cluster", "lineage", "rows", "ngrams")  # the kinds that ``tasks.unseen`` finds


@dataclass(frozen=True)
class Suite:
    """Attributes:
    seen, unseen: tasks of the catalogue.
    limits: split -> rows per task that are used at most; a split not named has no limit.
    evaluate: splits that evaluation prefers, in this order; the first one with gold is used.
    train: splits that training prefers, likewise; ``limits["train"]`` is for whichever it is.
    held_out: whether seen tasks are scored as well, on the evaluation split of each.
    clean: seen tasks with leaks of these kinds into unseen ones are taken out (``tasks.cleaning``).
    seen_as, unseen_as: tasks chosen by a published name, by that name, without rows here or with.
    """

    name: str
    seen: tuple[str, ...]
    unseen: tuple[str, ...]
    limits: Mapping[str, int] = field(default_factory=dict)
    evaluate: tuple[str, ...] = ("test", "validation")
    train: tuple[str, ...] = ("train",)
    held_out: bool = False
    clean: tuple[str, ...] = ()
    seen_as: tuple[str, ...] = ()
    unseen_as: tuple[str, ...] = ()

    def absent(self) -> dict[str, tuple[str, ...]]:
        """Per side the published names that have no rows here."""
        known = published.table()
        sides = {"seen": self.seen_as, "unseen": self.unseen_as}
        return {k: tuple(n for n in v if known[n].task is None) for k, v in sides.items()}

    def named(self) -> dict[str, tuple[str, ...]]:
        """Per side all tasks, here or not: published names, then tasks that go by none of them."""
        known = published.table()
        out = {}
        for side, names, tasks in (
            ("seen", self.seen_as, self.seen),
            ("unseen", self.unseen_as, self.unseen),
        ):
            ours = {known[name].task for name in names}
            out[side] = (*names, *(t for t in tasks if t.partition("@")[0] not in ours))
        return out

    def here(self) -> Suite:
        """Without published names: what a run can train on and evaluate."""
        return replace(self, seen_as=(), unseen_as=())

    def limit(self, split: str) -> int | None:
        return self.limits.get(split)

    def train_split(self, task: str) -> str:
        """The split that ``task`` trains on; the first one preferred, if it has none of them."""
        loaded = catalogue.load(task)
        for split in self.train:
            if split in loaded.splits() and split not in loaded.unlabelled:
                return split
        return self.train[0]

    def eval_split(self, task: str) -> str:
        """The split on which ``task`` is evaluated; of a seen task never the one it trains on."""
        loaded = catalogue.load(task)
        trained = self.train_split(task) if task in self.seen else None
        for split in self.evaluate:
            if split in loaded.splits() and split not in loaded.unlabelled and split != trained:
                return split
        raise DeclarationError(
            "a task without a split to evaluate",
            task=task,
            got=loaded.splits(),
            expected=f"a labelled split among {', '.join(self.evaluate)}",
            fix="give it one (`derive` takes rows of another), or do not evaluate it: take it out "
            "of suite.unseen, or of suite.held_out=true",
            suite=self.name,
        )


def _cataloged(pattern: str, known: Mapping[str, catalogue.Declaration]) -> list[str]:
    """Those of the tasks ``known`` that a name, a glob or ``cluster:`` chooses. Raises
    UnknownName."""
    if pattern in known:
        return [pattern]
    catalogue.refuse_broken()  # what the pattern means may stand there
    if pattern.startswith("cluster:"):
        wanted = pattern.removeprefix("cluster:")
        clusters = {n: str(d.raw.get("cluster")) for n, d in known.items()}
        found = [n for n, cluster in clusters.items() if fnmatchcase(cluster, wanted)]
        if not found:
            raise UnknownName("cluster", wanted, set(clusters.values()))
        return sorted(found)
    found = [n for n in known if fnmatchcase(n, pattern)]
    if not found:
        raise UnknownName("task", pattern, known)
    return sorted(found)


def _chosen(selectors: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names in the catalogue and published names of selectors, each once."""
    here: dict[str, None] = {}
    named: dict[str, None] = {}
    known = catalogue.declarations(whole=False)
    for selector in selectors:
        pattern, at, few = selector.removeprefix("-").partition("@")
        parse(f"{pattern}{at}{few}")
        own: list[str] = []
        if pattern.startswith(PUBLISHED):
            own = published.names(pattern.removeprefix(PUBLISHED))
            found = [task for n in own if (task := published.table()[n].task) is not None]
        else:
            found = _cataloged(pattern, known)
        found = [f"{n}{at}{few}" for n in found]
        if selector.startswith("-"):
            here = {n: None for n in here if n not in found}
            named = {n: None for n in named if n not in own
                     and published.table()[n].task not in found}  # fmt: skip
        else:
            here.update(dict.fromkeys(found))
            named.update(dict.fromkeys(own))
    return tuple(here), tuple(named)


def select(selectors: Iterable[str]) -> tuple[str, ...]:
    """Task names of selectors, in order and each once.

    A selector is a name, a glob, ``cluster:<name or glob>`` or ``published:<name, glob or split>``;
    ``@k16s13`` behind it chooses few-shot subsets; a leading ``-`` takes away what earlier ones
    chose. One that chooses nothing is an error.
    """
    return _chosen(selectors)[0]


def _splits(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _kinds(value: Any) -> tuple[str, ...]:
    """``true``: all kinds of leaks; or some of them."""
    if isinstance(value, (bool, type(None))):
        return LEAKS if value else ()
    for kind in (kinds := _splits(value)):
        if kind not in LEAKS:
            raise UnknownName("kind of leak", str(kind), LEAKS, field="clean")
    return kinds


def _based(raw: Mapping[str, Any], above: tuple[str, ...] = ()) -> dict[str, Any]:
    """``raw`` over the suite that its ``base`` names; a ``cluster`` is left out of its tasks."""
    values = dict(raw)
    base, cluster = values.pop("base", None), values.pop("cluster", None)
    if base is not None:
        if base in above:
            raise DeclarationError(
                "a suite that is its own base",
                got=(*above, base),
                fix="name another base",
                field="base",
            )
        values = {**_based(_raw(_file(base)), (*above, base)), **values}
    if cluster is not None:
        everything = select((*(values.get("seen") or ()), *(values.get("unseen") or ())))
        clusters = clusters_of(everything)
        if cluster not in clusters:
            raise UnknownName("cluster", str(cluster), clusters, field="cluster")
        values["unseen"] = clusters[cluster]
        values["seen"] = [n for n in everything if n not in clusters[cluster]]
    return values


def clusters_of(names: Iterable[str]) -> dict[str, list[str]]:
    """Cluster -> those of the tasks ``names`` that are in it."""
    known = catalogue.declarations(whole=False)
    out: dict[str, list[str]] = {}
    for name in names:
        one = known[name if name in known else parse(name)[0]]
        out.setdefault(str(one.raw.get("cluster")), []).append(name)
    return dict(sorted(out.items()))


def made(name: str, raw: Mapping[str, Any]) -> Suite:
    """The suite of plain values; its selectors (names, globs, clusters) become task names.

    Raises UnknownName.
    """
    for key in raw:
        if key not in KEYS:
            raise UnknownName("key", str(key), KEYS)
    values = _based(raw)
    seen, seen_as = _chosen(_splits(values.get("seen") or ()))
    unseen, unseen_as = _chosen(_splits(values.get("unseen") or ()))
    left_out = raw.get("cluster")
    return Suite(
        name=name if left_out is None else f"{raw.get('base') or name} without {left_out}",
        seen=seen,
        unseen=unseen,
        limits={str(k): int(v) for k, v in (values.get("limits") or {}).items()},
        evaluate=_splits(values.get("evaluate") or ("test", "validation")),
        train=_splits(values.get("train") or "train"),
        held_out=bool(values.get("held_out", False)),
        clean=_kinds(values.get("clean")),
        seen_as=seen_as,
        unseen_as=unseen_as,
    )


def _raw(path: Path) -> dict[str, Any]:
    raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(raw, dict):
        raise DeclarationError(
            "a suite that is no mapping",
            file=str(path),
            got=raw,
            expected="keys like seen, unseen and limits",
        )
    return raw


def read(path: Path, **values: Any) -> Suite:
    """The suite of a YAML file, with ``values`` over its own; errors name the file and the key."""
    try:
        return made(path.stem, {**_raw(path), **values})
    except UnifyError as error:
        raise error.at(file=str(path)) from None


def _files() -> dict[str, Path]:
    # Suites lie beside the tasks: conf/suite next to conf/task, and likewise in other folders.
    folders = [folder.parent / "suite" for folder in catalogue.folders()]
    return {p.stem: p for folder in reversed(folders) for p in sorted(folder.glob("*.yaml"))}


def _file(name: str) -> Path:
    files = _files()
    if name not in files:
        raise UnknownName("suite", name, files)
    return files[name]


def names() -> list[str]:
    """All suite names, sorted."""
    return sorted(_files())


def load(name: str, **values: Any) -> Suite:
    """The suite ``name``, with ``values`` over its own. Raises UnknownName, DeclarationError."""
    return read(_file(name), **values)
