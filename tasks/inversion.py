"""Tasks asked the other way round: the answer is given, and the text it belongs to is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from formats.errors import RowError
from formats.examples import Example, QuestionAnswering, TextClassification, TextGeneration
from formats.prompts import default_prompt
from formats.templates import Template

from .fields import Getter, getters
from .task import Task

# Shape of a row -> ways of asking; the fields are those of `_turned`.
_WAYS = {
    "classify": (
        "{{ instruction }}\nAnswer: {{ answer }}\nWhich text is this the answer for?",
        'Write a text whose answer to the question "{{ instruction }}" is: {{ answer }}',
    ),
    "pair": (
        "{{ text }}\n{{ instruction }}\nAnswer: {{ answer }}\nFor which second text?",
        'Write a second text so that "{{ instruction }}" has the answer {{ answer }}\n{{ text }}',
    ),
    "answer": (
        "{{ passage }}\nAnswer: {{ answer }}\nWhat was the question?",
        'Ask a question that is answered by "{{ answer }}".\n{{ passage }}',
    ),
    "generate": (
        "{{ answer }}\nWhich input was this written for, if the task was this? {{ instruction }}",
        "Task: {{ instruction }}\nOutput: {{ answer }}\nInput:",
    ),
}
_LOOK = 20  # rows that tell whether a task reads well the other way round


def _shape(example: Example) -> str:
    """The kind of ``example``, or ``pair`` for two texts."""
    paired = isinstance(example, TextClassification) and example.text_b is not None
    return "pair" if paired else example.kind


def _turned(example: Example) -> dict[str, str] | None:
    """What is given and the ``target``; None where that does not read well."""
    if isinstance(example, TextClassification) and example.gold is not None:
        answer = example.labels.word(example.gold)
        if example.text_b is None:
            return {"answer": answer, "target": example.text}
        return {"answer": answer, "text": example.text, "target": example.text_b}
    if isinstance(example, QuestionAnswering) and example.gold:
        texts = example.gold_texts()[0]
        if len(texts) == 1:
            (said,) = texts
            return {"answer": said, "passage": example.passage, "target": example.question}
    if isinstance(example, TextGeneration) and example.gold and example.rationale is None:
        said = example.gold[0]
        return {"answer": said, "target": example.source} if len(said.split()) > 1 else None
    return None


@dataclass(frozen=True, eq=False)
class _Inverse:
    """The adapter of an inverted task: one of the task's own rows as unified fields."""

    task: Task
    template: Template
    shape: str

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        task = self.task
        get: Mapping[str, Getter] = {}
        if task.adapter is None:
            get = getters(task.kind, task.fields, list(row), labelled=True)
        example = task.example(row, "inverted", get, Counter())
        found = _turned(example)
        if found is None or _shape(example) != self.shape:
            raise RowError(
                "a row that does not read well the other way round",
                fix="train and evaluate with on_bad_row=skip",
            )
        target = found.pop("target")
        fields = {"instruction": task.prompt.instruction, **found}
        return {"source": self.template.text(fields), "targets": [target]}


def inverted(task: Task, split: str = "train") -> tuple[Task, ...]:
    """``task`` the other way round, once for each way of asking; none where one of its first rows
    does not read well so: several answers or none, one word as the answer to a free question,
    worked solutions; and tasks that are not in English.

    Later rows of that kind are left out and counted, whatever ``on_bad_row`` says.
    """
    if task.language != "en" or split in task.unlabelled:
        return ()
    first = list(task.examples(split, limit=_LOOK, on_bad_row="skip"))
    shapes = {_shape(example) if _turned(example) else None for example in first}
    shape = shapes.pop() if len(shapes) == 1 else None
    if shape is None:
        return ()
    broken = {split: task.count(split)}
    return tuple(
        _made(task, number, _Inverse(task, Template(way), shape), broken)
        for number, way in enumerate(_WAYS[shape])
    )


def _made(task: Task, number: int, inverse: _Inverse, broken: dict[str, int]) -> Task:
    prompt = default_prompt("generate", task.language, {"generate": "{{ source }}", "only": True})
    return replace(
        task,
        name=f"{task.name}#inverted{number}",
        kind="generate",
        labels=None,
        types=None,
        scale=None,
        metric="rouge_l",
        also=(),
        positive=None,
        several=False,
        unanswerable=False,
        broken=broken,
        prompt=prompt,
        adapter=inverse,
        declaration={**task.declaration, "inverted": inverse.template.source},
    )
