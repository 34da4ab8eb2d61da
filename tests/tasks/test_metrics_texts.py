"""Answers and free text: SQuAD's, CMRC 2018's and sacrebleu's values, and numbers."""

import pytest

from formats import QuestionAnswering, Span, TextGeneration
from tasks.metrics import bootstrap, metric, records
from tasks.metrics.answers import aligned_f1
from tasks.metrics.chinese import normal as chinese_normal
from tasks.metrics.chinese import segments
from tasks.metrics.normal import normal
from tasks.metrics.numbers import last_number


def value(name, examples, answers):
    return metric(name).value(examples, answers)


def qa(passage, *alternatives, **kind):
    gold = tuple(
        frozenset(Span(passage.index(t), passage.index(t) + len(t)) for t in alt)
        for alt in alternatives
    )
    return QuestionAnswering("q", "who?", passage, gold, **kind)


def one(name, passage, gold, answer):
    return value(name, [qa(passage, [gold])], [frozenset([answer])])


# SQuAD


def test_squad_em_and_f1():
    example = qa("the River Otters won, River", ["River Otters"], ["Otters won"])
    assert value("em", [example], [frozenset(["The River  Otters!"])]) == 1.0
    assert value("em", [example], [frozenset(["River"])]) == 0.0
    assert value("f1", [example], [frozenset(["River"])]) == pytest.approx(2 / 3)
    assert value("f1", [example], [None]) == 0.0
    assert value("f1", [example], [frozenset()]) == 0.0


def test_squad_normal_form():
    # lower case, ASCII punctuation deleted (which joins), articles as words, single blanks
    assert normal("The U.S.-led  (an) «Theatre», a  the") == "usled «theatre»"
    # words are a multiset: "the" goes, "to be or not to be" has 6 words, 4 of them shared
    assert one("f1", "to be or not to be", "to be or not to be", "not to be, the to") == (
        pytest.approx(2 * 4 / (6 + 4))
    )
    # other scripts are not cut into characters, nor their punctuation deleted
    assert one("em", "北京。北京", "北京。", "北京") == 0.0


def test_answers_that_normalise_to_nothing():
    # SQuAD 2.0: both empty is right, one empty is wrong; and such a gold is no gold beside others
    assert one("em", "an a", "a", "the") == one("f1", "an a", "a", "the") == 1.0
    assert one("f1", "an a", "a", "x") == 0.0
    example = qa("the red fox", ["the"], ["red fox"])
    assert value("em", [example], [frozenset(["a"])]) == 0.0


def test_unanswerable_and_several():
    nothing = qa("a passage", [], unanswerable=True)
    assert value("em", [nothing], [frozenset()]) == value("f1", [nothing], [frozenset()]) == 1.0
    assert value("em", [nothing], [frozenset([""])]) == 1.0
    assert value("f1", [nothing], [frozenset(["passage"])]) == 0.0
    assert value("f1", [nothing], [None]) == 0.0
    disputed = qa("a passage", [], ["passage"], unanswerable=True)
    assert value("em", [disputed], [frozenset()]) == value("em", [disputed], ["passage"]) == 1.0
    two = qa("red fox and grey owl", ["red fox", "grey owl"], several=True)
    assert value("em", [two], [frozenset(["grey owl", "red fox"])]) == 1.0
    # alignment: red fox 1.0, owl against grey owl 2/3
    assert value("f1", [two], [frozenset(["owl", "red fox"])]) == pytest.approx((1 + 2 / 3) / 2)
    assert aligned_f1(["red fox"], ["red fox", "grey owl"]) == 0.5


# CMRC 2018


def test_chinese_segments():
    assert segments("iPhone 12手机，OK! 好") == ["iphone", "12", "手", "机", "ok", "!", "好"]
    assert chinese_normal(" 《四季 之歌-3》。") == "四季 之歌3"


def test_chinese_em():
    assert one("em_zh", "《红楼梦》的作者", "《红楼梦》", "红楼梦。") == 1.0
    assert one("em_zh", "海风和ω-tide开发", "海风和ω-tide", "海风和ωTide") == 1.0
    assert one("em_zh", "海风和", "海风和", "海风 和") == 0.0  # blanks count, as officially


def test_chinese_f1_is_of_the_longest_common_run():
    assert one("f1_zh", "北京大学在北京", "北京大学", "北京") == pytest.approx(2 * 2 / (2 + 4))
    # as bags of characters these would be at 2/3 and 1
    assert one("f1_zh", "北京大学在北京", "北京大学", "北大") == pytest.approx(2 * 1 / (2 + 4))
    assert one("f1_zh", "北京大学", "北京大学", "大学北京") == pytest.approx(0.5)
    assert one("f1_zh", "iPhone 12手机", "iPhone 12手机", "12手机") == pytest.approx(6 / 7)
    assert one("f1_zh", "海风和", "海风和", "海风 和。") == 1.0
    assert one("f1_zh", "海风和", "海风和", "山") == 0.0
    best = qa("北京大学在北京", ["北京大学"], ["北京"])
    assert value("f1_zh", [best], [frozenset(["北京"])]) == 1.0
    assert value("f1_zh", [best], [None]) == value("f1_zh", [best], [frozenset()]) == 0.0
    nothing = qa("文", [], unanswerable=True)
    assert value("f1_zh", [nothing], [frozenset()]) == value("em_zh", [nothing], [""]) == 1.0


# Free text


def written(*references):
    return [TextGeneration(str(i), "s", tuple(r)) for i, r in enumerate(references)]


def test_generation_metrics():
    examples = written(["the cat sat on the mat"], ["a dog"])
    right = ["the cat sat on the mat", "a dog"]
    for name in ("rouge_l", "chrf", "exact_match"):
        assert value(name, examples, right) == pytest.approx(1.0)
        assert value(name, examples, [None, None]) == pytest.approx(0.0, abs=1e-6)
    assert value("bleu", examples, right) == pytest.approx(1.0)
    assert value("exact_match", written(["x", "y"]), [" y\n"]) == 1.0


def test_rouge_l_literal():
    # lcs "the cat on the mat": 5 of 5 and of 6 words; the better of two references; stems
    examples = written(["a dog", "the cat sat on the mat"])
    assert value("rouge_l", examples, ["the cat on the mat"]) == pytest.approx(10 / 11)
    assert value("rouge_l", written(["he walked"]), ["he walks"]) == 1.0
    # rouge-score's own words are ASCII, so that Chinese has no words; by ideograph 2 of 4 and 4
    assert value("rouge_l", written(["我爱北京"]), ["我爱北京"]) == 0.0
    assert value("rouge_l_zh", written(["我爱北京"]), ["我爱上海"]) == pytest.approx(0.5)
    # gpt4, 模, 型 in order: 3 of 4 words and of 3
    assert value("rouge_l_zh", written(["GPT4模型"]), ["gpt4 大模型。"]) == pytest.approx(6 / 7)


def test_bleu_literal():
    # 5 of 6 words, 3 of 5 pairs, 1 of 4 triples, 0 of 3 fours, which counts as 1/(2*3)
    examples = written(["the cat sat on the mat"])
    assert value("bleu", examples, ["the cat is on the mat"]) == pytest.approx(
        (5 / 6 * 3 / 5 * 1 / 4 * 1 / 6) ** 0.25
    )
    # all n-grams right, 4 characters for 5: the brevity penalty exp(1 - 5/4)
    assert value("bleu_zh", written(["我爱北京城"]), ["我爱北京"]) == pytest.approx(0.7788007831)
    # an empty answer counts with its reference's length: exp(1 - 8/4)
    examples = written(["one two three four"], ["five six seven eight"])
    assert value("bleu", examples, ["one two three four", None]) == pytest.approx(0.3678794412)


def test_chrf_literal():
    # precision 1 and 1, recall 2/3 and 1/2 of one and two characters; F with beta 2
    recall = (2 / 3 + 1 / 2) / 2
    assert value("chrf", written(["abc"]), ["ab"]) == pytest.approx(5 * recall / (4 + recall))


def test_corpus_scores_equal_sacrebleu_with_uneven_references():
    import sacrebleu

    examples = written(["the cat sat on the mat", "a cat sat there"], ["hello big wide world now"])
    answers = ["the cat sat on mat", "hello wide world now"]
    streams = [["the cat sat on the mat", "hello big wide world now"], ["a cat sat there", None]]
    bleu = sacrebleu.corpus_bleu(answers, streams).score / 100
    assert value("bleu", examples, answers) == pytest.approx(bleu)
    assert value("chrf", examples, answers) == pytest.approx(
        sacrebleu.corpus_chrf(answers, streams).score / 100
    )


def test_signatures():
    rows = records(written(["a b", "c"], ["a"]), ["a", "a"])
    assert "nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp|v" in metric("bleu").signature(rows)
    assert "nrefs:2|case:mixed|eff:no|tok:zh" in metric("bleu_zh").signature(rows[:1])
    assert "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|v" in metric("chrf").signature(rows[1:])
    assert metric("rouge_l").signature(rows) and not metric("accuracy").signature(rows)


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_a_resampled_corpus_is_scored_as_one(name):
    references = [f"line {i} has {i % 7} red foxes in it" for i in range(60)]
    answers = [r if i % 3 else r.replace("red", "grey") for i, r in enumerate(references)]
    examples = written(*[[r] for r in references])
    stats = metric(name).rows(records(examples, answers))
    chosen = [0, 0, 3, 7, 59]
    again = value(name, [examples[i] for i in chosen], [answers[i] for i in chosen])
    assert metric(name).reduce(stats[chosen]) == pytest.approx(again)
    low, high = bootstrap(metric(name), stats, n=200)
    assert 0.5 < low < metric(name).reduce(stats) < high < 1


# Numbers


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("so 3+4=7\n#### 7", 7), ("#### 1,234", 1234), ("#### $5.50.", 5.5),
        ("#### -7 dollars", -7), ("it is 12 apples", 12), ("12 - 5-3", 3), ("#### .5", 0.5),
        ("#### 18\n\nThat was 2 steps", 18), ("$1,234,567.00 in all", 1234567), ("50%", 50),
        ("1 and 2", 2), ("-$3", -3), ("\u22124", -4), ("１，２３４元", 1234), ("12.0", 12),
        ("none", None), ("", None), ("x ####", None),
    ],
)  # fmt: skip
def test_last_number(text, number):
    found = last_number(text)
    assert (None if found is None else float(found)) == number


def test_numeric_match():
    examples = written(["2 + 2 = 4\n#### 4"], ["#### 1,000"])
    assert value("numeric_em", examples, ["I think\n#### 4.0", "the answer is 1000 cents."]) == 1.0
    assert value("numeric_em", examples, [None, "#### 10"]) == 0.0
