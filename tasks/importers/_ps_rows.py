"""Examples of our tasks as rows of the dataset that a promptsource template was written for."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml

from formats.base import _values, letters, option_words
from formats.errors import DeclarationError, TemplateError
from formats.examples import Example, QuestionAnswering, Regression

from ._ps_original import environment

FAKE = "\u2042"  # an answer that no row has


@dataclass(frozen=True)
class Columns:
    """How a dataset's columns follow from a task's examples.

    Attributes:
        columns: column -> Jinja expression over the fields of the example.
        gold: column -> how it writes the answer: a list of label names by class number, or one of
            index, letter, option, text, texts, value, squad.
    """

    columns: Mapping[str, str]
    gold: Mapping[str, str | list[str]]

    def __post_init__(self) -> None:
        for how in self.gold.values():
            if not isinstance(how, list) and how not in _GOLD:
                raise DeclarationError("no way to write an answer", got=how, expected=str([*_GOLD]))


@functools.cache
def known() -> dict[str, dict[str, Columns]]:
    """Dataset -> task -> columns, by the package's ``columns.yaml``."""
    path = resources.files(__package__) / "columns.yaml"
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    found: dict[str, dict[str, Columns]] = {}
    for dataset, ways in raw.items():
        for way in ways:
            made = Columns(way.get("columns") or {}, way["gold"])
            for task in way["tasks"]:
                found.setdefault(dataset, {})[task] = made
    return found


@functools.lru_cache(maxsize=1024)
def _expression(source: str) -> Any:
    return environment().compile_expression(source, undefined_to_none=False)


def golds(example: Example) -> list[Any]:
    """Answers to try on a row: all of a closed set, else the true one and one that is wrong."""
    if example.kind == "classify":
        return list(example.labels.names)  # type: ignore[union-attr]
    if example.kind == "choose":
        return list(range(len(example.options)))  # type: ignore[union-attr]
    if isinstance(example, Regression):
        return [example.gold, example.high if example.gold == example.low else example.low]
    return [example.gold, FAKE]


def _texts(example: Example, gold: Any) -> list[str]:
    if gold == FAKE:
        return [FAKE]
    if isinstance(example, QuestionAnswering):
        return [text for texts in example.gold_texts() for text in sorted(texts)]
    return list(gold)


_GOLD = {
    "index": lambda example, gold: gold,
    "value": lambda example, gold: gold,
    "letter": lambda example, gold: letters(len(example.options))[gold],
    "option": lambda example, gold: example.options[gold],
    "text": lambda example, gold: _texts(example, gold)[0],
    "texts": lambda example, gold: _texts(example, gold)[:1],  # any right answer is as good
    "squad": lambda example, gold: {"text": _texts(example, gold), "answer_start": [0]},
}
# What stands for the answer where a prompt is written and the answer is not known.
NEUTRAL = {
    "index": "0",
    "value": "0",
    "letter": "'A'",
    "option": "options[0]",
    "text": "''",
    "texts": "['']",
    "squad": "{'text': [''], 'answer_start': [0]}",
}


def _number(names: list[str], gold: str) -> int:
    """The class number; names of classes stand for the finer labels below them (``LOC:city``)."""
    name = gold if gold in names else gold.partition(":")[0]
    if name not in names:
        raise TemplateError(f"the dataset has no class for our label {gold!r}")
    return names.index(name)


def row_of(columns: Columns, example: Example, gold: Any, prompt: Any) -> dict[str, Any]:
    """The dataset's row, with ``gold`` as its answer. Raises TemplateError."""
    fields = _values(example, prompt)
    if words := option_words(example):
        fields["options"], fields["letters"] = list(words), list(letters(len(words)))
    try:
        row = {name: _expression(source)(**fields) for name, source in columns.columns.items()}
    except Exception as error:
        raise TemplateError(f"a column cannot be made of our row: {error}") from None
    for name, how in columns.gold.items():
        listed = isinstance(how, list)
        row[name] = _number(how, gold) if listed else _GOLD[str(how)](example, gold)  # type: ignore[arg-type]
    return row
