"""Answers and gold as plain JSON values, for prediction files and reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from formats.base import option_words
from formats.examples import (
    Answer,
    Example,
    MultiLabelClassification,
    MultipleChoice,
    QuestionAnswering,
    Regression,
    Span,
    TextGeneration,
    TokenClassification,
)
from formats.instances import Entailment, Raw, Scores


def plain(answer: Answer, example: Example) -> Any:
    """A JSON value for ``answer`` to ``example``; ``None`` is no valid answer."""
    if isinstance(answer, frozenset):
        if all(isinstance(a, Span) for a in answer):
            text = getattr(example, "text", getattr(example, "passage", ""))
            spans: list[Span] = sorted(a for a in answer if isinstance(a, Span))
            return [
                {"start": s.start, "end": s.end, "type": s.type, "text": s.of(text)} for s in spans
            ]
        return sorted(str(a) for a in answer)
    if isinstance(example, MultipleChoice) and isinstance(answer, int):
        return {"index": answer, "option": example.options[answer]}
    return answer


def answer_of(value: Any, example: Example) -> Answer:
    """The answer that :func:`plain` made ``value`` of."""
    if value is None:
        return None
    if isinstance(example, MultipleChoice):
        return int(value["index"])
    if isinstance(example, TokenClassification):
        return frozenset(Span(v["start"], v["end"], v["type"]) for v in value)
    if isinstance(value, list):
        return frozenset(value)
    answer: Answer = value
    return answer


def gold(example: Example) -> Any:
    """The example's gold as a JSON value."""
    if isinstance(example, QuestionAnswering):
        return [sorted(texts) for texts in example.gold_texts()]
    if isinstance(example, TextGeneration):
        return list(example.gold or ())
    return plain(example.gold, example)  # type: ignore[arg-type]


def relative_odds(odds: Sequence[float]) -> tuple[float, ...]:
    """Log-odds of each option's share in a softmax over the options of a row, of which exactly
    one is right: its own less the logarithm of the others' summed odds. One option alone stays."""
    if len(odds) < 2:
        return tuple(odds)
    values = np.array(odds, np.float64)
    others = np.where(np.eye(len(values), dtype=bool), -np.inf, values)
    highest = others.max(1)
    rest = highest + np.log(np.exp(others - highest[:, None]).sum(1))
    return tuple((values - rest).tolist())


def option_scores(
    example: Example, raws: Sequence[Raw], relative: bool = False
) -> tuple[float, ...] | None:
    """One score per option of a closed example, in the options' order, else None.

    Entail: the log-odds of yes, with ``relative`` against the row's other options where exactly
    one is right (:func:`relative_odds`); generate: the log-likelihood; extract: the margin over "no
    answer" of the option's best place. None where the model wrote an answer instead.
    """
    if isinstance(example, TokenClassification):
        return None  # its options are types, and spans are what is scored
    values: tuple[float, ...] = ()
    if len(raws) == 1 and isinstance(raws[0], Scores):
        values = raws[0].values
    elif all(isinstance(r, Entailment) for r in raws):
        values = tuple(r.yes for r in raws if isinstance(r, Entailment))
        if relative and not isinstance(example, MultiLabelClassification | Regression):
            values = relative_odds(values)
    return values if values and len(values) == len(option_words(example)) else None


def shown(value: Any) -> str:
    """A JSON answer as one short line for people."""
    if value is None:
        return "(no answer)"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return str(value.get("option", value.get("text", value)))
    if isinstance(value, list):
        if not value:
            return "(none)"
        if isinstance(value[0], dict):
            return "; ".join(f"{v['text']} [{v['type']}]" for v in value)
        if isinstance(value[0], list):
            return " | ".join("; ".join(v) if v else "(none)" for v in value)
        return "; ".join(str(v) for v in value)
    return str(value)
