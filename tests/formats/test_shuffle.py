"""Shuffles by a text: fixed orders, all of them about equally often."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from formats.shuffle import shuffled


def test_an_order_is_the_same_everywhere() -> None:
    assert shuffled("abcdef", "row 0") == list("bdcefa")
    assert shuffled("abcdef", "row 1") == list("abdfce")


@given(st.lists(st.integers(), max_size=200), st.text())
def test_nothing_is_lost(items: list[int], key: str) -> None:
    assert sorted(shuffled(items, key)) == sorted(items)
    assert shuffled(items, key) == shuffled(items, key)


def test_all_orders_come_about_equally_often() -> None:
    seen = Counter("".join(shuffled("abcd", f"row {n}")) for n in range(24_000))
    assert len(seen) == 24
    # 1,000 expected each, with a standard deviation of 31
    assert min(seen.values()) > 870 and max(seen.values()) < 1130


def test_long_lists_are_shuffled_to_the_end() -> None:
    moved = Counter(
        i for n in range(300) for i, x in enumerate(shuffled(range(300), f"{n}")) if x != i
    )
    assert min(moved[i] for i in range(300)) > 280
