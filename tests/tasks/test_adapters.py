"""Adapters: what a row means where no mapping of columns says it."""

import pytest

from formats.errors import RowError
from tasks.adapters import cloze, truthful

CAPTION = {"text": "Two dogs, a terrier and another terrier, play in café 2000x."}


def test_a_cloze_leaves_out_the_longest_word_in_all_its_places():
    # "terrier" and "another" are equally long: the first counts. "2000x" is no word.
    assert cloze.sentence(CAPTION) == {
        "source": "Two dogs, a _____ and another _____, play in café 2000x.",
        "targets": ["terrier"],
    }
    with pytest.raises(RowError, match="without a word"):
        cloze.sentence({"text": "#Person1# 42 x1"})


def test_words_are_whole_words():
    assert cloze.longest("unlike likely") == "unlike"
    assert cloze.without("like unlike liked like-minded", "like") == (
        "_____ unlike liked _____-minded"
    )


def test_a_cloze_of_a_summary_asks_for_a_word_of_the_dialogue():
    row = {
        "dialogue": "#Person1#: A discount? Discounts are rare.\n#Person2#: That discount!",
        "summary": "#Person1# negotiates a discount with #Person2#.",
    }
    assert cloze.summary(row) == {
        "question": "#Person1# negotiates a _____ with #Person2#.",
        "passage": row["dialogue"],
        "answers": [{"text": "discount", "start": 13}, {"text": "discount", "start": 59}],
    }
    several = {"dialogue": "A: one", "summary1": "one", "summary2": "two"}
    assert cloze.summary(several)["question"] == "_____"
    with pytest.raises(RowError, match="without a word"):
        cloze.summary({"dialogue": "A: one", "summary": "none"})


ROW = {
    "Question": "Why?",
    "Best Answer": "Because ",
    "Correct Answers": "Therefore; Because; Unknown;",
    "Incorrect Answers": "No reason; Magic; Magic; Unknown",
}


def test_truthful_answers():
    one = truthful.mc1(ROW)
    assert one["answer"] == "Because" and one["question"] == "Why?"
    assert sorted(one["options"]) == ["Because", "Magic", "No reason", "Unknown"]
    many = truthful.mc2(ROW)
    assert many["labels"] == ["Therefore", "Because", "Unknown"]
    assert sorted(many["options"]) == ["Because", "Magic", "No reason", "Therefore", "Unknown"]
    assert truthful.written(ROW)["targets"] == ["Because", "Therefore", "Unknown"]


def test_the_place_of_an_option_depends_on_the_texts_alone():
    turned = {**ROW, "Incorrect Answers": "Unknown; Magic; No reason"}
    assert truthful.mc1(ROW)["options"] == truthful.mc1(turned)["options"]
