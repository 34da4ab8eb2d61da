"""Published choices and texts: as many rows as each file has, read as they are meant."""

import os
from collections import Counter

import pytest

from formats import FORMATS, matches, oracle
from tasks import catalogue
from tasks.adapters import cloze
from tasks.metrics.numbers import last_number
from tasks.task import Skipped

pytestmark = pytest.mark.skipif(
    not os.environ.get("UNIFY_DATA"), reason="UNIFY_DATA does not name the folder of datasets"
)

_LINES = {"validation": 1014, "test": 1000}
ROWS = {
    "arc_easy": {"train": 500, "test": 500},
    "arc_challenge": {"train": 500, "test": 500},
    "openbookqa": {"train": 500, "test": 500},
    "boolq": {"train": 500, "test": 500},
    "balanced_copa": {"train": 800, "test": 200},
    "boolq_contrast": {"test": 69 + 340},
    "commonsenseqa": {"train": 2000, "validation": 1221, "test": 300},
    "dream": {"train": 817, "validation": 760, "test": 758},
    "logiqa": {"test": 651},
    "strategyqa": {"train": 1832, "test": 458},
    "strategyqa_explained": {"train": 1832, "test": 458},
    "truthfulqa": {"test": 817},
    "truthfulqa_mc1": {"test": 817},
    "truthfulqa_mc2": {"test": 817},
    "wikiqa_ranking": {"validation": 2733, "test": 2000},
    "dialogsum": {"validation": 500, "test": 500},
    "dialogsum_topic": {"validation": 500, "test": 500},
    "dialogsum_extract": {"validation": 500, "test": 500},
    "dialogsum_cloze": {"validation": 500, "test": 500},
    "dialogsum_matching": {"validation": 500, "test": 500},
    "e2e_nlg": {"validation": 546, "test": 624},
    "e2e_nlg_parse": {"validation": 2000, "test": 3000},
    "gsm8k": {"train": 1000, "test": 1319},
    "gsm8k_answer": {"train": 1000, "test": 1319},
    "jfleg": {"validation": 754, "test": 747},
    "jfleg_spelled": {"validation": 754, "test": 747},
    "jfleg_spelling": {"validation": 754, "test": 747},
    "multi30k_en_de": {"train": 29000, **_LINES},
    "multi30k_de_en": {"train": 29000, **_LINES},
    "multi30k_en_fr": _LINES,
    "multi30k_fr_en": _LINES,
    "multi30k_de_fr": _LINES,
    "multi30k_fr_de": _LINES,
    "multi30k_cloze": {"train": 29000, **_LINES},
    "multi30k_matching": {"train": 29000, **_LINES},
    "multiarith": {"test": 600},
    "addsub": {"test": 395},
    "singleeq": {"test": 508},
    "svamp": {"test": 1000},
    "induce_active_to_passive": {"train": 900, "test": 100},
    "induce_antonyms": {"train": 2592, "test": 100},
    "induce_cause_and_effect": {"train": 26, "test": 25},
    "induce_informal_to_formal": {"train": 15, "test": 15},
    "induce_singular_to_plural": {"train": 1943, "test": 100},
    "induce_synonyms": {"train": 2222, "test": 100},
    **{f"induce_{name}": {"train": 50, "test": 50} for name in (
        "diff", "first_word_letter", "larger_animal", "letters_list", "num_to_verbal", "rhymes",
        "second_word_letter", "sum", "taxonomy_animal")},
}  # fmt: skip
BROKEN = {
    ("boolq_contrast", "test"): 5,
    ("dialogsum_cloze", "validation"): 1,
    ("dialogsum_cloze", "test"): 2,
}
MMLU = [n for n in catalogue.names() if n.startswith("mmlu_")]
SAMPLED = {"generate": 40, "answer": 125}  # every so many rows; others every tenth


def examples(name, split="test"):
    return list(catalogue.load(name).examples(split))


@pytest.mark.parametrize("name", ROWS)
def test_every_row_is_an_example_or_announced(name):
    task = catalogue.load(name)
    assert {split: task.count(split) for split in task.splits()} == ROWS[name]
    for split in task.splits():
        skipped = Skipped()
        found = sum(1 for _ in task.examples(split, skipped=skipped))
        assert skipped.count == BROKEN.get((name, split), 0)
        assert found + skipped.count == ROWS[name][split]


@pytest.mark.parametrize("name", ROWS)
def test_decode_gives_gold_back(name):
    task = catalogue.load(name)
    split = task.splits()[-1]
    rows = list(task.examples(split))[:: SAMPLED.get(task.kind, 10)]
    for example in rows:
        for format in (make() for make in FORMATS.values()):
            if not format.supports(task.type):
                continue
            raws = map(oracle, list(format.encode(example, task.prompt)))
            if example.gold is not None:
                answer = format.decode(example, task.prompt, raws)
                outside = format.holds(example, task.prompt)
                assert outside or matches(example, answer), (example.id, format.name)


def test_mmlu_has_57_subjects_from_one_declaration():
    known = catalogue.declarations()
    assert len(MMLU) == 57 and len({known[name].file for name in MMLU}) == 1
    tasks = [catalogue.load(name) for name in MMLU]
    assert {(t.count("train"), t.count("test")) for t in tasks} == {(5, 40)}
    rows = [e for t in tasks for s in t.splits() for e in t.examples(s)]
    assert len(rows) == 2565
    # Six rows list an option twice.
    assert Counter(len(e.options) for e in rows) == {4: 2559, 3: 6}


def test_contrast_sets_are_groups():
    task = catalogue.load("boolq_contrast")
    groups = Counter(task.groups("test"))
    assert len(groups) == 69 and sum(groups.values()) == 409
    assert Counter(e.gold for e in task.examples("test")) == {"TRUE": 42 + 165, "FALSE": 27 + 170}


def test_copa_pairs_share_alternatives_and_stay_together():
    task = catalogue.load("balanced_copa")
    seen = {}
    for split in task.splits():
        pairs: dict[str, list] = {}
        for example, pair in zip(task.examples(split), task.groups(split), strict=True):
            pairs.setdefault(pair, []).append(example)
        for first, second in pairs.values():
            assert set(first.options) == set(second.options)
            assert first.options[first.gold] != second.options[second.gold]
        seen[split] = set(pairs)
    assert len(seen["train"] | seen["test"]) == 500 and not seen["train"] & seen["test"]


def test_the_letter_of_logiqa_names_the_option_and_not_its_place():
    rows = examples("logiqa")
    orders = Counter(catalogue.load("logiqa").rows("test")["order"])
    assert orders == {"ABCD": 630, "ACBD": 19, "-BC-": 1, "A-CD": 1}
    # Published in the order A, C, B, D with the answer b.
    assert rows[114].options[rows[114].gold] == "Some northerners are not workers."
    assert rows[594].options == ("first", "Third", "Fourth", "fifth")
    assert rows[544].options[1] == "Storehouse B.3"
    assert all(len(e.options) == 4 for e in rows)


def test_choices_out_of_instruct_texts():
    sizes = Counter(len(e.options) for s in ("train", "test") for e in examples("arc_challenge", s))
    assert sizes == {4: 995, 3: 3, 5: 2}
    assert Counter(e.gold for e in examples("boolq")) == {"true": 322, "false": 178}
    options = [o for n in ("arc_easy", "openbookqa") for e in examples(n) for o in e.options]
    assert not any("Answer" in o or o != o.strip() for o in options)


def test_references_and_rationales():
    assert Counter(len(e.gold) for e in examples("dialogsum")) == {3: 500}
    assert Counter(len(e.gold) for e in examples("jfleg")) == {4: 747}
    assert sum(len(e.gold) for e in examples("e2e_nlg", "validation")) == 2000
    assert sum(len(e.gold) for e in examples("e2e_nlg")) == 3000
    for whole, short in zip(examples("gsm8k"), examples("gsm8k_answer"), strict=True):
        assert whole.gold == (f"{short.rationale}\n#### {short.gold[0]}",)
    assert Counter(e.gold for e in examples("strategyqa")) + Counter(
        e.gold for e in examples("strategyqa", "train")
    ) == {"0": 1219, "1": 1071}


@pytest.mark.parametrize(
    "name", ["gsm8k", "gsm8k_answer", "multiarith", "addsub", "singleeq", "svamp"]
)
def test_every_published_answer_is_a_number(name):
    assert all(last_number(e.gold[0]) is not None for e in examples(name))
    # The long and the short form of an answer are the same number, with or without commas.
    if name == "gsm8k_answer":
        long = [last_number(e.gold[0]) for e in examples("gsm8k")]
        assert [last_number(e.gold[0]) for e in examples(name)] == long
        assert sum("," in e.gold[0] for e in examples(name)) == 14


def test_yes_and_no_with_their_reasons():
    plain, explained = examples("strategyqa"), examples("strategyqa_explained")
    assert [{"1": "Yes", "0": "No"}[e.gold] for e in plain] == [e.gold[0] for e in explained]
    assert all(e.rationale for e in explained)


def test_truthful_choices():
    one, many = examples("truthfulqa_mc1"), examples("truthfulqa_mc2")
    places = Counter(e.gold for e in one)
    assert max(places.values()) < 0.4 * len(one)  # the best answer's place says nothing
    assert all(0 < len(e.gold) < len(e.labels.names) for e in many)
    # Two questions list an answer as true and as false; it counts as true.
    for text, labels in zip(examples("truthfulqa"), many, strict=True):
        assert set(text.gold) == labels.gold


def test_clozes_leave_out_what_they_ask_for():
    for e in examples("multi30k_cloze"):
        assert cloze.BLANK in e.source and e.gold[0] not in e.source.split()
    for e in examples("dialogsum_cloze"):
        (word,) = {text for alternative in e.gold_texts() for text in alternative}
        assert cloze.BLANK in e.question and word.isalpha()


def test_extractive_summaries_are_whole_utterances():
    for e in examples("dialogsum_extract"):
        (chosen,) = e.gold
        lines = e.passage.split("\n")
        assert 1 <= len(chosen) <= 3 and all(s.of(e.passage) in lines for s in chosen)
        assert all(s.start == 0 or e.passage[s.start - 1] == "\n" for s in chosen)
