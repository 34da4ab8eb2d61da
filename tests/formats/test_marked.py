from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.base import marked
from formats.examples import LabelSpace, RelationClassification, Span

LABELS = LabelSpace(("owns", "likes"))


def relation(text: str, head: tuple[int, int], tail: tuple[int, int]) -> RelationClassification:
    return RelationClassification("x", text, Span(*head), Span(*tail), LABELS)


@pytest.mark.parametrize(
    ("text", "head", "tail", "expected"),
    [
        ("Ann met Bo.", (0, 3), (8, 10), "[Ann] met {Bo}."),
        ("Bo met Ann.", (7, 10), (0, 2), "{Bo} met [Ann]."),
        ("AnnBo", (0, 3), (3, 5), "[Ann]{Bo}"),
        ("New York Times", (0, 14), (0, 8), "[{New York} Times]"),
        ("New York Times", (4, 14), (0, 14), "{New [York Times]}"),
        ("New York Times", (0, 8), (4, 14), "[New {York] Times}"),
    ],
)
def test_names_stand_in_their_marks(
    text: str, head: tuple[int, int], tail: tuple[int, int], expected: str
) -> None:
    assert marked(relation(text, head, tail)) == expected


@given(st.text("abc", min_size=2, max_size=12), st.data())
def test_marks_take_nothing_away(text: str, data: st.DataObject) -> None:
    def span() -> tuple[int, int]:
        start = data.draw(st.integers(0, len(text) - 1))
        return start, data.draw(st.integers(start + 1, len(text)))

    found = marked(relation(text, span(), span()))
    assert "".join(c for c in found if c not in "[]{}") == text
    assert sorted(c for c in found if c in "[]{}") == ["[", "]", "{", "}"]
