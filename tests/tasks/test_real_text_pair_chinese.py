"""Published texts, pairs and Chinese sets: as many rows as each file has, every one accounted for.

The numbers are those that the publishers state, or those of the excerpts under UNIFY_DATA.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

from tasks import catalogue, unseen
from tasks.check import check
from tasks.readers._open import on_disk
from tasks.suites import Suite

pytestmark = pytest.mark.skipif(
    not os.environ.get("UNIFY_DATA"), reason="UNIFY_DATA does not name the folder of datasets"
)

# Task -> rows per published split, which is one file (or one list of the clinc150 document).
ROWS = {
    # texts
    "ag_news": {"all": 5000},
    "banking77": {"train": 10003, "test": 3080},
    "clinc150": {"train": 7500, "validation": 3000, "test": 4500},
    "clinc150_oos": {"train": 7500 + 100, "validation": 3000 + 100, "test": 4500 + 1000},
    "cola": {"train": 8551, "validation": 527},
    "cola_out_of_domain": {"validation": 516},
    "goemotions": {"train": 5000, "validation": 2000, "test": 2000},
    "mr": {"all": 5000},
    "sst2": {"train": 6920, "validation": 872, "test": 1821},
    "sst5": {"train": 3000, "validation": 1101, "test": 2210},
    "subj": {"all": 5000},
    "subj_raw": {"all": 1000 + 1000},
    "trec": {"train": 5452, "test": 500},
    "trec_fine": {"train": 5452, "test": 500},
    "tweeteval_emotion": {"train": 3257, "validation": 374, "test": 1421},
    "tweeteval_irony": {"train": 2862, "validation": 955, "test": 784},
    "tweeteval_stance_abortion": {"train": 587, "validation": 66, "test": 280},
    "tweeteval_stance_atheism": {"train": 461, "validation": 52, "test": 220},
    "tweeteval_stance_climate": {"train": 355, "validation": 40, "test": 169},
    "tweeteval_stance_feminist": {"train": 597, "validation": 67, "test": 285},
    "tweeteval_stance_hillary": {"train": 620, "validation": 69, "test": 295},
    # pairs
    "breaking_nli": {"test": 8193},
    "cb": {"train": 250, "validation": 56, "test": 250},
    "fewglue_boolq": {"train": 32},
    "fewglue_cb": {"train": 32},
    "fewglue_copa": {"train": 32},
    "fewglue_multirc": {"train": 154},  # answers to the questions of 32 passages
    "fewglue_record": {"train": 32},
    "fewglue_rte": {"train": 32},
    "fewglue_wic": {"train": 32},
    "fewglue_wsc": {"train": 32},
    "fewglue_wsc_name": {"train": 32},
    "mnli": {"matched": 4000},
    "mrpc": {"train": 4076, "test": 1725},
    "qqp": {"dev": 3000, "test": 2000},
    "rte": {"train": 2490, "validation": 277, "test": 500},
    "snli": {"dev": 3000},
    "snli_lower": {"test": 3000},
    "stsb": {"train": 5749, "validation": 1500, "test": 1379},
    "wic_text": {"train": 2500, "test": 200},
    "wikiqa": {"dev": 2733, "test": 2000},
    "wnli": {"train": 635, "validation": 71},
    # Chinese
    "bustm": {"train": 160, "validation": 160, "test": 1772},
    "cmrc2018": {"trial": 1002, "validation": 730},
    "csl": {"train": 160, "validation": 160, "test": 500},
    "eprstmt": {"train": 160, "validation": 160, "test": 610},
    "lcqmc": {"dev": 4000, "test": 4000},
    "ocnli": {"train": 160, "validation": 160, "test": 2520},
    "stsb_zh": {"dev": 1500, "test": 1379},
    "tnews": {"train": 1185, "validation": 1098, "test": 2010},
    "waimai": {"all": 4000},
    "weibo_ner": {"train": 1350, "validation": 270, "test": 270},
}
# Rows that cannot be read, by the reason why.
SKIPPED = {"cmrc2018": Counter({"question is empty": 2})}
# Answers whose published place is wrong: (in the passage once, and taken from there; in it not
# at all, while another annotator's is).
MENDED = {"cmrc2018": (5 + 7, 78)}
# Files that hold no rows: licences, and lists of labels, which the declarations write out.
NO_ROWS = {
    "LICENSE", "LICENCE", "README", "classes.txt", "categories.json", "domains.json", "labels.txt",
    "label_index2en2zh.json",
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_every_file(name):
    task = catalogue.load(name)
    assert {s: len(task.source.load(s)) for s in task.source.splits()} == ROWS[name]
    found = check(name)
    assert found.problems == []
    assert sum(s.rows for s in found.splits) == sum(ROWS[name].values())
    reasons: Counter[str] = sum((s.skipped.reasons for s in found.splits), Counter())
    assert reasons == SKIPPED.get(name, Counter())
    mended: Counter[str] = sum((s.skipped.mended for s in found.splits), Counter())
    wrong = sum(n for what, n in mended.items() if "wrong start" in what)
    assert (wrong, mended.total() - wrong) == MENDED.get(name, (0, 0))
    for split in found.splits:
        assert split.read == split.rows - split.skipped.count
        assert bool(split.gold) == (split.split not in task.unlabelled)


def test_every_file_is_read_by_a_task():
    root = Path(os.environ["UNIFY_DATA"])
    read, folders = set(), set()
    for name in ROWS:
        source = catalogue.load(name).source
        folders.add(source.folder.split("/")[0])
        for split in source.splits():
            read.update(on_disk(path).resolve() for path in source._files(split).values())
    there = {p.resolve() for f in folders for p in (root / f).rglob("*") if p.is_file()}
    assert {str(p) for p in there - read if p.name not in NO_ROWS} == set()


def test_labels_are_the_publishers_own():
    """Declared labels against the lists that are published beside the rows."""
    import json

    root = Path(os.environ["UNIFY_DATA"])
    listed = json.loads((root / "banking77/categories.json").read_text("utf-8"))
    assert set(catalogue.load("banking77").labels.names) == set(listed)
    domains = json.loads((root / "clinc150/domains.json").read_text("utf-8"))
    intents = {intent for several in domains.values() for intent in several}
    assert set(catalogue.load("clinc150").labels.names) == intents
    assert set(catalogue.load("clinc150_oos").labels.names) == intents | {"oos"}
    emotions = (root / "goemotions/original/labels.txt").read_text("utf-8").split()
    assert catalogue.load("goemotions").labels.words == (*emotions[:-1], "no emotion")
    lines = (root / "fewclue_tnews/label_index2en2zh.json").read_text("utf-8").strip().split("\n")
    named = {r["label"]: r["label_zh"] for r in map(json.loads, lines)}
    labels = catalogue.load("tnews").labels
    assert dict(zip(labels.names, labels.words, strict=True)) == named
    for name in ("snli", "breaking_nli"):
        assert catalogue.load(name).labels.names == ("entailment", "neutral", "contradiction")


@pytest.mark.parametrize(
    ("seen", "unseen_task"),
    [
        ("sst2", "mr"), ("subj", "sst5"), ("rte", "fewglue_rte"), ("cb", "fewglue_cb"),
        ("snli", "breaking_nli"), ("wic_text", "fewglue_wic"), ("wnli", "fewglue_wsc"),
        ("stsb", "stsb_zh"), ("mrpc", "stsb"), ("clinc150", "banking77"),
    ],
)  # fmt: skip
def test_copies_are_known_as_leaks(seen, unseen_task):
    assert unseen.check(Suite("x", (seen,), (unseen_task,), {}, ("test", "validation", "train")))


def test_texts_are_read_in_their_true_encoding():
    """No replacement or control characters where the publisher wrote letters and dashes."""
    for name in ("mr", "subj", "subj_raw", "trec", "sst2", "banking77"):
        task = catalogue.load(name)
        for split in task.splits():
            for example in task.examples(split):
                assert not any(0x7F < ord(c) < 0xA0 or c == "\ufffd" for c in example.text)


def test_entities_of_weibo():
    """Spans cover whole characters of the text, and no position number is left in it."""
    examples = list(catalogue.load("weibo_ner").examples("train"))
    assert examples[0].text.startswith("科技全方位资讯智能")
    kinds = Counter(span.type for e in examples for span in e.gold)
    # B- tags, and I- tags that follow no tag of their type, which open a span too.
    assert kinds["PER.NAM"] == 574 + 4 and kinds["GPE.NAM"] == 205
