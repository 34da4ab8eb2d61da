"""The page: well-formed, self-contained, inert, and readable whatever stands in the rows."""

import re
from xml.etree import ElementTree as ET

import pytest

from unify.evaluation import TaskResult
from unify.report import Report, report_page
from unify.report.bars import scale_for
from unify.report.curve import loss_chart, smoothed, thinned
from unify.report.numbers import duration, points, share
from unify.report.svg import log_ticks, ticks

NAN = float("nan")
HOSTILE = (
    "</pre></details><script>alert('x')</script><img src=x onerror=alert(1)>\"'&\x00\x1b{{ 7*7 }}"
)


def result(task="topics", value=0.634, low=0.61, high=0.66, type="TextClassification", **changes):
    given = {"baselines": {"majority": 0.4, "random": 0.25, "overlap": 0.471}, "examples": []}
    given.update(changes)
    return TaskResult(
        task=task, type=type, format="generate", metric="accuracy", value=value, low=low,
        high=high, rows=1200, seconds=1.0, **given,
    )


def example(right=True, prompt="a prompt", answer="yes", gold="yes"):
    return {"id": "t/test/0", "answer": answer, "gold": gold, "right": right, "prompt": prompt}


def full(**changes):
    given = {
        "title": "a run",
        "unseen": [
            result(examples=[example(), example(False, "مرحبا 世界 🗼", "no")]),
            result("rating", -0.3, -0.4, -0.1, "Regression", baselines={"random": -0.02}),
            result("empty", NAN, NAN, NAN, baselines={}),
        ],
        "seen": ["news"], "skipped": {"essay": "no span holds it"}, "seconds": 3700.0,
        "losses": [(i, 2 / (i + 1)) for i in range(50)], "validation": [(10, 0.4), (40, 0.2)],
        "mixture": [
            {"task": "news", "rate": 1.0, "fraction": 0.5, "rows": 12345, "mean_length": 41.25}
        ],
        "data_notes": [
            {"task": "news", "split": "train", "rows": 90, "cut_tokens": 1777,
             "skipped": {"rows": 3, "reasons": {"an empty text": 3}}, "unheld": {"too long": 5}},
            {"task": "rating", "notes": ["10% derived from the published train"]},
        ],
        "config": "seed: 0\n", "versions": {"torch": "2.9.1"}, "contact": ["topics: in its corpus"],
    }
    return Report(**{**given, **changes})


def tree(page):
    """The page as XML: it is written to be both."""
    assert page.startswith("<!DOCTYPE html>")
    return ET.fromstring(page.removeprefix("<!DOCTYPE html>"))


def words(element):
    return " ".join("".join(element.itertext()).split())


def table_rows(root, label):
    region = next(e for e in root.iter("div") if e.get("aria-label") == label)
    return [[words(cell) for cell in row] for row in region.iter("tr")]


def test_the_page_is_well_formed_and_its_results_are_these():
    root = tree(report_page(full()))
    rows = table_rows(root, "results table")
    assert rows[0] == [
        "task", "value", "95% interval", "majority", "random", "overlap", "margin", "rows",
        "metric", "type",
    ]
    assert rows[1] == [
        "topics", "63.4", "61.0 to 66.0", "40.0", "25.0", "47.1", "+16.3", "1,200", "accuracy",
        "TextClassification",
    ]
    assert rows[2][1:7] == ["−30.0", "−40.0 to −10.0", "–", "−2.0", "–", "−28.0"]
    assert rows[3][1:7] == ["–"] * 6
    headline = next(e for e in root.iter("dl") if e.get("class") == "headline")
    assert [words(e) for e in headline.iter("dd")] == ["16.7", "22.5", "−5.8"]


def test_nothing_is_fetched():
    page = report_page(full())
    assert not re.search(r"""(src|href|action|data)\s*=\s*["']?\s*(https?:)?//""", page, re.I)
    assert not re.search(r"@import|url\(|<link|<iframe|<img", page, re.I)
    assert all(a.get("href", "").startswith("#") for a in tree(page).iter("a"))
    for name in [a.get("href")[1:] for a in tree(page).iter("a")]:
        assert f'id="{name}"' in page


def test_hostile_text_is_inert_everywhere():
    report = Report(
        HOSTILE,
        [result(HOSTILE, type=HOSTILE, baselines={HOSTILE: 0.5},
                examples=[example(False, HOSTILE, HOSTILE, [HOSTILE])])],
        seen=[HOSTILE], skipped={HOSTILE: HOSTILE}, leaks=[{HOSTILE: HOSTILE}], contact=[HOSTILE],
        mixture=[{"task": HOSTILE, "rate": 1.0, "fraction": 1.0, "rows": 1, "mean_length": 1.0}],
        data_notes=[{"task": HOSTILE, "split": HOSTILE, "unheld": {HOSTILE: 1}}],
        config=HOSTILE, versions={HOSTILE: HOSTILE},
    )
    page = report_page(report)
    root = tree(page)
    assert page.count("<script>") == 1  # the page's own
    assert "<img" not in page and "\x00" not in page and "\x1b" not in page
    assert not [e for e in root.iter() for name in e.attrib if name.startswith("on")]
    prompt = next(root.iter("pre"))
    assert prompt.text == HOSTILE.replace("\x00", "\ufffd").replace("\x1b", "\ufffd")
    assert "{{ 7*7 }}" in page


def test_worked_examples_show_prompt_prediction_gold_and_whether_it_is_right():
    root = tree(report_page(full()))
    articles = list(root.iter("article"))
    assert [a.get("class") for a in articles] == ["example right", "example wrong"]
    assert [words(e) for e in articles[1].iter("pre")] == ["مرحبا 世界 🗼"]
    assert [words(e) for e in articles[1].iter("dd")] == ["no", "yes"]
    assert [e.get("dir") for e in articles[1].iter("dd")] == ["auto", "auto"]
    assert words(next(articles[1].iter("b"))) == "✗ wrong"
    assert not list(tree(report_page(full(), examples=0)).iter("article"))


def test_a_generated_text_that_differs_is_not_called_wrong():
    examples = [example(False, gold=["a", "b"])]
    report = Report("r", [result(type="TextGeneration", examples=examples)])
    article = next(tree(report_page(report)).iter("article"))
    assert words(next(article.iter("b"))) == "differs from gold"
    assert "wrong" not in words(article)


def test_what_was_left_out_and_why():
    root = tree(report_page(full()))
    assert table_rows(root, "skipped tasks")[1] == ["essay", "no span holds it"]
    rows = table_rows(root, "rows left out")
    assert rows[0] == ["task", "split", "rows", "skipped", "unheld", "cut tokens", "why"]
    assert rows[1][:6] == ["news", "train", "90", "3", "5", "1,777"]
    assert rows[1][6] == "skipped, 3 × an empty textunheld, 5 × too long"
    assert rows[2] == ["rating", "–", "–", "", "", "", "10% derived from the published train"]


def test_a_result_s_own_notes_stand_in_where_the_report_has_none():
    report = Report("r", [result(notes={"cut_tokens": 5, "skipped_rows": {"rows": 2}})])
    rows = table_rows(tree(report_page(report)), "rows left out")
    assert rows[1][:5] == ["topics", "–", "1,200", "2", "5"]


def test_leaks_and_contact_are_banners():
    leak = {"kind": "rows", "unseen": "topics", "seen": "news", "reason": "topics: rows in news"}
    page = words(tree(report_page(full(leaks=[leak], allowed_leaks=True))))
    assert "Not zero-shot: 1 leak between seen and unseen tasks." in page
    assert "topics: rows in news" in page
    assert "Known pre-training contact." in page and "topics: in its corpus" in page
    assert "zero-shot" not in words(tree(report_page(full(contact=[]))).find("body/main"))


@pytest.mark.parametrize("report", [
    Report("nothing"), Report("one", [result()]), Report("lone loss", losses=[(1, 0.5)]),
    Report("flat", losses=[(1, 0.5), (2, 0.5)]), Report("no number", losses=[(1, NAN)]),
    Report("below zero", losses=[(1, -3.0), (9, -8.0)]),
    Report("one step twice", losses=[(5, 1.0)], validation=[(5, 2.0)]),
    Report("bare mixture", mixture=[{"task": "x"}]),
    Report("no value", [result(value=None, low=None, high=None, baselines={"majority": None})]),
    Report("sixty", [result(f"t{i}", i / 60, 0, 1) for i in range(60)]),
    Report("formats", [result(), TaskResult("b", "T", "entail", "f1", 2.5, 2, 3, 1, {}, 0.0)]),
], ids=lambda r: r.title)
def test_every_shape_of_report_makes_a_page(report):
    shown = words(tree(report_page(report)).find("body/main"))
    assert "None" not in shown and "nan" not in shown


def bar_of(root, task):
    svg = next(e for e in root.iter("svg") if (e.get("aria-label") or "").startswith(task))
    return svg, next(e for e in svg.iter("rect") if e.get("class") == "bar")


def test_bars_begin_at_zero_and_whiskers_end_at_the_interval():
    svg, bar = bar_of(tree(report_page(Report("r", [result()]))), "topics")
    assert (bar.get("x"), bar.get("width")) == ("0%", "63.4%")
    whisker = next(e for e in svg.iter("line") if e.get("class") == "whisker")
    assert (whisker.get("x1"), whisker.get("x2")) == ("61%", "66%")
    assert next(e for e in svg.iter("circle")).get("cx") == "25%"  # random


def test_a_negative_bar_points_left():
    report = Report("r", [result("rating", -0.5, -0.6, -0.4, baselines={})])
    _, bar = bar_of(tree(report_page(report)), "rating")
    scale = scale_for([-0.6])
    assert (scale.low, scale.high) == (-100.0, 100.0)
    zero = scale.at(0)
    assert float(bar.get("x")[:-1]) + float(bar.get("width")[:-1]) == pytest.approx(zero, abs=0.01)


def test_the_loss_chart_says_where_it_began_and_ended():
    chart = ET.fromstring(loss_chart([(i, 3.0 - i / 50) for i in range(101)], [(100, 1.25)]))
    assert chart.get("aria-label").endswith("Validation: 1.25 to 1.25.")
    assert {"training", "1.01", "validation", "1.25"} <= {e.text for e in chart.iter("tspan")}
    assert {"line k0", "line under k0"} <= {e.get("class") for e in chart.iter("polyline")}


def test_thinning_keeps_every_spike():
    series = [(float(i), 1.0) for i in range(100_000)]
    series[77_777] = (77_777.0, 9.0)
    thin = thinned(series, bins=100)
    assert len(thin) <= 200 and (77_777.0, 9.0) in thin
    assert thin == sorted(thin)


def test_smoothing_keeps_lines_straight():
    line = [(float(i), 2.0 * i) for i in range(100)]
    assert smoothed(line, 10)[50] == (50.0, 100.0)
    assert smoothed(line, 1) == line


def test_ticks_are_round():
    assert ticks(0, 100) == [0, 20, 40, 60, 80, 100]
    assert ticks(-25, 100) == [-25, 0, 25, 50, 75, 100]
    assert ticks(0, 0.7) == [0, 0.2, 0.4, 0.6]
    assert log_ticks(0.04, 6) == [0.05, 0.1, 0.2, 0.5, 1, 2, 5]


def test_numbers_read_as_people_write_them():
    assert [points(v) for v in (0.6343, -0.0001, 1)] == ["63.4", "0.0", "100.0"]
    assert [points(v) for v in (None, NAN, "0.5")] == ["–", "–", "–"]
    assert [points(v, True) for v in (0.1, -0.1, 0.0)] == ["+10.0", "-10.0", "0.0"]
    assert [duration(v) for v in (8.44, 59.97, 200, 7500)] == [
        "8.4 s", "1 min 00 s", "3 min 20 s", "2 h 05 min"
    ]
    assert [share(v) for v in (0.123, 0.0042, 0, None)] == ["12.3%", "0.42%", "0.0%", "–"]
