"""Metrics by name."""

from __future__ import annotations

from dataclasses import replace

from formats.errors import DeclarationError, UnknownName

from ._base import Metric
from .answers import AnswerF1, AnswerMatch
from .chinese import CMRC
from .correlation import Pearson, Spearman
from .labels import Accuracy, MacroF1, Matthews, PositiveF1
from .labelsets import MultiMacroF1, MultiMicroF1, SubsetAccuracy
from .numbers import NumericMatch
from .ranking import AveragePrecision, Consistency, LabelAuc, ReciprocalRank
from .spans import SpanF1, TagAccuracy
from .texts import Bleu, ChrF, ExactMatch, RougeL

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Accuracy("accuracy"),
        MacroF1("macro_f1"),
        MacroF1("macro_f1_all", all_labels=True),
        PositiveF1("positive_f1"),
        Matthews("matthews"),
        LabelAuc("auc"),
        AveragePrecision("map"),
        ReciprocalRank("mrr"),
        Consistency("consistency"),
        MultiMicroF1("micro_f1"),
        MultiMacroF1("multilabel_macro_f1"),
        MultiMacroF1("multilabel_macro_f1_all", all_labels=True),
        SubsetAccuracy("subset_accuracy"),
        AnswerMatch("em"),
        AnswerF1("f1"),
        AnswerMatch("em_zh", CMRC),
        AnswerF1("f1_zh", CMRC),
        SpanF1("seqeval_f1"),
        TagAccuracy("tag_accuracy"),
        Pearson("pearson"),
        Spearman("spearman"),
        RougeL("rouge_l"),
        RougeL("rouge_l_zh", chinese=True),
        Bleu("bleu"),
        Bleu("bleu_zh", tokenize="zh"),
        ChrF("chrf"),
        ExactMatch("exact_match"),
        NumericMatch("numeric_em"),
    )
}

_LABEL = ("accuracy", "macro_f1", "macro_f1_all", "matthews", "auc")

# kind -> the metrics that can score it; the first is the default.
FOR_KIND: dict[str, tuple[str, ...]] = {
    "classify": (*_LABEL, "positive_f1", "map", "mrr", "consistency"),
    "multilabel": (
        "micro_f1",
        "multilabel_macro_f1",
        "multilabel_macro_f1_all",
        "subset_accuracy",
        "auc",
    ),
    "choose": ("accuracy", "mrr", "consistency"),
    "answer": ("f1", "em", "f1_zh", "em_zh"),
    "tag": ("seqeval_f1", "tag_accuracy"),
    # Relations are mostly unevenly spread, with one class for "none of these".
    "relate": ("macro_f1", "accuracy", "macro_f1_all", "matthews", "auc"),
    "rate": ("pearson", "spearman"),
    "generate": (
        "rouge_l",
        "bleu",
        "chrf",
        "exact_match",
        "numeric_em",
        "rouge_l_zh",
        "bleu_zh",
    ),
}


def metric(name: str, positive: str | None = None) -> Metric:
    """The metric ``name``, of the label ``positive`` where it is about one; raises UnknownName."""
    if name not in METRICS:
        raise UnknownName("metric", name, METRICS)
    found = METRICS[name]
    if positive is None or not hasattr(found, "positive"):
        return found
    return replace(found, positive=positive)  # type: ignore[call-arg]


def for_task(
    kind: str,
    language: str,
    name: str | None = None,
    *,
    group: object = None,
    positive: object = None,
) -> str:
    """The metric of a task: ``name`` or its type's default, in the language's own form.

    A metric has a form of its own in a language where ``<name>_<language>`` is one (f1, em,
    rouge_l and bleu in zh). Raises UnknownName, and DeclarationError for a metric over groups, or
    of one label, in a task that declares none.
    """
    known = FOR_KIND[kind]
    chosen = known[0] if name is None else str(name)
    if chosen not in known:
        raise UnknownName(f"{kind} metric", chosen, known, field="metric")
    if (kind, chosen) == ("choose", "mrr"):
        return chosen  # the options of a choice are a group of their own to rank
    if METRICS[chosen].uses_groups and group is None:
        raise DeclarationError(
            f"{chosen} is counted over groups of rows",
            field="group",
            expected="the column by which rows belong together",
        )
    if hasattr(METRICS[chosen], "positive") and positive is None:
        raise DeclarationError(
            f"{chosen} is about one of the labels",
            field="positive",
            expected="the label that says relevant, or yes",
        )
    own = f"{chosen}_{language.lower().replace('_', '-').partition('-')[0]}"
    return own if own in known else chosen
