"""What the formats share: picking the best, choosing spans, naming options by letters."""

from __future__ import annotations

import pytest
from format_strategies import examples
from hypothesis import given
from hypothesis import strategies as st

from formats import ScoredSpan, Span
from formats.base import best, choose, letters, unheld


def test_letters() -> None:
    assert letters(3) == ("A", "B", "C")
    assert letters(28)[-3:] == ("Z", "AA", "AB")
    assert letters(703)[-2:] == ("ZZ", "AAA")
    assert letters(0) == ()


@pytest.mark.parametrize(
    ("values", "index"), [([1.0], 0), ([1, 2, 2], 1), ([-3, -2, -5], 1), ([0.0, float("inf")], 1)]
)
def test_best(values: list[float], index: int) -> None:
    assert best(values) == index


A, B, C = ScoredSpan(0, 4, 3.0), ScoredSpan(2, 6, 2.0), ScoredSpan(6, 8, 1.0)
LOW, LOWER = ScoredSpan(0, 2, -1.0), ScoredSpan(4, 6, -2.0)


@pytest.mark.parametrize(
    ("spans", "several", "empty", "kept"),
    [
        ([], False, False, []),
        ([], True, True, []),
        ([B, A, C], False, False, [A]),
        ([B, A, C], True, False, [A, C]),
        ([C, B], True, True, [B, C]),
        ([LOWER, LOW], False, False, [LOW]),
        ([LOWER, LOW], False, True, []),
        ([LOWER, LOW], True, False, [LOW]),
        ([LOWER, LOW], True, True, []),
        ([LOW, C], True, True, [C]),
        ([ScoredSpan(0, 1, 0.0)], False, True, []),
        ([ScoredSpan(3, 4, 1.0), ScoredSpan(0, 1, 1.0)], False, False, [ScoredSpan(0, 1, 1.0)]),
        ([ScoredSpan(0, 2, 1.0), ScoredSpan(0, 1, 1.0)], True, False, [ScoredSpan(0, 1, 1.0)]),
    ],
)
def test_choose(
    spans: list[ScoredSpan], several: bool, empty: bool, kept: list[ScoredSpan]
) -> None:
    assert choose(spans, several=several, empty=empty) == kept


@examples(150)
@given(
    st.lists(st.builds(ScoredSpan, st.integers(0, 9), st.integers(10, 19), st.floats(-5, 5))),
    st.booleans(),
    st.booleans(),
)
def test_chosen_spans_keep_their_promises(
    spans: list[ScoredSpan], several: bool, empty: bool
) -> None:
    kept = choose(iter(spans), several=several, empty=empty)
    assert set(kept) <= set(spans)
    assert kept or empty or not spans
    assert several or len(kept) <= 1
    assert all(a is b or a.end <= b.start or b.end <= a.start for a in kept for b in kept)


@pytest.mark.parametrize(
    ("spans", "lost"),
    [([], False), ([(0, 2)], False), ([(0, 1), (1, 2)], False), ([(0, 2), (1, 3)], True)],
)
def test_unheld(spans: list[tuple[int, int]], lost: bool) -> None:
    assert bool(unheld("abc", [Span(*s) for s in spans])) == lost
