"""From unified fields to typed examples, one small function per task type."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from formats.errors import RowError
from formats.examples import (
    Example,
    LabelSpace,
    MultiLabelClassification,
    MultipleChoice,
    QuestionAnswering,
    Regression,
    RelationClassification,
    Span,
    TextClassification,
    TextGeneration,
    TokenClassification,
)

from .fields import as_list
from .placing import gold_spans
from .words import places_of, spans_of

if TYPE_CHECKING:
    from .task import Task

Values = Mapping[str, Any]
Mended = Counter[str]  # what a builder had to mend -> how often


def _optional(value: Any) -> Any:
    """An empty optional text is no text."""
    return None if value is None or (isinstance(value, str) and not value.strip()) else value


def _label(value: Any) -> str | None:
    # Label names are texts; datasets also write them as numbers and booleans.
    return None if value is None else str(value)


def _classify(task: Task, id: str, v: Values, mended: Mended) -> Example:
    assert task.labels is not None
    gold = _label(v.get("label"))
    return TextClassification(id, v["text"], task.labels, _optional(v.get("text_b")), gold)


def _multilabel(task: Task, id: str, v: Values, mended: Mended) -> Example:
    labels = task.labels
    if v.get("options") is not None:  # the row's own, not the task's
        labels = LabelSpace(tuple(as_list(v["options"], task.separator, "options")))
    assert labels is not None
    gold = None
    if v.get("labels") is not None:
        gold = frozenset(str(n) for n in as_list(v["labels"], task.separator, "labels"))
    return MultiLabelClassification(id, v["text"], labels, _optional(v.get("text_b")), gold)


def _index(answer: Any, options: tuple[str, ...], keys: Any, answer_as: str | None) -> int | None:
    """The option that ``answer`` means: by key, by number, by letter or by its text."""
    if answer is None:
        return None
    try:
        if keys is not None:
            found = list(keys).index(answer)
        elif answer_as == "letter":
            found = "ABCDEFGHIJKLMNOPQRSTUVWXYZ".index(str(answer).strip().upper())
        elif answer_as == "index" or (answer_as is None and not isinstance(answer, str)):
            found = int(answer)
        elif answer_as == "number":
            found = int(answer) - 1
        else:
            found = options.index(answer)
        if not 0 <= found < len(options):
            raise ValueError(found)
        return found
    except (TypeError, ValueError):
        raise RowError(
            "the answer names no option",
            got=answer,
            field="answer",
            expected=f"one of {list(keys or options)}",
            fix="declare answer_as: index, number, letter or text",
        ) from None


def _choose(task: Task, id: str, v: Values, mended: Mended) -> Example:
    listed = as_list(v["options"], task.separator, "options")
    while listed and listed[-1] is None:  # a row with fewer options than columns for them
        listed.pop()
    options = tuple(listed)
    gold = _index(v.get("answer"), options, v.get("keys"), task.answer_as)
    if len(set(options)) < len(options):
        # Published rows do list an option twice (2 % of CommonsenseQA's dev); either place is
        # the same answer, so that the row is kept with the option listed once.
        once = tuple(dict.fromkeys(options))
        gold = None if gold is None else once.index(options[gold])
        options = once
        mended["options listed twice: each is kept once"] += 1
    return MultipleChoice(id, v["question"], options, _optional(v.get("context")), gold)


def _answers(task: Task, id: str, v: Values, mended: Mended) -> Example:
    gold: tuple[frozenset[Span], ...] | None = None
    listed = v.get("answers")
    if listed is not None:
        if isinstance(listed, Mapping):  # the hub's SQuAD: {text: [...], answer_start: [...]}
            starts = listed.get("answer_start") or listed.get("start") or []
            pairs = zip(listed["text"], starts, strict=True)
            listed = [{"text": text, "start": start} for text, start in pairs]
        if isinstance(listed, str) or not all(isinstance(a, Mapping) for a in listed):
            raise RowError(
                "answers that are not told where they stand",
                got=listed,
                expected="a list of {text, start}; start in characters of the passage",
                field="answers",
            )
        gold = gold_spans(v["passage"], listed, task.several, mended)
    return QuestionAnswering(
        id, v["question"], v["passage"], gold, several=task.several, unanswerable=task.unanswerable
    )


def _span(value: Any, field: str, type: str = "") -> Span:
    try:
        if isinstance(value, Mapping):
            return Span(value["start"], value["end"], str(value.get("type") or type))
        return Span(value[0], value[1], type)
    except (KeyError, IndexError, TypeError):
        raise RowError(
            f"{field} is no span", got=value, expected="{start, end} in characters", field=field
        ) from None


def _tag(task: Task, id: str, v: Values, mended: Mended) -> Example:
    assert task.types is not None
    gold, listed, tokens = None, v.get("spans"), v.get("tokens")
    if tokens is not None and any(isinstance(t, str) for t in tokens):
        tokens = places_of(tokens, v["text"])
        listed = None if listed is None else spans_of(listed, tokens)
    if listed is not None:
        gold = frozenset(_span(s, "spans") for s in listed)
    offsets = None if tokens is None else tuple((int(a), int(b)) for a, b in tokens)
    return TokenClassification(id, v["text"], task.types, gold, offsets)


def _relate(task: Task, id: str, v: Values, mended: Mended) -> Example:
    assert task.labels is not None
    head, tail = _span(v["head"], "head"), _span(v["tail"], "tail")
    return RelationClassification(id, v["text"], head, tail, task.labels, _label(v.get("label")))


def _rate(task: Task, id: str, v: Values, mended: Mended) -> Example:
    assert task.scale is not None
    value = v.get("value")
    if value is not None:
        try:
            value = float(value)
        except (TypeError, ValueError):
            raise RowError(
                "the value is not a number", got=value, expected="a finite number", field="value"
            ) from None
        if math.isnan(value):
            raise RowError(
                "the value is not a number", got=value, expected="a finite number", field="value"
            )
    return Regression(id, v["text"], *task.scale, _optional(v.get("text_b")), value)


def _written(target: Any) -> Any:
    """Numbers as texts, whole ones without a decimal point."""
    if isinstance(target, bool) or not isinstance(target, (int, float)):
        return target
    return str(int(target)) if float(target).is_integer() else repr(target)


def _generate(task: Task, id: str, v: Values, mended: Mended) -> Example:
    targets = v.get("targets")
    gold = None
    if targets is not None:
        listed = targets if isinstance(targets, (list, tuple)) else [targets]
        gold = tuple(t for t in map(_written, listed) if len(listed) == 1 or _optional(t))
    return TextGeneration(id, v["source"], gold, _optional(v.get("rationale")))


BUILDERS: dict[str, Callable[[Task, str, Values, Mended], Example]] = {
    "classify": _classify,
    "multilabel": _multilabel,
    "choose": _choose,
    "answer": _answers,
    "tag": _tag,
    "relate": _relate,
    "rate": _rate,
    "generate": _generate,
}
