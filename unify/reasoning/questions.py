"""A row as a question in plain words, and how an answer to it is written and read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from formats.errors import UnsupportedCell
from formats.examples import (
    Answer,
    Example,
    MultipleChoice,
    QuestionAnswering,
    Regression,
    RelationClassification,
    TextClassification,
    TextGeneration,
)
from tasks.metrics.numbers import last_number
from tasks.task import Task

Kind = Literal["number", "option", "label", "text"]
# How the second stage of zero-shot-CoT asks (Kojima et al. 2022, table 9).
TRIGGERS: dict[Kind, str] = {
    "number": "Therefore, the answer (arabic numerals) is",
    "option": "Therefore, among {options}, the answer is",
    "label": "Therefore, the answer ({options}) is",
    "text": "Therefore, the answer is",
}


@dataclass(frozen=True)
class Question:
    """``text`` is what is asked; ``options`` are the words of a closed answer: the options of a
    choice, or label words in the order of ``names``."""

    example: Example
    text: str
    kind: Kind
    options: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def trigger(self) -> str:
        """What asks for the answer alone, after the reasoning."""
        last = len(self.options) - 1
        listed = f"(a) through ({_letter(last)})" if self.kind == "option" else ""
        return TRIGGERS[self.kind].format(options=listed or " or ".join(self.options))

    def written(self, answer: Answer) -> str:
        """``answer`` as a demonstration says it."""
        if self.kind == "option":
            assert isinstance(answer, int)
            return f"({_letter(answer)})"
        if self.kind == "label":
            return self.options[self.names.index(str(answer))]
        if isinstance(answer, frozenset):
            return ", ".join(sorted(map(str, answer)))
        return str(answer)

    def read(self, text: str, marker: str = "answer is") -> Answer:
        """The answer in ``text``: what follows the last ``marker``, else what stands last. None
        where there is none to be read. An empty marker: the text begins with the answer."""
        at = text.casefold().rfind(marker.casefold()) if marker else 0
        tail = text[at + len(marker) :] if at >= 0 else ""
        if tail and (found := self._first(tail)) is not None:
            return found
        return self._last(text)

    def key(self, answer: Answer) -> object:
        """Equal answers have equal keys: votes are counted by them."""
        if self.kind == "text" and isinstance(answer, str):
            return answer.strip().casefold()
        return answer

    def _first(self, tail: str) -> Answer:
        if self.kind == "number":
            return self._number(last_number("#### " + tail.partition("####")[0]))
        if self.kind == "text":
            said = re.split(r"(?<=[.!?])\s|\n", tail.strip().removeprefix(":").strip(), maxsplit=1)
            return self._text(said[0].rstrip(".").strip())
        found = self._mentions(tail)
        return found[0] if found else None

    def _last(self, text: str) -> Answer:
        if self.kind == "number":
            return self._number(last_number(text))
        if self.kind == "text":
            lines = [line for line in text.splitlines() if line.strip()]
            return self._text(lines[-1].strip()) if lines else None
        found = self._mentions(text)
        return found[-1] if found else None

    def _number(self, value: Decimal | None) -> Answer:
        if value is None:
            return None
        return float(value) if isinstance(self.example, Regression) else plain_number(value)

    def _text(self, text: str) -> Answer:
        if not text:
            return None
        return frozenset([text]) if isinstance(self.example, QuestionAnswering) else text

    def _mentions(self, text: str) -> list[Any]:
        """The options that ``text`` names, in its order: ``(b)``, or an option's own words."""
        if self.kind == "option":
            letters = "".join(_letter(i) for i in range(len(self.options)))
            marks = re.findall(rf"\(([{letters}])\)|^\s*([{letters}])\b(?!['’])", text, re.I)
            if marks:
                return [letters.index((a or b).casefold()) for a, b in marks]
        longest = sorted(range(len(self.options)), key=lambda i: -len(self.options[i]))
        words = "|".join(re.escape(self.options[i]) for i in longest)
        place = {self.options[i].casefold(): i for i in reversed(longest)}
        met = re.findall(rf"(?<!\w)(?:{words})(?!\w)", text, re.I)
        found = [place[m.casefold()] for m in met]
        return found if self.kind == "option" else [self.names[i] for i in found]


def plain_number(value: Decimal) -> str:
    """``72.0`` -> ``72``, without an exponent."""
    return format(value.normalize() + 0, "f")


def _letter(place: int) -> str:
    return "abcdefghijklmnopqrstuvwxyz"[place]


def question(example: Example, task: Task) -> Question:
    """``example`` as a question. Raises UnsupportedCell for types that no sentence answers."""
    if isinstance(example, TextGeneration):
        if task.metric == "numeric_em":
            return Question(example, example.source, "number")
        # What to do with a text stands in the instruction alone.
        return Question(example, _joined(task.prompt.instruction, example.source), "text")
    if isinstance(example, Regression):
        return Question(example, _joined(example.text, example.text_b), "number")
    if isinstance(example, MultipleChoice):
        listed = " ".join(f"({_letter(i)}) {o}" for i, o in enumerate(example.options))
        text = _joined(example.context, example.question, f"Answer Choices: {listed}")
        return Question(example, text, "option", example.options)
    if isinstance(example, (TextClassification, RelationClassification)):
        words = example.labels.words
        text = _joined(example.text, getattr(example, "text_b", None), _between(example))
        text = _joined(text, "Options: " + ", ".join(words))
        return Question(example, text, "label", words, example.labels.names)
    if isinstance(example, QuestionAnswering):
        return Question(example, _joined(example.passage, example.question), "text")
    raise UnsupportedCell(
        f"{type(example).__name__} cannot be answered by a reasoned sentence",
        task=task.name,
        expected="a task whose answer is one number, option, label or text",
    )


def _between(example: Example) -> str | None:
    if not isinstance(example, RelationClassification):
        return None
    head, tail = example.head.of(example.text), example.tail.of(example.text)
    return f"What is {head} to {tail}?"


def _joined(*parts: str | None) -> str:
    return "\n".join(p for p in parts if p)


def questions(examples: Iterable[Example], task: Task) -> list[Question]:
    """Every example as a question."""
    return [question(e, task) for e in examples]
