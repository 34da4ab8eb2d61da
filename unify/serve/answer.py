"""What the model says to several examples at once, as plain values for a client."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from formats.collate import collate, sources
from formats.errors import RowError, UnifyError
from formats.examples import Example, QuestionAnswering, RelationClassification
from formats.features import Group, featurize
from formats.instances import EntailInstance, Entailment, ExtractInstance, Instance, Raw, Spans
from formats.prompts import Prompt
from formats.store import in_memory

from ..answers import plain
from ..unified import Unified, shares

Asked = tuple[Example, Prompt, bool]  # the last: with an explanation
SHOWN, BEST = 4, 8  # prompts, and candidates, that an explanation lists


def work(model: Unified, example: Example, prompt: Prompt, most: int) -> None:
    """Raises RowError where the prompts of ``example`` have more than ``most`` characters."""
    total = 0
    for instance in model.format.encode(example, prompt):
        total += len(_text(instance))
        if total > most:
            raise RowError(
                "more work than one request may make",
                got="more characters than that, over all its prompts",
                expected=f"at most {most} characters",
                fix="a shorter text, fewer labels or types, or another format",
            )


def _text(instance: Instance) -> str:
    from ..preview import instance_text

    return instance_text(instance)


def answers(model: Unified, asked: Sequence[Asked]) -> list[Any]:
    """One outcome per request: a response, or the UnifyError that says what is wrong with it."""
    outcomes: list[Any] = [None] * len(asked)
    places = {id(e): i for i, (e, _, _) in enumerate(asked)}

    def refused(example: Example, error: RowError) -> None:
        outcomes[places[id(example)]] = error

    try:
        found = model.predict(
            [e for e, _, _ in asked], lambda e: asked[places[id(e)]][1], refused
        )
        for example, answer, raws in found:
            _, prompt, explain = asked[places[id(example)]]
            value = response(example, answer, raws)
            if explain:
                value |= explanation(model, example, prompt, raws)
            outcomes[places[id(example)]] = value
    except UnifyError as error:
        if len(asked) == 1:
            return [error]
        return [answers(model, [one])[0] for one in asked]  # to find whose fault it is
    return outcomes


def response(example: Example, answer: Any, raws: Sequence[Raw]) -> dict[str, Any]:
    """Answer, scores of listed options, and what of the text to mark."""
    value = plain(answer, example)
    return {
        "answer": value if not isinstance(value, float) or math.isfinite(value) else None,
        "scores": shares(example, list(raws)),
        "marks": marks(example, value, raws),
    }


def marks(example: Example, value: Any, raws: Sequence[Raw] = ()) -> list[dict[str, Any]]:
    """Spans of the example's text, in characters: answers, tagged spans, or the related phrases."""
    if isinstance(example, RelationClassification):
        ends = (("head", example.head), ("tail", example.tail))
        return [{"start": s.start, "end": s.end, "label": name} for name, s in ends]
    if isinstance(example, QuestionAnswering):
        found = [(_place(example.passage, text, raws), text) for text in value or () if text]
        return [
            {"start": at, "end": at + len(text), "label": "answer"} for at, text in found if at >= 0
        ]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [{"start": v["start"], "end": v["end"], "label": v["type"]} for v in value]
    return []


def _place(passage: str, text: str, raws: Sequence[Raw]) -> int:
    """Where the model read ``text``; where it wrote it, its first place as whole words, or at all;
    below 0 for none."""
    for raw in raws:
        for span in raw.spans if isinstance(raw, Spans) else ():
            if passage[span.start : span.end] == text:
                return span.start
    words = re.search(rf"(?<!\w){re.escape(text)}(?!\w)", passage)
    return words.start() if words else passage.find(text)


def explanation(
    model: Unified, example: Example, prompt: Prompt, raws: Sequence[Raw]
) -> dict[str, Any]:
    """The first prompts as the model reads them, special tokens included, how many there are, and
    the best candidates of an open question with their probabilities."""
    instances = list(model.format.encode(example, prompt))
    coder = model.backbone.coder
    texts: list[str] = []
    features = featurize([Group(0, instances[:SHOWN])], coder)
    for row in map(in_memory, features):
        if coder.layout.kind == "encoder":
            batch = collate([row], coder.layout, model.format.name, score=True)
            read = (batch.ids, batch.mask)
        else:
            read = sources([row], coder.layout)  # the options come after it
        for ids, mask in zip(*read, strict=True):
            texts.append(coder.tokenizer.decode(ids[mask.bool()], skip_special_tokens=False))
            if len(texts) == SHOWN:
                break
        if len(texts) == SHOWN:
            break
    return {
        "prompts": texts,
        "count": len(instances),
        "candidates": candidates(instances, raws),
    }


def candidates(instances: Sequence[Instance], raws: Sequence[Raw]) -> list[dict[str, Any]]:
    """The likeliest spans or hypotheses, best first."""
    found: list[tuple[float, str]] = []
    for instance, raw in zip(instances, raws, strict=True):
        if isinstance(raw, Spans) and isinstance(instance, ExtractInstance):
            found += [(s.score, instance.passage[s.start : s.end]) for s in raw.spans]
        elif isinstance(raw, Entailment) and isinstance(instance, EntailInstance):
            found.append((raw.yes, instance.hypothesis))
    found.sort(reverse=True)
    return [
        {"text": text, "probability": 1 / (1 + math.exp(-max(-60.0, min(60.0, score))))}
        for score, text in found[:BEST]
    ]


__all__ = ["Asked", "answers", "explanation", "marks", "response", "work"]
