"""What a row becomes on its way into a model, for people to read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from formats.base import Format
from formats.examples import Example
from formats.features import Group, featurize
from formats.instances import EntailInstance, ExtractInstance, GenerateInstance, Instance
from formats.layout import Coder
from tasks.task import Task

from .answers import gold
from .data.prepare import row_number


def instance_text(instance: Instance) -> str:
    """An instance as the model sees it: one labelled text per part."""
    if isinstance(instance, GenerateInstance):
        lines = [f"source: {instance.source}"]
        if instance.options:
            lines.append("options: " + " | ".join(instance.options))
        return "\n".join(lines)
    if isinstance(instance, ExtractInstance):
        return f"question: {instance.question}\npassage: {instance.passage}"
    return f"premise: {instance.premise}\nhypothesis: {instance.hypothesis}"


def label_text(instance: Instance) -> str:
    """The instance's gold in words."""
    if isinstance(instance, GenerateInstance):
        return repr(instance.target)
    if isinstance(instance, EntailInstance):
        return "unlabelled" if instance.gold is None else f"yes with probability {instance.gold:g}"
    if instance.gold is None:
        return "unlabelled"
    spans = [f"{s.of(instance.passage)!r} [{s.start}:{s.end}]" for s in instance.gold]
    return ", ".join(spans) or "no span"


def preview(
    task: Task,
    format: Format,
    coder: Coder,
    *,
    split: str,
    n: int = 3,
    template: int = 0,
    most_instances: int = 4,
) -> Iterator[dict[str, Any]]:
    """For ``n`` examples: the row, the typed example, its instances, tokens, labels, and cuts."""
    rows = task.rows(split)
    for example in task.examples(split, limit=n):
        instances = list(format.encode(example, task.prompt, template=template))
        features = list(featurize([Group(0, instances)], coder))
        shown = []
        for i, instance in enumerate(instances[:most_instances]):
            shown.append({"text": instance_text(instance), "label": label_text(instance)})
            first = next(f for f in features if f.instance <= i)
            if i == 0:
                tokens = coder.tokenizer.convert_ids_to_tokens(first.shared)
                shown[-1]["tokens"] = " ".join(tokens)
                shown[-1]["variant tokens"] = " ".join(
                    coder.tokenizer.convert_ids_to_tokens(first.variants[0])
                    if first.variants
                    else []
                )
        number = row_number(example)
        yield {
            "row": dict(rows[number]) if number < len(rows) else {},
            "example": _fields(example),
            "type": type(example).__name__,
            "gold": gold(example) if example.gold is not None else None,
            "instances": shown,
            "more": max(0, len(instances) - most_instances),
            "held": format.holds(example, task.prompt, template=template)
            if example.gold is not None
            else None,
            "windows": 1 + max(f.window for f in features),
            "tokens": max(f.length for f in features),
            "cut": sum(f.cut for f in features),
        }


def _fields(example: Example) -> dict[str, Any]:
    return {f.name: getattr(example, f.name) for f in fields(example)}
