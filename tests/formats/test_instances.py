"""The perfect raw prediction."""

from __future__ import annotations

import pytest

from formats import (
    EntailInstance,
    Entailment,
    ExtractInstance,
    GenerateInstance,
    ScoredSpan,
    Scores,
    Span,
    Spans,
    Text,
    oracle,
)
from formats.instances import SURE, Instance, Raw

A, B = Span(0, 1), Span(2, 3)
PLACES = ((0, 1), (2, 3))


@pytest.mark.parametrize(
    ("instance", "raw"),
    [
        (GenerateInstance("s", "t"), Text("t")),
        (GenerateInstance("s", "b", ("a", "b")), Scores((0.0, 1.0))),
        (EntailInstance("p", "h", 1.0), Entailment(SURE)),
        (EntailInstance("p", "h", 0.0), Entailment(-SURE)),
        (EntailInstance("p", "h", 0.5), Entailment(0.0)),
        (ExtractInstance("q", "abc", (A,)), Spans((ScoredSpan(0, 1, SURE),))),
        (ExtractInstance("q", "abc", ()), Spans(())),
        (ExtractInstance("q", "abc", (B,), PLACES), Scores((-SURE, SURE))),
        (ExtractInstance("q", "abc", (), PLACES), Scores((-SURE, -SURE))),
        (
            ExtractInstance("q", "abc", (Span(0, 1, "y"),), types=("x", "y")),
            Spans((ScoredSpan(0, 1, SURE, 1),)),
        ),
    ],
)
def test_oracle(instance: Instance, raw: Raw) -> None:
    assert oracle(instance) == raw


@pytest.mark.parametrize(
    ("instance", "shared"),
    [
        (GenerateInstance("s", None), "s"),
        (ExtractInstance("q", "p", None), "p"),
        (EntailInstance("p", "h", None), "p"),
    ],
)
def test_the_long_text_is_shared(instance: Instance, shared: str) -> None:
    assert instance.shared == shared
    with pytest.raises(ValueError, match="unlabelled"):
        oracle(instance)
