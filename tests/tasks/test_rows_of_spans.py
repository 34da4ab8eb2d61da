"""The published question answering, tagging and relation sets: rows per file, and every row loads.

The numbers are those that come with the data, not those of the code.
"""

import os
from collections import Counter

import pytest

from tasks import catalogue
from tasks.placing import SPELT, WRONG_START
from tasks.task import Skipped

pytestmark = pytest.mark.skipif(
    not os.environ.get("UNIFY_DATA"), reason="UNIFY_DATA does not name the folder of datasets"
)

CONLL2003 = {"train": 2809, "validation": 1416, "test": 3453}
CONLL2000 = {"train": 2500, "test": 2012}
ATIS = {"train": 4478, "validation": 500, "test": 893}
SNIPS = {"train": 3000, "validation": 700, "test": 700}
EWT = {"validation": 1200, "test": 600}
# Task -> published split -> rows.
ROWS = {
    "xquad_en": {"all": 1190},
    "xquad_de": {"all": 1190},
    "xquad_zh": {"all": 1190},
    "policyqa": {"validation": 1980, "test": 1106},
    "quoref_contrast_original": {"test": 415},
    "quoref_contrast_perturbed": {"test": 700},
    "subjqa_restaurants": {"train": 600, "validation": 250, "test": 250},
    "squad_sample": {"test": 5},
    "squad2_sample": {"test": 6},
    "quoref_sample": {"test": 4},
    "quac_sample": {"test": 12},
    "record_sample": {"test": 2},
    "qangaroo_sample": {"test": 2},
    "drop_sample": {"test": 19},
    "atis_slots": ATIS,
    "atis_intents": ATIS,
    "snips_slots": SNIPS,
    "snips_intents": SNIPS,
    "conll2000_chunks": CONLL2000,
    "conll2000_pos": CONLL2000,
    "conll2003": CONLL2003,
    "conll2003_chunks": CONLL2003,
    "conll2003_pos": CONLL2003,
    "mit_movie": {"train": 2500, "validation": 782, "test": 1953},
    "ud_ewt_upos": EWT,
    "ud_ewt_xpos": EWT,
    "wnut17": {"train": 3394, "validation": 1009, "test": 1287},
    "fewrel": {"all": 1920},
    "semeval2010_task8": {"train": 8000, "test": 2717},
}
# What the data needs mended or has to leave out; nothing else is.
SKIPPED = {"quoref_contrast_original": 1, "subjqa_restaurants": 4}
MENDED = {"quoref_contrast_original": {WRONG_START: 6}, "subjqa_restaurants": {SPELT: 87}}


@pytest.mark.parametrize("name", ROWS)
def test_rows_per_file_and_every_row_loads(name):
    task = catalogue.load(name)
    assert {s: len(task.source.load(s)) for s in task.source.splits()} == ROWS[name]
    skipped = Skipped()
    loaded = 0
    for split in task.splits():
        for example in task.examples(split, skipped=skipped):
            assert example.gold is not None
            loaded += 1
    assert loaded + skipped.count == sum(ROWS[name].values())
    assert skipped.count == SKIPPED.get(name, 0)
    assert dict(skipped.mended) == MENDED.get(name, {})


def types(name, split):
    return Counter(s.type for e in catalogue.load(name).examples(split) for s in e.gold)


def test_chunks_as_published():
    """Phrases of the whole test set, as the shared task counts them."""
    assert types("conll2000_chunks", "test") == {
        "NP": 12422, "PP": 4811, "VP": 4658, "ADVP": 866, "SBAR": 535, "ADJP": 438, "PRT": 106,
        "CONJP": 9, "LST": 5, "INTJ": 2,
    }  # fmt: skip


def test_names_as_published():
    """Names of the whole WNUT test set (Derczynski et al. 2017, Table 3)."""
    assert types("wnut17", "test") == {
        "person": 429, "location": 150, "corporation": 66, "group": 165, "product": 127,
        "creative-work": 142,
    }  # fmt: skip


def test_a_part_of_speech_per_word():
    task = catalogue.load("ud_ewt_upos")
    words = [e.text[s.start : s.end] for e in task.examples("validation") for s in e.gold]
    assert len(words) == 16247 and "n't" in words
    for example in task.examples("validation"):
        assert {(s.start, s.end) for s in example.gold} == set(example.tokens)
    words = types("conll2003_pos", "test")
    assert sum(words.values()) == 46435 and words["NNP"] == 8595


def test_sentences_have_one_intent_or_several():
    pairs = Counter(len(e.gold) for e in catalogue.load("atis_intents").examples("train"))
    assert pairs == {1: 4455, 2: 22, 3: 1}
    snips = catalogue.load("snips_intents")
    found = Counter(e.gold for e in snips.examples("validation"))
    assert found == dict.fromkeys(snips.labels.names, 100)


def test_questions_without_an_answer():
    for name, splits in (("subjqa_restaurants", (355, 128, 161)), ("squad2_sample", (1,))):
        task = catalogue.load(name)
        empty = [sum(e.gold == (frozenset(),) for e in task.examples(s)) for s in task.splits()]
        assert tuple(empty) == splits


def test_one_edited_question_names_its_original():
    task = catalogue.load("quoref_contrast_perturbed")
    groups = Counter(task.groups("test"))
    assert sum(groups.values()) == 700 and "" not in groups
