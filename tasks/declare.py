"""Declarations: plain YAML to tasks. One file declares a task, or a family by ``variants``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from formats.errors import DeclarationError, UnifyError, UnknownName
from formats.examples import TYPE_NAMES, LabelSpace, TypeSpace
from formats.prompts import default_prompt

from . import _values
from .dotted import resolve
from .fields import check_declared
from .metrics import for_task
from .parametric import expanded
from .shards import Shards, is_pattern
from .sources import Files, Generated, Hub, Source
from .task import Task

KEYS = (
    "base", "type", "cluster", "lineage", "licence", "language", "source", "format",
    "splits", "derive", "fields", "labels", "types", "scale", "metric", "also", "prompts", "hub_id",
    "unverified", "variants", "variants_from", "each", "name", "adapter", "unanswerable",
    "positive", "several", "unlabelled", "separator", "answer_as", "group", "notes", "broken",
    "guide",
)  # fmt: skip
# A layer's mapping is laid over the base's for these keys; any other key is replaced as a whole.
_LAID_OVER = ("source", "args", "fields", "prompts", "format", "splits")
# The same plain data, in C where PyYAML has it: thousands of imported files are read at each start.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_ANSWERS = ("index", "number", "letter", "text")


def lay_over(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """``top`` over ``base``; a key set to null is taken away."""
    out = dict(base)
    for key, value in top.items():
        below = out.get(key)
        if key in _LAID_OVER and isinstance(value, Mapping) and isinstance(below, Mapping):
            out[key] = lay_over(below, value)
        elif value is None:
            out.pop(key, None)
        else:
            out[key] = value
    return out


def _read(path: Path, seen: tuple[Path, ...], met: set[Path]) -> dict[str, Any]:
    """The file's mapping, laid over its bases; ``met`` gets the files."""
    met.add(path)
    if path in seen:
        raise DeclarationError(
            "bases that go in a circle",
            fix="take one of the base: keys away",
            file=str(path),
            field="base",
        )
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _LOADER)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        if isinstance(error, UnicodeDecodeError):
            raise DeclarationError(
                f"not YAML: {error}", file=str(path), expected="text in UTF-8"
            ) from None
        raise DeclarationError(
            f"a declaration that cannot be read: {error}",
            fix="check the path and its permissions",
            file=str(path),
            field="base" if seen else None,
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DeclarationError(
            f"not YAML: {error}", fix="mend the YAML at that line", file=str(path)
        ) from None
    if not isinstance(raw, dict):
        raise DeclarationError(
            "a declaration that is no mapping", file=str(path), got=raw, expected="key: value lines"
        )
    for key in raw:
        if key not in KEYS:
            raise UnknownName("key", str(key), KEYS, file=str(path))
    base = raw.pop("base", None)
    return lay_over(_read(path.parent / str(base), (*seen, path), met), raw) if base else raw


def read(path: Path, met: set[Path] | None = None) -> dict[str, dict[str, Any]]:
    """The declarations of a file, by task name: the file's stem, or the names of its variants.
    ``met`` gets the file and its bases."""
    raw = _read(path, (), set() if met is None else met)
    try:
        variants = dict(raw.pop("variants", None) or {})
        maker = raw.pop("variants_from", None)
        if maker:
            variants.update(resolve(maker)())
    except (TypeError, ValueError) as error:
        raise DeclarationError(
            f"variants that are no mapping: {error}",
            expected="name: {keys laid over} for each variant",
            file=str(path),
            field="variants",
        ) from None
    except UnifyError as error:
        raise error.at(file=str(path), field="variants_from") from None
    if "each" in raw and not variants:
        try:
            return expanded(raw)
        except UnifyError as error:
            raise error.at(file=str(path)) from None
    if not variants:
        return {path.stem: raw}
    for name, over in variants.items():
        if over is not None and not isinstance(over, Mapping):
            raise DeclarationError(
                "a variant that is no mapping",
                got=over,
                expected="keys of a declaration, or nothing",
                file=str(path),
                field=f"variants.{name}",
            )
        for key in over or {}:
            if key not in KEYS:
                raise UnknownName("key", str(key), KEYS, file=str(path), field=f"variants.{name}")
    return {str(name): lay_over(raw, over or {}) for name, over in variants.items()}


def _need(raw: Mapping[str, Any], key: str, kind: type, what: str) -> Any:
    value = raw.get(key)
    if not isinstance(value, kind) or not value:
        raise DeclarationError(
            f"{key} is missing" if value is None else f"{key} is not {what}",
            got=value,
            expected=what,
            field=key,
        )
    return value


def _source(raw: Mapping[str, Any], folder: Path) -> Source:
    source = _need(raw, "source", dict, "a mapping with data, path, url, hub, generator or python")
    homes = [k for k in ("data", "path", "url", "hub", "generator", "python") if k in source]
    if len(homes) != 1:
        raise DeclarationError(
            "a source has one home",
            got=sorted(source),
            field="source",
            expected="one of data, path, url, hub, generator, python",
        )
    home = homes[0]
    more = {"hub": ("revision", "config"), "generator": ("args",), "python": ("args",),
            "url": ("revision", "keep")}  # fmt: skip
    for key in source:
        if key not in (home, *more.get(home, ())):
            raise UnknownName("source key", key, (home, *more.get(home, ())), field="source")
    splits = _need(raw, "splits", (dict, list), "a mapping split -> file or arguments")  # type: ignore[arg-type]
    if home == "hub":
        revision = _need(source, "revision", str, "a pinned commit or tag")
        names = dict(splits) if isinstance(splits, dict) else {s: s for s in splits}
        return Hub(source["hub"], revision, names, source.get("config"))
    if home in ("generator", "python"):
        per = splits if isinstance(splits, dict) else {split: {} for split in splits}
        per = {s: {"n": a} if isinstance(a, int) else dict(a or {}) for s, a in per.items()}
        return Generated(source[home], dict(source.get("args") or {}), per)
    return _files(raw, source, home, splits, folder)


def _files(
    raw: Mapping[str, Any], source: Mapping[str, Any], home: str, splits: Any, folder: Path
) -> Files:
    if not isinstance(splits, dict):
        raise DeclarationError(
            "splits name no files", got=splits, expected="a mapping split -> file", field="splits"
        )
    format = _need(raw, "format", (str, dict), "a reader's name, or {name: options}")  # type: ignore[arg-type]
    if isinstance(format, dict):
        if len(format) != 1:
            raise DeclarationError(
                "a format has one reader",
                got=format,
                expected="{reader: {option: value}}",
                field="format",
            )
        ((name, options),) = format.items()
    else:
        name, options = format, {}
    # A split is a file, {file: f, option: value, …}, or {column: file} for parallel files.
    paths: dict[str, Any] = {}
    own: dict[str, dict[str, Any]] = {}
    for split, value in splits.items():
        if isinstance(value, dict) and "file" in value and name != "parallel":
            paths[split] = value["file"]
            own[split] = {k: v for k, v in value.items() if k != "file"}
        else:
            paths[split] = value
    root = str(source[home])
    place = str((folder / root).resolve()) if home == "path" else root
    common = (place, home == "data", paths, str(name), dict(options or {}), own)
    if home != "url" and not any(map(is_pattern, paths.values())):
        return Files(*common)
    several = [split for split, value in paths.items() if isinstance(value, dict)]
    if several:
        raise DeclarationError(
            "shards of parallel files",
            got=several,
            expected="a file, a pattern or a list of them",
            fix="join the parallel files of each shard into one",
            field="splits",
        )
    revision = source.get("revision")
    return Shards(
        *common, url=home == "url", revision=None if revision is None else str(revision),
        keep=bool(source.get("keep", True)),
    )  # fmt: skip


def _check_named(raw: Mapping[str, Any]) -> None:
    """Raises UnknownName for a hypothesis or question of no label or type."""
    known = [str(name) for name in raw.get("labels") or raw.get("types") or ()]
    for key in ("hypotheses", "questions") if known else ():
        for name in (raw.get("prompts") or {}).get(key) or ():
            if str(name) not in known:
                raise UnknownName("label or type", str(name), known, field=f"prompts.{key}")


def build(name: str, raw: Mapping[str, Any], file: Path) -> Task:
    """The task of a resolved declaration; errors name the file and the key."""
    try:
        return _build(name, raw, file)
    except UnifyError as error:
        raise error.at(task=name, file=str(file)) from None
    except (TypeError, ValueError, AttributeError, LookupError, OverflowError) as error:
        raise DeclarationError(
            f"a declaration with a value of the wrong kind: {type(error).__name__}: {error}",
            task=name,
            file=str(file),
            expected="values as tasks/README.md lists them",
            fix="compare it with a declaration that works: unify tasks show <name>",
        ) from error


def _build(name: str, raw: Mapping[str, Any], file: Path) -> Task:
    type_name = _need(raw, "type", str, "a task type")
    if type_name not in TYPE_NAMES:
        raise UnknownName("task type", type_name, TYPE_NAMES, field="type")
    kind: str = TYPE_NAMES[type_name].kind  # type: ignore[attr-defined]
    space = {"classify": "labels", "multilabel": "labels", "relate": "labels", "tag": "types",
             "rate": "scale"}.get(kind)  # fmt: skip
    # Rows may bring their own labels, by the field `options` or by an adapter.
    own = kind == "multilabel" and ("options" in (raw.get("fields") or {}) or raw.get("adapter"))
    for key in ("labels", "types", "scale"):
        if (raw.get(key) is not None) != (key == space) and not (key == "labels" and own):
            problem = "needs" if key == space else "has no"
            raise DeclarationError(
                f"a {type_name} task {problem} {key}",
                fix="see the keys of each task type in tasks/README.md",
                field=key,
            )
    fields = dict(raw.get("fields") or {})
    check_declared(kind, fields)
    answer_as = raw.get("answer_as")
    if answer_as is not None and answer_as not in _ANSWERS:
        raise UnknownName("answer_as", str(answer_as), _ANSWERS, field="answer_as")
    source = _source(raw, file.parent)
    derive = _values.derive(raw, source.splits())
    language = str(raw.get("language", "en"))
    wanted = (raw.get("metric"), *(raw.get("also") or ()))
    group, positive = raw.get("group"), raw.get("positive")
    measures = [for_task(kind, language, m, group=group, positive=positive) for m in wanted]
    labels = _values.space(raw, "labels", LabelSpace)
    if positive is not None and (labels is None or str(positive) not in labels.names):
        raise UnknownName("label", str(positive), labels.names if labels else (), field="positive")
    lineage = raw.get("lineage") or [name]
    notes = raw.get("notes") or []
    notes = [notes] if isinstance(notes, str) else list(notes)
    if derive is not None:
        notes.append(derive.note())
    unlabelled = frozenset(raw.get("unlabelled") or ())
    for split in unlabelled - set(source.splits()):
        raise UnknownName("split", split, source.splits(), field="unlabelled")
    parts = tuple(derive.parts) if derive is not None else ()
    about = {"task": name, "domain": str(raw.get("cluster", ""))}
    prompt = default_prompt(kind, language, raw.get("prompts"), about)
    _check_named(raw)
    guide = raw.get("guide")
    if guide is not None and not (isinstance(source, Files) and kind in ("classify", "generate")):
        raise DeclarationError(
            "a guide without a file, or for another task type",
            got=guide,
            expected="a file beside the splits, of a TextClassification or TextGeneration task",
            field="guide",
        )
    return Task(
        name=name,
        kind=kind,
        cluster=_need(raw, "cluster", str, "a cluster's name"),
        lineage=frozenset([lineage] if isinstance(lineage, str) else lineage),
        source=source,
        prompt=prompt,
        metric=measures[0],
        also=tuple(measures[1:]),
        licence=str(raw.get("licence", "")),
        language=language,
        labels=labels,
        types=_values.space(raw, "types", TypeSpace),
        scale=_values.scale(raw),
        fields=fields,
        unlabelled=unlabelled,
        derive=derive,
        adapter=resolve(raw["adapter"]) if raw.get("adapter") else None,
        several=bool(raw.get("several", False)),
        unanswerable=bool(raw.get("unanswerable", False)),
        answer_as=answer_as,
        separator=raw.get("separator"),
        group=group,
        positive=None if positive is None else str(positive),
        broken=_values.broken(raw, (*source.splits(), *parts)),
        guide_file=None if guide is None else str(guide),
        notes=tuple(notes),
        hub_id=raw.get("hub_id"),
        verified=not raw.get("unverified", False),
        declaration=dict(raw),
    )
