"""How a task is asked and answered: types, prompts, the three formats, features."""

from .entail import Entail
from .errors import UnifyError
from .examples import (
    KINDS,
    TYPES,
    Answer,
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
    matches,
    texts_of,
)
from .extract import Extract
from .generate import Generate
from .instances import (
    EntailInstance,
    Entailment,
    ExtractInstance,
    GenerateInstance,
    ScoredSpan,
    Scores,
    Spans,
    Text,
    oracle,
)
from .prompts import Prompt, default_prompt
from .templates import Template

FORMATS = {"generate": Generate, "extract": Extract, "entail": Entail}

__all__ = [
    "FORMATS",
    "KINDS",
    "TYPES",
    "Answer",
    "Entail",
    "EntailInstance",
    "Entailment",
    "Example",
    "Extract",
    "ExtractInstance",
    "Generate",
    "GenerateInstance",
    "LabelSpace",
    "MultiLabelClassification",
    "MultipleChoice",
    "Prompt",
    "QuestionAnswering",
    "Regression",
    "RelationClassification",
    "Scores",
    "ScoredSpan",
    "Span",
    "Spans",
    "Template",
    "Text",
    "TextClassification",
    "TextGeneration",
    "TokenClassification",
    "TypeSpace",
    "UnifyError",
    "default_prompt",
    "matches",
    "oracle",
    "texts_of",
]
