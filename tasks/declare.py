"""Declarations: plain YAML to tasks. One file declares a task, or a family by ``variants``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from formats.errors import DeclarationError, RowError, UnifyError, UnknownName
from formats.examples import TYPE_NAMES, LabelSpace, TypeSpace
from formats.prompts import default_prompt

from .derive import Derive
from .dotted import resolve
from .fields import check_declared
from .metrics import FOR_KIND
from .sources import Files, Generated, Hub, Source
from .task import Task

KEYS = (
    "base", "type", "cluster", "lineage", "licence", "language", "source", "format",
    "splits", "derive", "fields", "labels", "types", "scale", "metric", "prompts", "hub_id",
    "unverified", "variants", "variants_from", "adapter", "unanswerable", "several", "unlabelled",
    "separator", "answer_as", "group", "notes",
)  # fmt: skip
# A layer's mapping is laid over the base's for these keys; any other key is replaced as a whole.
_LAID_OVER = ("source", "args", "fields", "prompts", "format", "splits")
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


def _read(path: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The file's mapping, laid over its bases."""
    if path in seen:
        raise DeclarationError("bases that go in a circle", file=str(path), field="base")
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DeclarationError(
            f"a declaration that cannot be read: {error.strerror}",
            file=str(path),
            field="base" if seen else None,
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DeclarationError(f"not YAML: {error}", file=str(path)) from None
    if not isinstance(raw, dict):
        raise DeclarationError("a declaration that is no mapping", file=str(path), got=raw)
    for key in raw:
        if key not in KEYS:
            raise UnknownName("key", str(key), KEYS, file=str(path))
    base = raw.pop("base", None)
    return lay_over(_read(path.parent / str(base), (*seen, path)), raw) if base else raw


def read(path: Path) -> dict[str, dict[str, Any]]:
    """The declarations of a file, by task name: the file's stem, or the names of its variants."""
    raw = _read(path)
    try:
        variants = dict(raw.pop("variants", None) or {})
        maker = raw.pop("variants_from", None)
        if maker:
            variants.update(resolve(maker)())
    except (TypeError, ValueError) as error:
        raise DeclarationError(
            f"variants that are no mapping: {error}", file=str(path), field="variants"
        ) from None
    except UnifyError as error:
        raise error.at(file=str(path), field="variants_from") from None
    if not variants:
        return {path.stem: raw}
    for name, over in variants.items():
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
    source = _need(raw, "source", dict, "a mapping with data, path, hub, generator or python")
    homes = [k for k in ("data", "path", "hub", "generator", "python") if k in source]
    if len(homes) != 1:
        raise DeclarationError(
            "a source has one home",
            got=sorted(source),
            field="source",
            expected="one of data, path, hub, generator, python",
        )
    home = homes[0]
    more = {"hub": ("revision", "config"), "generator": ("args",), "python": ("args",)}
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
    return _files(raw, source[home], home == "data", splits, folder)


def _files(raw: Mapping[str, Any], root: str, data: bool, splits: Any, folder: Path) -> Files:
    if not isinstance(splits, dict):
        raise DeclarationError("splits name no files", got=splits, field="splits")
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
    place = root if data else str((folder / root).resolve())
    return Files(place, data, paths, str(name), dict(options or {}), own)


def _space(raw: Mapping[str, Any], key: str, make: type) -> Any:
    value = raw.get(key)
    if value is None:
        return None
    try:
        if isinstance(value, dict):
            return make(tuple(str(k) for k in value), tuple(str(v) for v in value.values()))
        if isinstance(value, list):
            return make(tuple(str(v) for v in value))
    except RowError as error:  # the space refuses itself; here no row is to blame
        raise DeclarationError(
            error.what, got=error.got, expected=error.expected, fix=error.fix, field=key
        ) from None
    raise DeclarationError(
        f"{key} are neither a list nor a mapping",
        got=value,
        field=key,
        expected="[name, …] or {name as in the data: words for the model}",
    )


def _scale(raw: Mapping[str, Any]) -> tuple[float, float, float] | None:
    scale = raw.get("scale")
    if scale is None:
        return None
    if not isinstance(scale, list) or len(scale) not in (2, 3):
        raise DeclarationError(
            "no scale", got=scale, expected="[low, high, quantum]", field="scale"
        )
    low, high, quantum = (*scale, 1.0)[:3]
    return float(low), float(high), float(quantum)


def _derive(raw: Mapping[str, Any], published: tuple[str, ...]) -> Derive | None:
    given = raw.get("derive")
    if given is None:
        return None
    known = ("from", "parts", "seed", "group")
    for key in given:
        if key not in known:
            raise UnknownName("derive key", key, known, field="derive")
    if given.get("from") not in published:
        raise UnknownName("split", str(given.get("from")), published, field="derive.from")
    parts = given.get("parts")
    if not isinstance(parts, dict) or abs(sum(parts.values()) - 1) > 1e-9:
        raise DeclarationError(
            "parts that do not make the whole",
            got=parts,
            field="derive.parts",
            expected="{split: fraction} with fractions that sum to 1",
        )
    return Derive(given["from"], dict(parts), int(given.get("seed", 0)), given.get("group"))


def build(name: str, raw: Mapping[str, Any], file: Path) -> Task:
    """The task of a resolved declaration; errors name the file and the key."""
    try:
        return _build(name, raw, file)
    except UnifyError as error:
        raise error.at(task=name, file=str(file)) from None


def _build(name: str, raw: Mapping[str, Any], file: Path) -> Task:
    type_name = _need(raw, "type", str, "a task type")
    if type_name not in TYPE_NAMES:
        raise UnknownName("task type", type_name, TYPE_NAMES, field="type")
    kind: str = TYPE_NAMES[type_name].kind  # type: ignore[attr-defined]
    space = {"classify": "labels", "multilabel": "labels", "relate": "labels", "tag": "types",
             "rate": "scale"}.get(kind)  # fmt: skip
    for key in ("labels", "types", "scale"):
        if (raw.get(key) is not None) != (key == space):
            problem = "needs" if key == space else "has no"
            raise DeclarationError(f"a {type_name} task {problem} {key}", field=key)
    fields = dict(raw.get("fields") or {})
    check_declared(kind, fields)
    answer_as = raw.get("answer_as")
    if answer_as is not None and answer_as not in _ANSWERS:
        raise UnknownName("answer_as", str(answer_as), _ANSWERS, field="answer_as")
    source = _source(raw, file.parent)
    derive = _derive(raw, source.splits())
    measure = str(raw.get("metric", FOR_KIND[kind][0]))
    if measure not in FOR_KIND[kind]:
        raise UnknownName(f"{type_name} metric", measure, FOR_KIND[kind], field="metric")
    lineage = raw.get("lineage") or [name]
    notes = raw.get("notes") or []
    notes = [notes] if isinstance(notes, str) else list(notes)
    if derive is not None:
        notes.append(derive.note())
    language = str(raw.get("language", "en"))
    unlabelled = frozenset(raw.get("unlabelled") or ())
    for split in unlabelled - set(source.splits()):
        raise UnknownName("split", split, source.splits(), field="unlabelled")
    return Task(
        name=name,
        kind=kind,
        cluster=_need(raw, "cluster", str, "a cluster's name"),
        lineage=frozenset([lineage] if isinstance(lineage, str) else lineage),
        source=source,
        prompt=default_prompt(kind, language, raw.get("prompts")),
        metric=measure,
        licence=str(raw.get("licence", "")),
        language=language,
        labels=_space(raw, "labels", LabelSpace),
        types=_space(raw, "types", TypeSpace),
        scale=_scale(raw),
        fields=fields,
        unlabelled=unlabelled,
        derive=derive,
        adapter=resolve(raw["adapter"]) if raw.get("adapter") else None,
        several=bool(raw.get("several", False)),
        unanswerable=bool(raw.get("unanswerable", False)),
        answer_as=answer_as,
        separator=raw.get("separator"),
        group=raw.get("group"),
        notes=tuple(notes),
        hub_id=raw.get("hub_id"),
        verified=not raw.get("unverified", False),
        declaration=dict(raw),
    )
