"""`unify export lm-eval <task>`: a task's own prompts as a task of lm-evaluation-harness."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from formats import Generate
from formats.errors import ConfigError
from formats.instances import GenerateInstance
from formats.layout import unspaced
from tasks import catalogue
from tasks.task import Task

from ..config import assignments, check_keys, need
from ..ranking import CLOSED

DELIMITER = " "


def run(arguments: Sequence[str]) -> int:
    values, rest = assignments(arguments)
    check_keys(values, ("to", "split", "limit", "template"), "export lm-eval")
    if len(rest) != 1:
        raise ConfigError("lm-eval needs a task", expected="unify export lm-eval <task> to=…")
    to = Path(str(need(values, "to", "export lm-eval", "<folder>")))
    limit, template = values.get("limit"), values.get("template", 0)
    if type(template) is not int or (limit is not None and type(limit) is not int):
        raise ConfigError(
            "limit and template are numbers",
            got=(limit, template),
            expected="whole numbers from 0 on",
        )
    task = catalogue.load(rest[0])
    path, count = export(task, to, str(values.get("split", "test")), limit, template)
    print(f"{path}: {count} rows. Use it by")
    print(f"  lm_eval --include_path {to} --tasks {path.stem} --model hf --model_args pretrained=…")
    return 0


def export(
    task: Task, to: Path, split: str = "test", limit: int | None = None, template: int = 0
) -> tuple[Path, int]:
    """Writes ``<to>/unify_<task>.yaml`` and its rows beside it, as ``split`` of the task is asked
    without demonstrations; returns the file and the number of rows.

    Raises ConfigError for a task without listed options, and for options that no blank precedes.
    """
    if not issubclass(task.type, CLOSED):
        raise ConfigError(
            f"{task.type.__name__} as a task that is asked by options",
            task=task.name,
            expected=" or ".join(c.__name__ for c in CLOSED),
        )
    name = "unify_" + task.name.replace("/", "_")
    to.mkdir(parents=True, exist_ok=True)
    rows = to / f"{name}.jsonl"
    count = 0
    with rows.open("w", encoding="utf-8") as sink:
        for example in task.examples(split, limit=limit):
            if example.gold is None:
                continue
            (asked,) = Generate().encode(example, task.prompt, template=template)
            assert isinstance(asked, GenerateInstance)
            sink.write(json.dumps(_row(example.id, asked), ensure_ascii=False) + "\n")
            count += 1
    if not count:
        raise ConfigError(
            "no labelled row to export",
            fix="choose a split with gold answers",
            task=task.name,
            split=split,
        )
    declared: dict[str, Any] = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(rows.resolve())}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "num_fewshot": 0,
        "doc_to_text": "query",
        "doc_to_choice": "choices",
        "doc_to_target": "gold",
        "target_delimiter": DELIMITER,
        "metric_list": [
            {"metric": metric, "aggregation": "mean", "higher_is_better": True}
            for metric in ("acc", "acc_norm", "acc_bytes")
        ],
        "metadata": {"version": 1.0},
    }
    import yaml

    path = to / f"{name}.yaml"
    text = yaml.safe_dump(declared, sort_keys=False, allow_unicode=True)
    path.write_text(text, encoding="utf-8")
    return path, count


def _row(id: str, asked: GenerateInstance) -> dict[str, Any]:
    for option in asked.options:
        if unspaced(option):
            raise ConfigError(
                "options of a script without blanks, which lm-eval would put one before",
                got=option,
                fix="export another task",
            )
    assert asked.target is not None
    options, gold = list(asked.options), asked.options.index(asked.target)
    return {"id": id, "query": asked.source, "choices": options, "gold": gold}
