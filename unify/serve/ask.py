"""A request, and the typed example that it stands for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

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
    TypeSpace,
)

from .limits import Limits

GRID = 1000  # steps of a scale
Kind = Literal["classify", "multilabel", "choose", "answer", "tag", "relate", "rate", "generate"]
Number = Annotated[float, Field(allow_inf_nan=False)]

# Per type what must come with the text, and what may.
NEEDS: dict[str, tuple[str, ...]] = {
    "classify": ("labels",), "multilabel": ("labels",), "choose": ("options",),
    "answer": ("question",), "tag": ("types",), "relate": ("labels", "head", "tail"),
    "rate": (), "generate": (),
}  # fmt: skip
MAY: dict[str, tuple[str, ...]] = {
    "classify": ("text_b",), "multilabel": ("text_b",), "choose": ("context",),
    "answer": ("several", "unanswerable"), "tag": (), "relate": (),
    "rate": ("low", "high", "quantum", "text_b"), "generate": (),
}  # fmt: skip
COMMON = ("type", "text", "instruction", "language", "format", "explain")


class Ask(BaseModel):
    """A question to the model. ``text`` is the passage of ``answer`` and the question of
    ``choose``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Kind
    text: str
    labels: list[str] | None = Field(None, description="classify, multilabel, relate")
    options: list[str] | None = Field(None, description="choose")
    types: list[str] | None = Field(None, description="tag")
    question: str | None = Field(None, description="answer")
    context: str | None = Field(None, description="choose")
    text_b: str | None = Field(None, description="the second text of a pair")
    head: str | None = Field(None, description="relate: a phrase of the text")
    tail: str | None = Field(None, description="relate: a phrase of the text")
    several: bool = Field(False, description="answer: all spans that answer")
    unanswerable: bool = Field(False, description="answer: the passage may have no answer")
    low: Number = 0.0
    high: Number = 10.0
    quantum: Number = Field(1.0, gt=0)
    instruction: str | None = Field(None, description="what is asked, for the default")
    language: str = "en"
    format: str | None = Field(None, description="one of /about's formats; the first by default")
    explain: bool = Field(False, description="also the prompts as the model reads them")


def checked(ask: Ask, limits: Limits) -> Ask:
    """``ask`` where it holds what its type needs, nothing else and not too much; else RowError."""
    given = {k for k in ask.model_fields_set if getattr(ask, k) is not None}
    for key in NEEDS[ask.type]:
        if key not in given:
            raise RowError(f"{ask.type} needs {key}", field=key, expected=f'"{key}": …')
    known = (*COMMON, *NEEDS[ask.type], *MAY[ask.type])
    for key in sorted(given - set(known)):
        raise RowError(f"{ask.type} does not read {key}", field=key, expected=", ".join(known))
    for key in sorted(given):
        value = getattr(ask, key)
        texts = value if isinstance(value, list) else [value] if isinstance(value, str) else []
        if len(texts) > limits.options:
            raise RowError(f"too many {key}", field=key, got=len(texts),
                           expected=f"at most {limits.options}")  # fmt: skip
        for text in texts:
            if len(text) > limits.text:
                raise RowError(f"{key} is too long", field=key, got=f"{len(text)} characters",
                               expected=f"at most {limits.text} characters")  # fmt: skip
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise RowError("half of a character", field=key, got=error.reason,
                               expected="whole Unicode characters") from None  # fmt: skip
    if ask.type == "rate" and (ask.high - ask.low) / ask.quantum > GRID:
        raise RowError("a scale with too many steps", field="quantum",
                       got=(ask.high - ask.low) / ask.quantum,
                       expected=f"at most {GRID}")  # fmt: skip
    return ask


def example_of(ask: Ask) -> Example:
    """The example that a checked ``ask`` describes. Raises RowError."""
    a: Any = ask
    if ask.type == "classify":
        return TextClassification("input", a.text, LabelSpace(tuple(a.labels)), a.text_b)
    if ask.type == "multilabel":
        return MultiLabelClassification("input", a.text, LabelSpace(tuple(a.labels)), a.text_b)
    if ask.type == "choose":
        return MultipleChoice("input", a.text, tuple(a.options), a.context)
    if ask.type == "answer":
        return QuestionAnswering(
            "input", a.question, a.text, several=a.several, unanswerable=a.unanswerable
        )
    if ask.type == "tag":
        return TokenClassification("input", a.text, TypeSpace(tuple(a.types)))
    if ask.type == "relate":
        head, tail = (_place(a.text, getattr(a, key), key) for key in ("head", "tail"))
        return RelationClassification("input", a.text, head, tail, LabelSpace(tuple(a.labels)))
    if ask.type == "rate":
        return Regression("input", a.text, a.low, a.high, a.quantum, a.text_b)
    return TextGeneration("input", a.text)


def _place(text: str, phrase: str, field: str) -> Span:
    at = text.find(phrase)
    if at < 0 or not phrase:
        raise RowError(f"the {field} does not stand in the text", got=phrase, field=field,
                       expected="a phrase of the text, letter by letter")  # fmt: skip
    return Span(at, at + len(phrase))
