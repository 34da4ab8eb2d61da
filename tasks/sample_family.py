"""The sample world's tasks as variants of ``conf/task/sample.yaml``."""

from __future__ import annotations

from typing import Any

from .sample import TASKS


def variants() -> dict[str, dict[str, Any]]:
    """Per task the keys in which it differs from the family's base."""
    found: dict[str, dict[str, Any]] = {}
    for task in TASKS:
        cluster = f"sample_{task.cluster}"
        over: dict[str, Any] = {
            "type": task.type,
            "cluster": cluster,
            "lineage": [cluster],
            "source": {"args": {"task": task.name}},
            "prompts": {"instruction": task.instruction},
        }
        if task.labels:
            over["labels"] = list(task.labels)
        if task.entity_types:
            over["types"] = list(task.entity_types)
        if task.scale:
            over["scale"] = [*task.scale, 1]
        if task.type == "QuestionAnswering":
            # `all_who` asks for every holder of a good; of the rest only `what` may lack one.
            over["several"] = task.flavor == "all_who"
            over["unanswerable"] = task.flavor in ("all_who", "what")
        found[task.name] = over
    return found
