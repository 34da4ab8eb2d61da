"""The leaks of published splits, by name, as facts; their clean forms have none."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.errors import DeclarationError, UnknownName
from tasks import catalogue, published, suites, unseen
from tasks.cleaning import cleaned
from tasks.suites import LEAKS

ALL = sorted(n for n in suites.names() if n.startswith(("metaicl_", "crossfit_")))
ETHOS_SEEN = ("directed_vs_generalized", "disability", "gender", "sexual_orientation")
ETHOS_UNSEEN = ("national_origin", "race", "religion")
STANCE_SEEN, STANCE_UNSEEN = ("abortion", "climate", "hillary"), ("atheism", "feminist")

# split -> tasks seen and unseen, as the paper counts them; seen tasks left when it is clean
SIZES = {
    "hr_to_lr": (61, 26, 23),
    "class_to_class": (43, 20, 14),
    "non_class_to_class": (37, 20, 34),
    "qa_to_qa": (37, 22, 15),
    "non_qa_to_qa": (33, 22, 31),
    "non_nli_to_nli": (55, 8, 53),
    "non_paraphrase_to_paraphrase": (59, 4, 59),
}

# split -> all leaks but those of clusters: (unseen, kind, seen, what)
FOUND = {
    "hr_to_lr": {("commonsense_qa", "lineage", "lama-conceptnet", "conceptnet")},
    "class_to_class": {
        (f"ethos-{held}", "lineage", f"ethos-{seen}", "ethos")
        for held in ETHOS_UNSEEN
        for seen in ETHOS_SEEN
    }
    | {
        (f"tweet_eval-stance_{held}", "lineage", f"tweet_eval-stance_{seen}", "semeval2016_task6")
        for held in STANCE_UNSEEN
        for seen in STANCE_SEEN
    },
    "non_class_to_class": {
        ("anli", "lineage", "hotpot_qa", "hotpot_qa"),
        ("anli", "lineage", "kilt_hotpotqa", "hotpot_qa"),
        ("yelp_polarity", "lineage", "yelp_review_full", "yelp"),
    },
    "qa_to_qa": {
        ("wino_grande", "task", "unifiedqa:winogrande_xl", "the same task by another name"),
        ("unifiedqa:mctest", "lineage", "superglue-multirc", "mctest"),
    },
    "non_qa_to_qa": {("sciq", "lineage", "scitail", "sciq")},
    "non_nli_to_nli": {
        ("sick", "task", "sick", "the same task"),
        ("glue-wnli", "lineage", "superglue-wsc", "wsc"),
    },
    "non_paraphrase_to_paraphrase": set(),
}


@pytest.mark.parametrize("split", SIZES)
def test_metaicl_has_these_leaks(split):
    suite = suites.load(f"metaicl_{split}")
    assert (len(suite.seen_as), len(suite.unseen_as)) == SIZES[split][:2]
    found = [leak for leak in unseen.check(suite, texts=False) if leak.kind != "cluster"]
    assert {(k.unseen, k.kind, k.seen, k.what) for k in found} == FOUND[split]
    assert len(found) == len(FOUND[split])


def test_clusters_of_the_unseen_that_are_seen():
    counts = {s: Counter(k.kind for k in unseen.check(suites.load(f"metaicl_{s}"), texts=False))
              for s in SIZES}  # fmt: skip
    assert {split: count["cluster"] for split, count in counts.items()} == {
        "hr_to_lr": 81, "class_to_class": 81, "non_class_to_class": 4, "qa_to_qa": 71,
        "non_qa_to_qa": 5, "non_nli_to_nli": 7, "non_paraphrase_to_paraphrase": 0,
    }  # fmt: skip


def test_crossfit_has_the_same_and_more():
    def found(name):
        leaks = unseen.check(suites.load(name), texts=False)
        return {(k.unseen, k.kind, k.seen) for k in leaks if k.kind in ("task", "lineage")}

    assert found("crossfit_train_non_nli_test_nli") == {
        ("sick", "task", "sick"), ("glue-wnli", "lineage", "superglue-wsc")
    }  # fmt: skip
    assert found("crossfit_train_nonparaphrase_classification_test_paraphrase") == set()
    assert {
        ("superglue-rte", "task", "glue-rte"),
        ("race-high", "lineage", "race-middle"),
        ("trec", "lineage", "trec-finegrained"),
        ("quoref", "lineage", "mocha"),
        ("squad-with_context", "lineage", "squad-no_context"),
    } <= found("crossfit_random") | found("crossfit_train_non_mrc_qa_test_mrc")


@pytest.mark.parametrize("name", ALL)
def test_clean_forms_have_no_leak_and_keep_the_unseen(name):
    suite = suites.load(name, clean=True)
    result = cleaned(suite, texts=False)
    assert unseen.check(result.suite, texts=False) == []
    assert (result.suite.unseen, result.suite.unseen_as) == (suite.unseen, suite.unseen_as)
    assert set(suite.seen_as) - set(result.suite.seen_as) == set(result.removed)
    ours = {published.table()[n].task for n in result.suite.seen_as} - {None}
    assert set(result.suite.seen) == ours  # gone by one name, gone by the other
    if name.removeprefix("metaicl_") in SIZES:
        assert len(result.suite.seen_as) == SIZES[name.removeprefix("metaicl_")][2]


SOME = st.lists(
    st.sampled_from([f"published:{n}" for n in published.table()] + catalogue.names()), max_size=12
)


@settings(max_examples=60, deadline=None)
@given(seen=SOME, held=SOME, kinds=st.sets(st.sampled_from(LEAKS[:3])))
def test_no_leak_of_the_kinds_that_were_cleaned_is_left(seen, held, kinds):
    suite = suites.made("s", {"seen": seen, "unseen": held, "clean": sorted(kinds)})
    result = cleaned(suite, texts=False)
    assert kinds.isdisjoint(leak.kind for leak in unseen.check(result.suite, texts=False))
    assert set(result.suite.seen) <= set(suite.seen) and result.suite.unseen == suite.unseen
    if not result.removed:
        assert (result.suite.seen, result.suite.seen_as) == (suite.seen, suite.seen_as)


@pytest.mark.parametrize("name", ALL)
def test_some_kinds_of_leaks_may_stay(name):
    kept = cleaned(suites.load(name, clean=["task", "lineage"]), texts=False).suite
    assert {leak.kind for leak in unseen.check(kept, texts=False)} <= {"cluster"}
    strict = cleaned(suites.load(name, clean=True), texts=False).suite
    assert set(strict.seen_as) <= set(kept.seen_as)


def test_what_is_not_here_is_counted():
    suite = suites.load("metaicl_non_nli_to_nli")
    absent = suite.absent()
    assert "sick" in absent["seen"] and "sick" in absent["unseen"]
    assert set(suite.unseen) == {"mnli", "rte", "wnli", "cb"}
    assert absent["unseen"] == ("anli", "glue-qnli", "scitail", "sick")
    assert len(suite.seen) + len(absent["seen"]) == len(suite.seen_as) == 55
    assert suite.named() == {"seen": suite.seen_as, "unseen": suite.unseen_as}
    again = suites.load("metaicl_qa_to_qa")  # boolq and openbookqa go by two names each
    assert (len(again.seen_as), len(again.seen) + len(again.absent()["seen"])) == (37, 36)
    here = suite.here()
    assert here.seen == suite.seen and here.absent() == {"seen": (), "unseen": ()}
    kinds = {(k.kind, k.unseen) for k in unseen.check(here, texts=False)}
    assert kinds == set()  # sick and the Winograd rows are not here: this run does not leak


def test_the_table_speaks_of_our_tasks_in_our_words():
    known = catalogue.declarations()
    assert len([one for one in published.table().values() if one.task]) == 30
    assert {one.task for one in published.table().values() if one.task} <= set(known)
    ours = {word for d in known.values() for word in d.raw.get("lineage") or ()}
    theirs = {word for one in published.table().values() for word in one.lineage}
    both = "atis cnn_dailymail conceptnet conll2003 copa drop e2e_nlg squad flickr30k msrvid"
    assert {*both.split(), "natural_questions", "reddit", "wsc", "yelp"} <= ours & theirs
    sides = published.splits()
    assert {n for names in sides.values() for n in names} == set(published.table())
    assert len(published.table()) == 180
    for side in ("seen", "unseen"):
        assert all(len(set(v)) == len(v) for k, v in sides.items() if k.endswith(side))
    for key, names in sides.items():
        if key.endswith("new_domain"):
            assert set(names) <= set(sides[key.replace("new_domain", "unseen")])


def test_published_selectors():
    suite = suites.made("s", {
        "seen": ["published:ethos-*", "published:superglue-rte", "subj", "-published:ethos-race"],
        "unseen": ["published:trec@k16s1"],
    })  # fmt: skip
    assert suite.seen == ("rte", "subj") and suite.unseen == ("trec@k16s1",)
    assert len(suite.seen_as) == 7 and "ethos-race" not in suite.seen_as
    assert suites.made("s", {"seen": ["published:glue-*", "-rte"]}).seen_as == (
        "glue-cola", "glue-mnli", "glue-mrpc", "glue-qqp", "glue-sst2", "glue-wnli", "glue-qnli"
    )  # fmt: skip
    with pytest.raises(UnknownName, match="ethos-race"):
        suites.made("s", {"seen": ["published:ethos-rase"]})
    with pytest.raises(UnknownName, match="metaicl/hr_to_lr/seen"):
        suites.made("s", {"seen": ["published:metaicl/hr_to_lr/sen"]})
    with pytest.raises(UnknownName, match="lineage"):
        suites.made("s", {"clean": ["linage"]})
    assert suites.made("s", {"clean": True}).clean == LEAKS


def test_a_published_task_is_ours_or_described():
    with pytest.raises(DeclarationError, match="one of ours"):
        published.Published("a", "a")
    with pytest.raises(DeclarationError, match="one of ours"):
        published.Published("a", "a", task="trec", cluster="c", lineage=frozenset("l"))
