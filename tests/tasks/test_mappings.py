"""The family of hidden mappings: nothing shared between its tasks, rows that a number fixes."""

from __future__ import annotations

from collections import Counter

from tasks import catalogue, suites
from tasks.sample.mappings import CLASSES, CLUSTERS, PER_CLASS, PER_CLUSTER, WIDE, mappings, rows
from tasks.unseen import check


def test_no_word_belongs_to_two_tasks() -> None:
    found = mappings().values()
    assert len(found) == CLUSTERS * PER_CLUSTER == 320
    words = Counter(w for m in found for group in (m.labels, *m.keys) for w in group)
    assert set(words.values()) == {1}
    assert all(len(m.keys) == len(m.labels) == CLASSES for m in found)
    assert all(len(keys) == PER_CLASS for m in found for keys in m.keys)


def test_rows_follow_the_mapping() -> None:
    mapping = mappings()["mapping_007"]
    label = {k: w for keys, w in zip(mapping.keys, mapping.labels, strict=True) for k in keys}
    made = rows("mapping_007", "train", 60)
    assert all(r["label"] == label[r["text"]] for r in made)
    assert {r["text"] for r in made} == set(label)
    assert made[:20] == rows("mapping_007", "train", 20)
    assert made[:20] != rows("mapping_007", "test", 20) != rows("mapping_007", "test", 20, seed=1)
    wide = rows("mapping_007", "train", 60, fillers=4)
    assert all([label[w] for w in r["text"].split() if w in label] == [r["label"]] for r in wide)
    assert {len(r["text"].split()) for r in wide} == {1, 2, 3, 4, 5}


def test_the_suite_has_unseen_words() -> None:
    suite = suites.load("mappings")
    assert (len(suite.seen), len(suite.unseen)) == (304, 16)
    assert check(suite) == []
    example = next(catalogue.load("mapping_319").examples("test"))
    assert example.gold in mappings()["mapping_319"].labels


def test_the_wide_family_has_more_words_and_fillers() -> None:
    found = mappings(wide=True)
    assert len(found) == 192 and all(len(k) == WIDE == 4 for m in found.values() for k in m.keys)
    words = Counter(w for m in found.values() for group in (m.labels, *m.keys) for w in group)
    assert set(words.values()) == {1}
    suite = suites.load("mappings_wide")
    assert (len(suite.seen), len(suite.unseen)) == (176, 16) and check(suite) == []
    mapping = found["wide_mapping_180"]
    label = {k: w for keys, w in zip(mapping.keys, mapping.labels, strict=True) for k in keys}
    for example in catalogue.load("wide_mapping_180").examples("test"):
        assert [label[w] for w in example.text.split() if w in label] == [example.gold]
