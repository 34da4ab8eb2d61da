"""Answers and gold as plain JSON values, for prediction files and reports."""

from __future__ import annotations

from typing import Any

from formats.examples import (
    Answer,
    Example,
    MultipleChoice,
    QuestionAnswering,
    Span,
    TextGeneration,
)


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


def gold(example: Example) -> Any:
    """The example's gold as a JSON value."""
    if isinstance(example, QuestionAnswering):
        return [sorted(texts) for texts in example.gold_texts()]
    if isinstance(example, TextGeneration):
        return list(example.gold or ())
    return plain(example.gold, example)  # type: ignore[arg-type]


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
