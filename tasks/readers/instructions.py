"""Collections of instruction tasks: one file layout each, to rows of plain texts.

Each layout has two functions: ``*_rows`` from a parsed document (importers use it too), and a
reader from a file. A value that is missing or no text becomes the empty text, so that the row is
refused, and counted, where its example is made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from formats.errors import DataError

from .documents import json_lines, load_json

END = "<|endoftext|>"
# What an instruction-induction example may list beside its answer.
ALTERNATIVES = ("other_rhymes", "possible_translations", "possible_outputs", "all_common_concepts")


def text_of(value: Any) -> str:
    """Texts as they are, numbers and booleans as JSON writes them, anything else as nothing."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else ""


def texts_of(value: Any) -> list[str]:
    """A list of texts; a lone text is a list of one."""
    return [text_of(v) for v in value] if isinstance(value, list) else [text_of(value)]


def listed(document: Any, key: str, kind: type, path: Path) -> Any:
    """``document[key]``, a list or an object of ``kind``; raises DataError."""
    found = document.get(key) if isinstance(document, Mapping) else None
    if not isinstance(found, kind) or not found:
        raise DataError(
            f"no {key}" if found is None else f"{key} that hold nothing" if not found else
            f"{key} of another kind",
            file=str(path),
            got=None if found is None else type(found).__name__,
            expected=f"{key}: a JSON {'list' if kind is list else 'object'} that is not empty",
            fix="fetch the file again",
        )  # fmt: skip
    return found


def _objects(records: Iterable[Any], path: Path) -> Iterator[Mapping[str, Any]]:
    for number, record in enumerate(records):
        if not isinstance(record, Mapping):
            raise DataError(
                "a record that is no object",
                file=str(path),
                row=number,
                got=record,
                expected="a JSON object",
            )
        yield record


def natural_rows(document: Any, path: Path) -> Iterator[dict[str, Any]]:
    """Natural Instructions: ``{id, input, output, outputs}``; ``output`` is the first of them."""
    for number, item in enumerate(_objects(listed(document, "Instances", list, path), path)):
        outputs = texts_of(item.get("output"))
        yield {
            "id": text_of(item.get("id")) or str(number),
            "input": text_of(item.get("input")),
            "output": outputs[0] if outputs else "",
            "outputs": outputs,
        }


def natural_instructions(path: Path, *, encoding: str = "utf-8") -> Iterator[dict[str, Any]]:
    """Instances of a (Super-)Natural Instructions task (Mishra et al. 2022, Wang et al. 2022)."""
    yield from natural_rows(load_json(path, encoding), path)


def metaicl(path: Path, *, encoding: str = "utf-8") -> Iterator[dict[str, Any]]:
    """MetaICL and CrossFit lines (Min et al. 2022, Ye et al. 2021): ``{task, input, output,
    options}``, options empty where there are none."""
    for item in json_lines(path, encoding=encoding):
        options = item.get("options")
        yield {
            "task": text_of(item.get("task")),
            "input": text_of(item.get("input")),
            "output": text_of(item.get("output")),
            "options": texts_of(options) if isinstance(options, list) else [],
        }


def _best(scores: list[Any]) -> int:
    """The option of the highest score; -1, which names none, where several share it."""
    numbers = [s if isinstance(s, (int, float)) else 0.0 for s in scores]
    top = max(numbers, default=0.0)
    return numbers.index(top) if top > 0 and numbers.count(top) == 1 else -1


def bigbench_rows(document: Any, path: Path) -> Iterator[dict[str, Any]]:
    """BIG-bench: ``{input, options, answer, targets, comment}``, without the document's canary."""
    for item in _objects(listed(document, "examples", list, path), path):
        scores = item.get("target_scores")
        scores = scores if isinstance(scores, Mapping) else {}
        target = item.get("target")
        yield {
            "input": text_of(item.get("input")),
            "options": list(scores),
            "answer": _best(list(scores.values())),
            "targets": [] if target is None else texts_of(target),
            "comment": text_of(item.get("comment")),
        }


def bigbench(path: Path, *, encoding: str = "utf-8") -> Iterator[dict[str, Any]]:
    """Examples of a BIG-bench JSON task (Srivastava et al. 2023)."""
    yield from bigbench_rows(load_json(path, encoding), path)


def p3(path: Path, *, encoding: str = "utf-8") -> Iterator[dict[str, Any]]:
    """Rendered prompts of P3 (Sanh et al. 2022): ``{prompt, completion, ended}``.

    The completion loses its end mark; ``ended`` says whether it had one.
    """
    for item in json_lines(path, encoding=encoding):
        completion = text_of(item.get("completion"))
        yield {
            "prompt": text_of(item.get("prompt")),
            "completion": completion.removesuffix(END),
            "ended": completion.endswith(END),
        }


def _induction(item: Mapping[str, Any]) -> tuple[str, list[str]]:
    if "cause" in item and "effect" in item:
        pair = [text_of(item["cause"]), text_of(item["effect"])]
        # The cause stands first in half of the rows, the same ones everywhere.
        if hashlib.sha256("\n".join(pair).encode("utf-8", "replace")).digest()[0] % 2:
            pair.reverse()
        return f"Sentence 1: {pair[0]} Sentence 2: {pair[1]}", [text_of(item["cause"])]
    if "items" in item:
        return ", ".join(texts_of(item["items"])), [text_of(item.get("concept"))]
    return text_of(item.get("input")), [text_of(item.get("output"))]


def induction_rows(document: Any, path: Path) -> Iterator[dict[str, Any]]:
    """Instruction induction: ``{id, input, output, outputs}``; ``outputs`` adds what the example
    lists as equally right."""
    examples = listed(document, "examples", dict, path)
    for key, item in zip(examples, _objects(examples.values(), path), strict=True):
        source, outputs = _induction(item)
        for name in ALTERNATIVES:
            if isinstance(item.get(name), list):
                outputs += texts_of(item[name])
        yield {
            "id": str(key),
            "input": source,
            "output": outputs[0],
            "outputs": list(dict.fromkeys(outputs)),
        }


def instruction_induction(path: Path, *, encoding: str = "utf-8") -> Iterator[dict[str, Any]]:
    """Examples of an instruction-induction task (Honovich et al. 2022)."""
    yield from induction_rows(load_json(path, encoding), path)


def self_instruct(path: Path, *, encoding: str = "utf-8") -> Iterator[dict[str, Any]]:
    """Seed tasks of Self-Instruct (Wang et al. 2023), a row per instance.

    Yields ``{id, name, instruction, input, source, output, classification}``; ``source`` is the
    instruction and, below it, the input where there is one.
    """
    for number, item in enumerate(json_lines(path, encoding=encoding)):
        instruction = text_of(item.get("instruction"))
        for instance in _objects(listed(item, "instances", list, path), path):
            given = text_of(instance.get("input"))
            yield {
                "id": text_of(item.get("id")) or str(number),
                "name": text_of(item.get("name")),
                "instruction": instruction,
                "input": given,
                "source": f"{instruction}\n{given}" if given.strip() else instruction,
                "output": text_of(instance.get("output")),
                "classification": bool(item.get("is_classification")),
            }
