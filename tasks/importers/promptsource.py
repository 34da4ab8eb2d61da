"""promptsource: templates for datasets that are tasks here, as variants of those tasks."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from formats import FORMATS
from formats.errors import TemplateError, UnifyError
from formats.examples import Example

from .. import catalogue
from ..declare import build
from ..task import Task
from ._found import Bad, Found
from ._names import slug
from ._ps_original import Original, read
from ._ps_rows import Columns, known
from ._ps_use import Usable, use

LAYOUT = "promptsource"
ROWS = 60  # per task and template, evenly over its labelled splits
LONGEST = 60  # characters of a name


def sniff(path: Path) -> bool:
    return path.name == "templates.yaml" and b"!Template" in path.read_bytes()


def found(files: Sequence[Path]) -> list[Found | Bad]:
    """Per task and set of label words one variant with all templates that answer in them; and the
    templates that fit no task, with the reason."""
    (path,) = files
    dataset, templates, broken = read(path)
    results: list[Found | Bad] = [
        Bad(path, "no text, or none with ||| between input and target", name) for name in broken
    ]
    tasks = known().get(dataset, {})
    declared = catalogue.declarations()
    here = {name: columns for name, columns in tasks.items() if name in declared}
    if not here:
        problem = f"no task here has the rows of {dataset}"
        return [*results, _all(path, problem, templates)]
    used: set[str] = set()
    reasons: dict[str, list[str]] = {}
    for name, columns in here.items():
        try:
            task = catalogue.load(name)
            rows = _sample(task)
        except UnifyError as error:
            return [*results, _all(path, f"task {name}: {error.what}", templates)]
        ways = []
        for template in templates:
            way = _try(template, task, columns, rows)
            if isinstance(way, Usable):
                ways.append(way)
                used.add(template.name)
            else:
                reasons.setdefault(template.name, []).append(way)
        home = dataset if len(here) == 1 else f"{dataset}_{name}"
        results += _variants(home, path, task, declared[name], ways, rows)
    for template in templates:
        if template.name not in used:
            results.append(Bad(path, "; ".join(dict.fromkeys(reasons[template.name])),
                               template.name))  # fmt: skip
    return results


def _all(path: Path, problem: str, templates: Sequence[Original]) -> Bad:
    return Bad(path, problem, f"all {len(templates)} templates", len(templates))


def _sample(task: Task) -> list[Example]:
    """Rows of all labelled splits, evenly; every label's own rows would cost a whole pass."""
    splits = [s for s in task.splits() if s not in task.unlabelled]
    rows: list[Example] = []
    for split in splits:
        share = max(1, ROWS // len(splits))
        step = max(1, task.count(split) // share)
        starts = range(0, min(task.count(split), step * share), step)
        for start in starts:
            rows += task.examples(split, limit=1, start=start, on_bad_row="skip")
    return list({example.id: example for example in rows}.values())


def _try(template: Original, task: Task, columns: Columns, rows: Sequence[Example]) -> Usable | str:
    try:
        return use(template, task, columns, rows)
    except TemplateError as error:
        return error.what


def _variants(
    home: str,
    path: Path,
    task: Task,
    declared: catalogue.Declaration,
    ways: Sequence[Usable],
    rows: Sequence[Example],
) -> list[Found]:
    groups: dict[tuple[str, ...], list[Usable]] = {}
    for way in ways:
        groups.setdefault(way.words, []).append(way)
    made = []
    for words, group in groups.items():
        name = slug(f"ps_{home}_{'_'.join(words)}")
        if len(name) > LONGEST:
            name = slug(f"ps_{home}_{len(words)}_words")
        raw = _declaration(task, declared, words, group)
        variant = build(name, raw, path)
        _check(variant, rows, len(group))
        made.append(
            Found(
                name=name,
                layout=LAYOUT,
                files=(path,),
                type=task.type.__name__,
                rows={split: task.count(split) for split in task.splits()},
                language=task.language,
                declaration=raw,
                labels=words,
                notes=tuple(str(n) for n in raw["notes"][-1:]),
            )
        )
    return made


def _declaration(
    task: Task, declared: catalogue.Declaration, words: Sequence[str], group: Sequence[Usable]
) -> dict[str, Any]:
    """The task's own declaration with other label words and templates."""
    raw: dict[str, Any] = copy.deepcopy(dict(declared.raw))
    source = raw["source"]
    if "path" in source:
        source["path"] = str((declared.file.parent / str(source["path"])).resolve())
    if task.labels is not None and words:
        raw["labels"] = dict(zip(task.labels.names, words, strict=True))
    templates: list[Any] = [
        {"source": way.source, "target": way.target} if way.target == "letter" else way.source
        for way in group
    ]
    prompts = {**(raw.get("prompts") or {}), "generate": templates}
    # `only` would also take the other formats' default templates away where they have own ones.
    raw["prompts"] = {**prompts, "only": True}
    notes = raw.get("notes") or []
    told = f"{len(group)} templates of promptsource: {', '.join(way.name for way in group)}"
    raw["notes"] = [*([notes] if isinstance(notes, str) else notes), told]
    return raw


def _check(task: Task, rows: Sequence[Example], count: int) -> None:
    """The variant asks its own rows in all ``count`` ways. Raises UnifyError."""
    format = FORMATS["generate"]()
    assert task.prompt.count("generate") == count
    for example in list(task.examples(next(iter(task.splits())), limit=1, on_bad_row="skip")):
        for template in range(count):
            list(format.encode(example, task.prompt, template=template))
