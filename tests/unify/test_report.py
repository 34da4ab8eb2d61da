"""One run's report: its JSON, its table, its files. What must hold is written out literally."""

import json

import pytest

from formats.errors import RunError
from unify.evaluation import TaskResult, summary
from unify.report import (
    Report,
    as_json,
    macro,
    macro_line,
    margin,
    read_json,
    render,
    results_table,
    show,
    skipped_lines,
    write,
    write_json,
)

NAN = float("nan")


def result(task="topics", value=0.634, low=0.61, high=0.66, **changes):
    given = {
        "type": "TextClassification", "format": "generate", "metric": "accuracy", "rows": 1200,
        "baselines": {"majority": 0.4, "random": 0.25, "overlap": 0.471}, "seconds": 1.234,
    }
    given.update(changes)
    return TaskResult(task=task, value=value, low=low, high=high, **given)


def rating(**changes):
    return result(
        "rating", -0.12, -0.2, -0.04, type="Regression", metric="spearman", rows=90,
        baselines={"majority": 0.0, "random": -0.05}, **changes,
    )


def test_the_json_is_exactly_this():
    example = {"id": "topics/test/0", "answer": "a", "gold": "b", "right": False, "prompt": "p"}
    report = Report(
        "a run", [result(examples=[example], notes={"cut_tokens": 3})], ["news"],
        {"essay": "no span"}, 12.5, losses=[(1, 2.0), (2, NAN)], validation=[(2, 1.5)],
        mixture=[{"task": "news", "rate": 1.0, "fraction": 1.0, "rows": 7, "mean_length": 4.5}],
        leaks=[{"unseen": "topics", "seen": "news"}], allowed_leaks=True,
        data_notes=[{"task": "news", "split": "train", "skipped": 2}], config="a: 1\n",
        versions={"torch": "2.9"},
    )
    entry = {
        "type": "TextClassification", "format": "generate", "metric": "accuracy", "value": 0.634,
        "low": 0.61, "high": 0.66, "rows": 1200,
        "baselines": {"majority": 0.4, "random": 0.25, "overlap": 0.471}, "seconds": 1.23,
        "cut_tokens": 3,
    }
    assert as_json(report) == {
        "unseen": {"topics": {**entry, "examples": [example]}},
        "macro": {"value": 0.634, "best_baseline": 0.471, "micro": 0.634, "rows": 1200,
                  "clusters": {}},
        "held_out": {},
        "macro_held_out": {"value": None, "best_baseline": None, "micro": None, "rows": 0,
                           "clusters": {}},
        "seen": ["news"],
        "skipped": {"essay": "no span"},
        "seconds": 12.5,
        "losses": [[1, 2.0], [2, None]],
        "validation": [[2, 1.5]],
        "mixture": [{"task": "news", "rate": 1.0, "fraction": 1.0, "rows": 7, "mean_length": 4.5}],
        "leaks": [{"unseen": "topics", "seen": "news"}],
        "allowed_leaks": True,
        "contact": [],
        "data_notes": [{"task": "news", "split": "train", "skipped": 2}],
        "versions": {"torch": "2.9"},
        "config": "a: 1\n",
    }
    assert as_json(report, examples=False)["unseen"]["topics"] == entry


def test_json_never_holds_nan_nor_foreign_types(tmp_path):
    import numpy as np

    report = Report(
        "r", [result(value=NAN, low=NAN, high=float("inf"), baselines={"majority": NAN})],
        mixture=[{"rows": np.int64(3), "rate": np.float32("nan"), "x": np.array([1.0, np.nan])}],
        data_notes=[{"where": tmp_path, "names": frozenset({"b", "a"}), "pair": (1, None, True)}],
    )
    path = tmp_path / "deep" / "report.json"
    write_json(report, path)

    def refuse(name):
        raise AssertionError(name)

    found = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    entry = found["unseen"]["topics"]
    assert (entry["value"], entry["high"], entry["baselines"]) == (None, None, {"majority": None})
    assert found["macro"] == {"value": None, "best_baseline": None, "micro": None, "rows": 0,
                              "clusters": {}}  # fmt: skip
    assert found["mixture"] == [{"rows": 3, "rate": None, "x": [1.0, None]}]
    assert found["data_notes"][0]["names"] == ["a", "b"]
    assert found["data_notes"][0]["pair"] == [1, None, True]


def test_half_an_emoji_in_a_row_does_not_break_the_file(tmp_path):
    example = {"id": "x/0", "answer": "\ud83d", "gold": "é", "right": False, "prompt": "\ud83d"}
    write(Report("r", [result(examples=[example])]), tmp_path)
    found = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert found["unseen"]["topics"]["examples"][0]["gold"] == "é"
    assert "\ufffd" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_written_report_reads_back_the_same(tmp_path):
    report = Report("r", [result(), rating(notes={"unheld": {"why": 2}})], ["news"], seconds=3.0)
    write(report, tmp_path / "run7")
    back = read_json(tmp_path / "run7" / "report.json")
    assert back.title == "run7"
    assert as_json(back) == as_json(report)
    assert back.unseen[1].notes == {"unheld": {"why": 2}}


def test_examples_of_zero_write_none(tmp_path):
    write(Report("r", [result(examples=[{"id": "secret/0"}])]), tmp_path, examples=0)
    for name in ("report.json", "report.html"):
        assert "secret" not in (tmp_path / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"unseen": {"t": {}}}', None])
def test_what_is_no_report_is_refused_with_its_place(tmp_path, text):
    path = tmp_path / "report.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RunError, match=r"report\.json"):
        read_json(path)


def test_macro_agrees_with_the_evaluation():
    results = [result(), rating()]
    assert macro(results) == pytest.approx(summary(results))
    assert macro([]) == summary([])


def test_macro_leaves_out_tasks_without_a_value_and_never_half_a_baseline():
    assert macro([result(), rating(), result("nan", NAN)])["value"] == pytest.approx(0.257)
    assert macro([result(), result("bare", 0.5, baselines={})])["best_baseline"] is None
    assert margin(result("bare", 0.5, baselines={})) is None


def test_the_table_shows_points_and_the_margin_over_the_best_baseline():
    lines = render(results_table(Report("r", [result(), rating()]))).splitlines()
    assert lines[0].split() == [
        "task", "type", "metric", "value", "±95%", "rows", "majority", "random", "overlap",
        "margin",
    ]
    assert lines[2].split() == [
        "topics", "TextClassification", "accuracy", "63.4", "±2.5", "1,200", "40.0", "25.0",
        "47.1", "+16.3",
    ]
    assert lines[3].split() == [
        "rating", "Regression", "spearman", "-12.0", "±8.0", "90", "0.0", "-5.0", "–", "-12.0",
    ]


def test_a_piped_table_is_plain_and_whole(capsys):
    long = "a_name_" * 6
    show(Report("[bold]title[/bold]", [result(long), result("[red]x[/red]")]))
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert long in printed  # not squeezed
    assert "[bold]title[/bold]" in printed and "[red]x[/red]" in printed  # names are no markup
    assert len(max(printed.splitlines(), key=len)) > 100


def test_the_headline_and_what_was_skipped():
    report = Report("r", [result(), result("nan", NAN)], skipped={"essay": "no span\n  at all"})
    assert macro_line(report) == (
        "Macro average over 1 unseen task: 63.4 (best baseline per task 47.1, margin +16.3)"
        "; 1 task without a value left out"
    )
    assert render(skipped_lines(report)) == "Skipped: 1 task\n  essay: no span at all\n"
    assert macro_line(Report("r")) == (
        "Nothing was evaluated: no unseen task has a result. suite.held_out=true scores seen tasks "
        "on rows that training leaves out."
    )
    none = "Nothing was evaluated: no unseen task has a result."
    assert macro_line(Report("r", kind="evaluate")) == none
    assert macro_line(Report("r", kind="reason")) == "Nothing was evaluated: no task has a result."


def test_rows_that_were_left_out_are_said_on_the_terminal(capsys):
    skipped = {"rows": 3, "reasons": {"text is empty": 2, "unknown label": 1}}
    note = {"task": "topics", "split": "train", "rows": 9, "skipped": skipped}
    show(Report("r", [result()], data_notes=[note, {"task": "other"}]))
    shown = capsys.readouterr().out
    said = "Left out: 3 rows of topics, train: 2 × text is empty; 1 × unknown label\n"
    assert said in shown and shown.count("Left out") == 1


def test_allowed_leaks_are_said_on_the_terminal(capsys):
    show(Report("r", [result()], leaks=[{"unseen": "topics"}], allowed_leaks=True))
    assert "not zero-shot" in capsys.readouterr().out


def test_averages_over_rows_and_clusters():
    results = [
        result("a", 0.5, rows=100, cluster="sea"), result("b", 0.7, rows=300, cluster="sea"),
        result("c", 0.9, rows=100, cluster="court"), result("d", NAN, rows=50, cluster="court"),
    ]
    found = as_json(Report("a run", results))["macro"]
    assert found["value"] == pytest.approx(0.7)
    assert (found["micro"], found["rows"]) == (pytest.approx(0.7), 500)
    assert found["clusters"] == {"court": 0.9, "sea": pytest.approx(0.6)}
    assert macro_line(Report("a run", results)).splitlines()[1:] == [
        "Micro average over 500 rows: 70.0", "By cluster: court 90.0, sea 60.0",
    ]  # fmt: skip
    assert macro_line(Report("a run", results[:1])).count("\n") == 0
