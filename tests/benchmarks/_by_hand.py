"""Rows to ids the way one writes it first: Jinja for each template, the tokenizer for each text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from formats import EntailInstance, ExtractInstance, GenerateInstance, templates
from formats.instances import Instance
from formats.layout import Coder

Ids = list[int]


@contextmanager
def jinja_alone() -> Iterator[None]:
    """Templates without render plans and without remembered texts: Jinja renders each one anew."""
    plan, text = templates._plan, templates.Template.text
    templates._plan = lambda source: None  # type: ignore[assignment]
    templates.Template.text = lambda self, fields: self.render(fields).text  # type: ignore[method-assign]
    try:
        yield
    finally:
        templates._plan, templates.Template.text = plan, text  # type: ignore[method-assign]


def windows(
    ids: Ids, offsets: list[tuple[int, int]], marked: list[Any], question: int, coder: Coder
) -> list[Any]:
    """Windows of a passage beside its question, with offsets and marked spans, as one cuts them."""
    room = coder.layout.pair_room - question
    found, at = [], 0
    while True:
        inside = [
            (first - at, last - at)
            for first, last in marked
            if first is not None and last is not None and at <= first and last < at + room
        ]
        found.append((ids[at : at + room], offsets[at : at + room], inside))
        if at + room >= len(ids):
            return found
        at += max(1, int(room * coder.layout.stride))


def one_instance(instance: Instance, coder: Coder) -> tuple[Ids, Ids]:
    """The ids of an instance's long text and of the other one, a call for each."""
    call: Callable[..., Any] = coder.tokenizer
    if isinstance(instance, ExtractInstance):
        long = call(instance.passage, add_special_tokens=False, return_offsets_mapping=True)
        other = call(instance.question, add_special_tokens=False)["input_ids"]
        marked = [
            (long.char_to_token(start), long.char_to_token(end - 1))
            for start, end in (
                *((s.start, s.end) for s in instance.gold or ()),
                *instance.candidates,
                *((start, end) for _, start, end in instance.elsewhere),
            )
        ]
        windows(long["input_ids"], long["offset_mapping"], marked, len(other), coder)
        return long["input_ids"], other
    if isinstance(instance, EntailInstance):
        long = call(instance.premise, add_special_tokens=False)["input_ids"]
        return long, call(instance.hypothesis, add_special_tokens=False)["input_ids"]
    assert isinstance(instance, GenerateInstance)
    long = call(instance.source, add_special_tokens=False)["input_ids"]
    target = coder.target(instance.target or "")
    end = [coder.layout.eos] if coder.layout.eos is not None else []
    return long, call(target, add_special_tokens=False)["input_ids"] + end
