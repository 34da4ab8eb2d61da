"""All tasks of a folder or file: which files belong together, and which importer reads them."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from formats.errors import ConfigError, UnifyError

from . import bigbench, induction, lm_eval, metaicl, natural, p3, promptsource, self_instruct
from ._files import glance
from ._found import Bad, Found

SUFFIXES = (".json", ".jsonl", "templates.yaml")


class Importer(NamedTuple):
    """``sniff(path)``: is it this layout? ``found(files)``: its tasks; raises UnifyError.
    ``unit(path)``: equal for files that belong together, None for what its name does not say."""

    name: str
    sniff: Callable[[Path], bool]
    found: Callable[[Sequence[Path]], Sequence[Found | Bad]]
    unit: Callable[[Path], Hashable | None] | None = None


# The first that knows a file reads it.
IMPORTERS = (
    Importer(natural.LAYOUT, natural.sniff, natural.found),
    Importer(induction.LAYOUT, induction.sniff, induction.found, induction.unit),
    Importer(bigbench.LAYOUT, bigbench.sniff, bigbench.found),
    Importer(metaicl.LAYOUT, metaicl.sniff, metaicl.found, metaicl.unit),
    Importer(p3.LAYOUT, p3.sniff, p3.found),
    Importer(self_instruct.LAYOUT, self_instruct.sniff, self_instruct.found),
    Importer(promptsource.LAYOUT, promptsource.sniff, promptsource.found),
    Importer(lm_eval.LAYOUT, lm_eval.sniff, lm_eval.found),
)


@dataclass(frozen=True)
class Nothing:
    """A file of no layout that is known here, and what it may be instead."""

    file: Path
    what: str = ""

    def __str__(self) -> str:
        return f"{self.file}{f': {self.what}' if self.what else ''}"


def files_of(place: Path) -> list[list[Path]]:
    """The .json, .jsonl and templates.yaml files and lm-eval's YAMLs at ``place``, by unit, in
    order of their paths.

    Raises ConfigError when there is none.
    """
    if place.is_dir():
        paths = sorted(
            Path(folder) / name
            for folder, _, names in os.walk(place)
            for name in names
            if name.endswith(SUFFIXES) or lm_eval.sniff(Path(folder) / name)
        )
    else:
        paths = [place] if place.is_file() else []
    if not paths:
        raise ConfigError(
            "nothing to import",
            got=str(place),
            expected="a .json, .jsonl or templates.yaml file, lm-eval's YAML, or a folder of some",
        )
    units: dict[Hashable, list[Path]] = {}
    for path in paths:
        keys = (importer.unit(path) for importer in IMPORTERS if importer.unit)
        key = next((k for k in keys if k is not None), path)
        units.setdefault(key, []).append(path)
    return list(units.values())


def _of(importer: Importer, files: list[Path]) -> Iterator[Found | Bad]:
    """The tasks of ``files``; a file that cannot be read is named, and the rest goes on."""
    try:
        yield from importer.found(files)
    except UnifyError as error:
        if len(files) == 1:
            yield Bad(files[0], _one_line(error))
            return
        good = []
        for path in files:
            try:
                importer.found([path])
            except UnifyError as own:
                yield Bad(path, _one_line(own))
            else:
                good.append(path)
        if good and len(good) < len(files):
            yield from _of(importer, good)
        elif good:  # each is well by itself, and together they contradict each other
            yield Bad(files[0], _one_line(error))


def _one_line(error: UnifyError) -> str:
    more = [f"{k} {v}" for k, v in error.where.items() if k in ("row", "line", "field")]
    if error.got is not None:
        more.append(f"got {str(error.got)[:60]!r}")
    return error.what + (f" ({', '.join(more)})" if more else "")


def survey(units: list[list[Path]]) -> Iterator[tuple[list[Path], list[Found | Bad | Nothing]]]:
    """Per unit of :func:`files_of` what is in it. Names that occur twice get a number."""
    used: dict[str, int] = {}
    for files in units:
        results: list[Found | Bad | Nothing] = []
        by_importer: dict[Importer | None, list[Path]] = {}
        for path in files:
            try:
                importer = next((i for i in IMPORTERS if i.sniff(path)), None)
            except OSError as error:
                results.append(Bad(path, f"an unreadable file: {error.strerror}"))
                continue
            by_importer.setdefault(importer, []).append(path)
        for importer, own in by_importer.items():
            if importer is None:
                results += map(_unknown, own)
                continue
            for result in _of(importer, own):
                results.append(_once(result, used) if isinstance(result, Found) else result)
        yield files, results


def _unknown(path: Path) -> Bad | Nothing:
    """An empty or cut-off first line tells of no layout; that is a bad file, not an unknown one."""
    if path.stat().st_size == 0:
        return Bad(path, "an empty file")
    problem, what = glance(path)
    return Bad(path, problem) if problem else Nothing(path, what)


def _once(found: Found, used: dict[str, int]) -> Found:
    count = used[found.name] = used.get(found.name, 0) + 1
    return found if count == 1 else replace(found, name=f"{found.name}_{count}")
