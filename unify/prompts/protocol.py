"""The few-shot protocol of the field (Gao et al. 2021, LM-BFF, section 3): K rows per label, a dev
set of the same size, several draws, one and the same for every method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from formats.errors import ConfigError
from tasks.subsets import parse

SHOTS = (4, 8, 16, 32)


def applied(config: Mapping[str, Any]) -> dict[str, Any]:
    """``protocol: {task: trec, shots: 16}`` with ``seed: 3`` -> the suite that trains on
    ``trec@k16s3`` alone and is scored on at most ``protocol.test`` of its test rows. A
    configuration without ``protocol.task`` comes back as it is. Raises ConfigError."""
    asked = config.get("protocol") or {}
    if asked.get("task") is None:
        if asked.get("shots") is not None:
            raise ConfigError("shots of no task", got=asked["shots"], fix="add task=<name>")
        return dict(config)
    task, shots = str(asked["task"]), asked.get("shots")
    if shots is None:
        raise ConfigError("a task without shots", got=task, fix=f"add shots=16 (or {SHOTS})")
    if parse(task)[1] is not None or "," in task:
        raise ConfigError(
            "a protocol task is one whole task", got=task,
            fix="several: unify train -m task=trec,sst2",
        )
    seed = config["seed"] if asked.get("rows") is None else asked["rows"]
    suite = {
        "name": f"{task}, {shots} per label",
        "seen": [f"{task}@k{int(shots)}s{int(seed)}"],
        "unseen": [],
        "evaluate": ["test", "validation"],
        "held_out": True,
        "limits": {"test": asked.get("test")} if asked.get("test") else {},
    }
    return {**config, "suite": suite}
