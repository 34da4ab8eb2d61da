"""How a run asks, as texts: one small example of each task type that its model can answer."""

from __future__ import annotations

from itertools import islice
from typing import Any

from formats.base import Format
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
    TypeSpace,
)
from formats.features import as_generate
from formats.instances import EntailInstance
from formats.prompts import default_prompt

TEXT = "Ann Lee paints boats in Port Lund."
_LABELS = LabelSpace(("good", "bad"))
EXAMPLES: tuple[Example, ...] = (
    TextClassification("card", TEXT, _LABELS),
    MultiLabelClassification("card", TEXT, _LABELS),
    MultipleChoice("card", "What does she paint?", ("boats", "walls"), TEXT),
    QuestionAnswering("card", "Who paints?", TEXT),
    TokenClassification("card", TEXT, TypeSpace(("person", "place"))),
    RelationClassification(
        "card", TEXT, Span(0, 7), Span(24, 33), LabelSpace(("lives in", "none"))
    ),
    Regression("card", TEXT, 0.0, 5.0, 1.0),
    TextGeneration("card", TEXT),
)


def hypothesis_template(format: Format) -> str:
    """The default hypothesis of a label, with ``{}`` in the label's place."""
    example = TextClassification("card", "text", LabelSpace(("{}", "other")))
    first = next(iter(format.encode(example, default_prompt(example.kind))))
    assert isinstance(first, EntailInstance)
    return first.hypothesis


def prompts(backbone: Any, format: Format) -> dict[str, str]:
    """Per task type the first instance of a small example, as the model reads it."""
    from ..preview import instance_text

    found = {}
    for example in EXAMPLES:
        kind = type(example)
        if format.refusal(kind) or backbone.refusal(kind, format.name):
            continue
        for instance in islice(format.encode(example, default_prompt(example.kind)), 1):
            if backbone.layout.kind != "encoder" and isinstance(instance, EntailInstance):
                instance = as_generate(instance)
            found[kind.__name__] = instance_text(instance)
    return found
