"""Calibration, confusions and worst rows: every number by hand."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from formats.examples import (
    LabelSpace,
    MultiLabelClassification,
    MultipleChoice,
    TextClassification,
)
from tasks.metrics import Record
from unify.diagnosis import Diagnosis, calibration, confidence, confusion

MOODS = LabelSpace(("glad", "sad", "calm"))


def mood(i: int, gold: str, answer: str | None, scores: tuple[float, ...] | None) -> Record:
    example = TextClassification(f"mood/test/{i}", f"text {i}", MOODS, gold=gold)
    return Record(example, answer, scores)


def test_ece_by_hand() -> None:
    # (0.4, 0.4667]: 0.45 and 0.46, one right; (0.8667, 0.9333]: 0.9 twice, both right.
    found = calibration([0.45, 0.46, 0.9, 0.9], [True, False, True, True])
    assert found["ece"] == pytest.approx((2 * (0.5 - 0.455) + 2 * 0.1) / 4)
    assert found["rows"] == 4 and [b["rows"] for b in found["bins"]] == [2, 2]
    first = found["bins"][0]
    assert (first["low"], first["high"]) == pytest.approx((6 / 15, 7 / 15))
    assert (first["confidence"], first["right"]) == pytest.approx((0.455, 0.5))


def test_a_bin_has_its_upper_edge_and_not_its_lower() -> None:
    found = calibration([0.5, 0.5000001, 1.0, 0.0], [True] * 4, bins=2)
    assert [(b["low"], b["rows"]) for b in found["bins"]] == [(0.0, 2), (0.5, 2)]


def test_perfect_and_worst_calibration() -> None:
    assert calibration([1.0] * 3, [True] * 3)["ece"] == 0.0
    assert calibration([1.0] * 3, [False] * 3)["ece"] == 1.0
    assert calibration([0.75] * 4, [True, True, True, False])["ece"] == pytest.approx(0.0)


def test_confidence_is_the_answers_share_of_the_softmax() -> None:
    scores = (math.log(2.0), math.log(1.0), math.log(5.0))
    assert confidence(mood(0, "glad", "calm", scores)) == pytest.approx(5 / 8)
    assert confidence(mood(0, "glad", "glad", scores)) == pytest.approx(2 / 8)
    assert confidence(mood(0, "glad", "calm", (-1e5, -1e5, 0.0))) == 1.0
    for answer, given in ((None, scores), ("glad", None), ("glad", (0.0, float("-inf"), 0.0))):
        assert confidence(mood(0, "glad", answer, given)) is None
    choice = MultipleChoice("c/test/0", "which?", ("a", "b"), gold=1)
    assert confidence(Record(choice, 1, (0.0, math.log(3.0)))) == pytest.approx(0.75)
    several = MultiLabelClassification("m/test/0", "text", MOODS, gold=frozenset({"sad"}))
    assert confidence(Record(several, frozenset({"sad"}), scores)) is None


def test_confusions_by_hand() -> None:
    pairs: Counter[tuple[str, str | None]] = Counter({
        ("a", "a"): 5, ("a", "b"): 2, ("b", "a"): 1, ("c", "c"): 1, ("b", None): 3,
    })
    assert confusion(pairs) == {
        "gold": ["a", "b", "c"], "answers": ["a", "b", "c", "no answer"],
        "counts": [[5, 2, 0, 0], [1, 0, 0, 3], [0, 0, 1, 0]],
    }


def test_rare_labels_are_one_row_and_no_row_of_data_is_lost() -> None:
    pairs: Counter[tuple[str, str | None]] = Counter(
        {(f"l{i:02}", f"l{(i + 1) % 20:02}"): i + 1 for i in range(20)}
    )
    found = confusion(pairs, most=3)
    assert found["gold"] == found["answers"] == ["l19", "l18", "l17", "others"]
    assert found["others"] == 17
    assert found["counts"] == [[0, 0, 0, 20], [19, 0, 0, 0], [0, 18, 0, 0], [0, 0, 17, 136]]
    assert sum(map(sum, found["counts"])) == sum(pairs.values()) == 210
    assert "others" not in confusion(pairs, most=19)  # one more is shown rather than hidden


def test_the_worst_rows_are_the_most_confident_mistakes() -> None:
    seen = Diagnosis(most=2)
    margins = [1.0, 3.0, 2.0, 9.0, 3.0]
    for i, margin in enumerate(margins):
        seen.add(mood(i, "glad" if i == 3 else "sad", "glad", (margin, 0.0, 0.0)))
    notes = seen.notes(lambda e: f"asked {e.id}")
    assert [w["id"] for w in notes["worst"]] == ["mood/test/1", "mood/test/4"]
    first = notes["worst"][0]
    assert first["confidence"] == round(math.exp(3) / (math.exp(3) + 2), 6)
    assert (first["answer"], first["gold"], first["prompt"]) == ("glad", "sad", "asked mood/test/1")
    assert notes["calibration"]["rows"] == 5
    assert notes["confusion"]["gold"] == ["glad", "sad"]
    assert notes["confusion"]["counts"] == [[1, 0], [4, 0]]


def test_none_are_kept_where_none_are_asked_for() -> None:
    seen = Diagnosis(most=0)
    seen.add(mood(0, "glad", "sad", (0.0, 1.0, 0.0)))
    assert "worst" not in seen.notes(lambda e: "")
    assert Diagnosis().notes(lambda e: "") == {}
