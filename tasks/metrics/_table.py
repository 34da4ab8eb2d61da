"""Metrics by name."""

from __future__ import annotations

from formats.errors import UnknownName

from ._base import Metric
from .answers import AnswerF1, AnswerMatch
from .correlation import Pearson, Spearman
from .labels import Accuracy, MacroF1, Matthews
from .labelsets import MultiMacroF1, MultiMicroF1, SubsetAccuracy
from .numbers import NumericMatch
from .spans import SpanF1
from .texts import Bleu, ChrF, ExactMatch, RougeL

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Accuracy("accuracy"),
        MacroF1("macro_f1"),
        MacroF1("macro_f1_all", all_labels=True),
        Matthews("matthews"),
        MultiMicroF1("micro_f1"),
        MultiMacroF1("multilabel_macro_f1"),
        SubsetAccuracy("subset_accuracy"),
        AnswerMatch("em"),
        AnswerF1("f1"),
        SpanF1("seqeval_f1"),
        Pearson("pearson"),
        Spearman("spearman"),
        RougeL("rouge_l"),
        Bleu("bleu"),
        ChrF("chrf"),
        ExactMatch("exact_match"),
        NumericMatch("numeric_em"),
    )
}

_LABEL = ("accuracy", "macro_f1", "macro_f1_all", "matthews")

# kind -> the metrics that can score it; the first is the default.
FOR_KIND: dict[str, tuple[str, ...]] = {
    "classify": _LABEL,
    "multilabel": ("micro_f1", "multilabel_macro_f1", "subset_accuracy"),
    "choose": ("accuracy",),
    "answer": ("f1", "em"),
    "tag": ("seqeval_f1",),
    # Relations are mostly unevenly spread, with one class for "none of these".
    "relate": ("macro_f1", "accuracy", "macro_f1_all", "matthews"),
    "rate": ("pearson", "spearman"),
    "generate": ("rouge_l", "bleu", "chrf", "exact_match", "numeric_em"),
}


def metric(name: str) -> Metric:
    """The metric ``name``; raises UnknownName."""
    if name not in METRICS:
        raise UnknownName("metric", name, METRICS)
    return METRICS[name]
