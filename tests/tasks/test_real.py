"""The published datasets: every row loads, and sampled rows survive every format."""

import os

import pytest

from formats import FORMATS, matches, oracle
from tasks import catalogue, suites, unseen

# Published numbers of rows, or those of the excerpt under UNIFY_DATA.
ROWS = {
    "ag_news": {"train": 4000, "test": 1000},
    "trec": {"train": 5452, "test": 500},
    "sst2": {"train": 6920, "validation": 872, "test": 1821},
    "rte": {"train": 2490, "validation": 277, "test": 500},
    "xquad_en": {"train": 955, "test": 235},
    "conll2003": {"train": 2809, "validation": 1416, "test": 3453},
    "commonsenseqa": {"train": 2000, "validation": 1221, "test": 300},
    "stsb": {"train": 5749, "validation": 1500, "test": 1379},
    "gsm8k": {"train": 1000, "test": 1319},
    "semeval2010_task8": {"train": 8000, "test": 2717},
}
# Candidate hypotheses run into the hundreds of thousands, so that only some rows are rendered.
EVERY = {"answer": 60, "tag": 60}

pytestmark = pytest.mark.skipif(
    not os.environ.get("UNIFY_DATA"), reason="UNIFY_DATA does not name the folder of datasets"
)


@pytest.mark.parametrize("name", ROWS)
def test_all_rows_load(name):
    task = catalogue.load(name)
    assert {split: task.count(split) for split in task.splits()} == ROWS[name]
    for split in task.splits():
        examples = list(task.examples(split))
        assert len(examples) == task.count(split)
        assert all((e.gold is None) == (split in task.unlabelled) for e in examples)


@pytest.mark.parametrize("name", ROWS)
def test_decode_gives_gold_back(name):
    task = catalogue.load(name)
    for split in task.splits():
        examples = list(task.examples(split))[:: EVERY.get(task.kind, 7)]
        for format_name, make in FORMATS.items():
            if not task.supports(format_name):
                continue
            format = make()
            for example in examples:
                instances = list(format.encode(example, task.prompt))
                if example.gold is None:
                    continue
                answer = format.decode(example, task.prompt, map(oracle, instances))
                outside = format.holds(example, task.prompt)
                assert outside or matches(example, answer), (example.id, format_name)


def test_entities_as_published():
    """Entity counts of the whole development and test sets are those of the shared task's paper."""
    from collections import Counter

    found = Counter(s.type for e in catalogue.load("conll2003").examples("test") for s in e.gold)
    assert found == {"LOC": 1668, "MISC": 702, "ORG": 1661, "PER": 1617}


def test_the_suite_of_ten_has_no_leak():
    assert unseen.check(suites.load("real_ten")) == []
