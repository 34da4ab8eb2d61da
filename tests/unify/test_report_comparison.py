"""Runs side by side: averages compare only over the tasks that all of them support."""

from xml.etree import ElementTree as ET

import pytest

from unify.evaluation import TaskResult
from unify.report import Comparison, Report, comparison_page, render, show, write_comparison
from unify.report.tables import comparison_table


def result(task, value, format, rows=100, best=0.3):
    return TaskResult(
        task, "TextClassification", format, "accuracy", value, value - 0.02, value + 0.02, rows,
        {"majority": best, "random": 0.1}, 1.0,
    )


@pytest.fixture
def comparison():
    reports = {
        "generate": Report("g", [
            result("topics", 0.6, "generate"), result("mood", 0.5, "generate", best=0.4),
            result("essay", 0.95, "generate", best=0.9),
        ], seconds=65.0),
        "entail": Report("e", [
            result("topics", 0.7, "entail"), result("mood", 0.8, "entail", best=0.4),
        ], skipped={"essay": "entail cannot write <b>texts</b>"}, seconds=9.0),
    }
    return Comparison.of("formats", reports)


def test_macro_is_over_the_shared_tasks_only(comparison):
    generate, entail = comparison.runs
    assert comparison.tasks() == ["topics", "mood", "essay"]
    assert comparison.shared() == ["topics", "mood"]
    assert comparison.macro(generate) == pytest.approx(0.55)
    assert comparison.macro(entail) == pytest.approx(0.75)
    assert comparison.own_macro(generate) == pytest.approx((0.6 + 0.5 + 0.95) / 3)
    assert comparison.own_macro(entail) == pytest.approx(0.75)
    assert comparison.baseline_macro() == pytest.approx(0.35)


def test_a_value_that_is_no_number_is_not_supported():
    runs = {"a": [result("t", float("nan"), "x")], "b": [result("t", 1, "y")]}
    compared = Comparison.of("c", {label: Report(label, r) for label, r in runs.items()})
    assert compared.shared() == []
    assert [compared.macro(r) for r in compared.runs] == [None, None]
    assert compared.as_json()["tasks"]["t"]["runs"]["a"] == {
        "refused": "the metric has no value on these rows"
    }


def test_the_json_is_exactly_this(comparison):
    found = comparison.as_json()
    assert list(found) == ["title", "tasks", "shared", "best_baseline", "runs"]
    assert found["tasks"]["essay"] == {
        "type": "TextClassification", "metric": "accuracy", "best_baseline": 0.9,
        "runs": {
            "generate": {"value": 0.95, "low": 0.95 - 0.02, "high": 0.95 + 0.02},
            "entail": {"refused": "entail cannot write <b>texts</b>"},
        },
    }
    assert found["runs"]["entail"] == {
        "macro": 0.75, "own_macro": 0.75, "own_tasks": 2, "seconds": 9.0
    }


def test_the_table_names_the_best_run_and_keeps_the_averages_apart(comparison):
    lines = [line.split() for line in render(comparison_table(comparison)).splitlines()]
    assert ["topics", "accuracy", "60.0", "±2.0", "70.0", "±2.0", "*", "30.0"] in lines
    assert ["essay", "accuracy", "95.0", "±2.0", "refused", "90.0"] in lines
    assert ["macro,", "2", "shared", "tasks", "55.0", "75.0", "35.0"] in lines
    assert ["macro,", "own", "tasks", "68.3", "of", "3", "75.0", "of", "2"] in lines


def test_the_terminal_says_why_and_how_long(comparison, capsys):
    show(comparison)
    printed = capsys.readouterr().out
    assert "essay as entail: entail cannot write <b>texts</b>" in printed
    assert "Took: generate 1 min 05 s; entail 9.0 s." in printed
    assert "\x1b" not in printed and "different rows" not in printed


def test_runs_on_other_rows_are_flagged(capsys):
    runs = {
        "a": Report("a", [result("t", 0.5, "x", rows=10)]),
        "b": Report("b", [result("t", 0.5, "x", rows=9)]),
    }
    compared = Comparison.of("c", runs)
    assert compared.uneven("t")
    show(compared)
    assert "Measured on different rows or metrics: t" in capsys.readouterr().out
    assert "Their values do not compare." in comparison_page(compared)


def test_the_page_is_well_formed_and_complete(comparison, tmp_path):
    write_comparison(comparison, tmp_path)
    assert (tmp_path / "comparison.json").exists()
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    root = ET.fromstring(page.removeprefix("<!DOCTYPE html>"))
    assert "<b>texts</b>" not in page
    text = " ".join("".join(root.itertext()).split())
    assert "Macro averages in points over the 2 tasks that both runs support." in text
    assert "entail cannot write <b>texts</b>" in text
    headline = next(e for e in root.iter("dl"))
    assert [e.text for e in headline.iter("dd")] == ["55.0", "75.0", "35.0"]
    bars = [e.get("aria-label") or "" for e in root.iter("svg") if e.get("class") == "row"]
    assert [b.partition(":")[0] for b in bars] == [
        "topics, generate", "topics, entail", "mood, generate", "mood, entail", "essay, generate",
    ]


@pytest.mark.parametrize("reports", [
    {}, {"a": Report("a")}, {"a": Report("a", skipped={"t": "no"}), "b": Report("b")},
    {f"lr={i}": Report("x", [result("t", i / 20, "f")]) for i in range(12)},
])
def test_every_shape_makes_a_page_and_a_table(reports):
    compared = Comparison.of("c", reports)
    ET.fromstring(comparison_page(compared).removeprefix("<!DOCTYPE html>"))
    show(compared)
