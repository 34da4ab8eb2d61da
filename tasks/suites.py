"""Suites: which tasks are trained on (seen) and which are only evaluated (unseen)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from formats.errors import DeclarationError, UnifyError, UnknownName

from . import catalogue
from .subsets import parse

KEYS = ("seen", "unseen", "limits", "train", "evaluate", "held_out")


@dataclass(frozen=True)
class Suite:
    """Attributes:
    limits: split -> rows per task that are used at most; a split not named has no limit.
    evaluate: splits that evaluation prefers, in this order; the first one with gold is used.
    train: splits that training prefers, likewise; ``limits["train"]`` is for whichever it is.
    held_out: whether seen tasks are scored as well, on the evaluation split of each.
    """

    name: str
    seen: tuple[str, ...]
    unseen: tuple[str, ...]
    limits: Mapping[str, int] = field(default_factory=dict)
    evaluate: tuple[str, ...] = ("test", "validation")
    train: tuple[str, ...] = ("train",)
    held_out: bool = False

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
            suite=self.name,
        )


def select(selectors: Iterable[str]) -> tuple[str, ...]:
    """Task names of selectors, in order and each once.

    A selector is a name, a glob, or ``cluster:<name or glob>``; ``@k16s13`` behind it chooses
    few-shot subsets; a leading ``-`` takes away what earlier ones chose. One that chooses nothing
    is an error.
    """
    known = catalogue.declarations()
    chosen: dict[str, None] = {}
    for selector in selectors:
        pattern, at, few = selector.removeprefix("-").partition("@")
        parse(f"{pattern}{at}{few}")
        if pattern.startswith("cluster:"):
            wanted = pattern.removeprefix("cluster:")
            clusters = {n: str(d.raw.get("cluster")) for n, d in known.items()}
            found = [n for n, cluster in clusters.items() if fnmatchcase(cluster, wanted)]
            if not found:
                raise UnknownName("cluster", wanted, set(clusters.values()))
        else:
            found = [n for n in known if fnmatchcase(n, pattern)]
            if not found:
                raise UnknownName("task", pattern, known)
        found = [f"{n}{at}{few}" for n in found]
        if selector.startswith("-"):
            chosen = {n: None for n in chosen if n not in found}
        else:
            chosen.update(dict.fromkeys(sorted(found)))
    return tuple(chosen)


def _splits(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def made(name: str, raw: Mapping[str, Any]) -> Suite:
    """The suite of plain values; its selectors (names, globs, clusters) become task names.

    Raises UnknownName.
    """
    for key in raw:
        if key not in KEYS:
            raise UnknownName("key", str(key), KEYS)
    return Suite(
        name=name,
        seen=select(raw.get("seen") or ()),
        unseen=select(raw.get("unseen") or ()),
        limits={str(k): int(v) for k, v in (raw.get("limits") or {}).items()},
        evaluate=_splits(raw.get("evaluate") or ("test", "validation")),
        train=_splits(raw.get("train") or "train"),
        held_out=bool(raw.get("held_out", False)),
    )


def read(path: Path) -> Suite:
    """The suite of a YAML file; errors name the file and the key."""
    raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(raw, dict):
        raise DeclarationError("a suite that is no mapping", file=str(path), got=raw)
    try:
        return made(path.stem, raw)
    except UnifyError as error:
        raise error.at(file=str(path)) from None


def _files() -> dict[str, Path]:
    # Suites lie beside the tasks: conf/suite next to conf/task, and likewise in other folders.
    folders = [folder.parent / "suite" for folder in catalogue.folders()]
    return {p.stem: p for folder in reversed(folders) for p in sorted(folder.glob("*.yaml"))}


def names() -> list[str]:
    """All suite names, sorted."""
    return sorted(_files())


def load(name: str) -> Suite:
    """The suite ``name``. Raises UnknownName, DeclarationError."""
    files = _files()
    if name not in files:
        raise UnknownName("suite", name, files)
    return read(files[name])
