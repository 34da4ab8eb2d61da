"""The page's panels: reliability, confusions, worst rows, tasks by setting."""

from __future__ import annotations

from collections import Counter
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from unify.diagnosis import calibration, confusion
from unify.evaluation import TaskResult
from unify.report import Report, as_json, read_json, report_page, write
from unify.report.panels import confusion as confusion_view
from unify.report.panels import heat, reliability

HOSTILE = "</table><script>alert(1)</script>\"'&\x00{{ 7*7 }}"


def result(task: str = "topics", setting: str = "", value: float = 0.5, **notes: Any) -> TaskResult:
    name = f"{task}, {setting}" if setting else task
    return TaskResult(name, "TextClassification", "generate", "accuracy", value, 0.4, 0.6, 4,
                      {"majority": 0.4}, 1.0, notes, [], setting)


def noted(label: str = "glad") -> dict[str, Any]:
    pairs: Counter[tuple[str, str | None]] = Counter({(label, label): 3, ("sad", label): 1})
    worst = {"id": f"{label}/test/7", "answer": label, "gold": "sad", "right": False,
             "confidence": 0.93, "prompt": label}
    return {
        "calibration": calibration([0.45, 0.46, 0.9, 0.9], [True, False, True, True]),
        "confusion": confusion(pairs), "worst": [worst],
        "also": {"macro_f1": 0.25, label: -0.1}, "signatures": {"bleu": f"tok:13a {label}"},
    }


def page(*results: TaskResult, examples: int = 10) -> ET.Element:
    text = report_page(Report("a run", results), examples)
    return ET.fromstring(text.removeprefix("<!DOCTYPE html>"))


def words(element: ET.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def table(root: ET.Element, label: str) -> list[list[str]]:
    region = next(e for e in root.iter("div") if e.get("aria-label") == label)
    return [[words(cell) for cell in row] for row in region.iter("tr")]


def test_bars_and_dots_of_the_reliability_plot_stand_where_the_numbers_say() -> None:
    root = ET.fromstring(reliability(noted()["calibration"]))
    bars = [e for e in root.iter("rect") if e.get("class") == "bar"]
    # 220 pixels are 100%; the plot begins at x 40 and its floor is at y 230.
    assert [(b.get("height"), b.get("y")) for b in bars] == [("110.0", "120.0"), ("220.0", "10.0")]
    assert float(bars[0].get("x", "")) == pytest.approx(40 + 220 * 6 / 15 + 1, abs=0.02)
    dots = [(e.get("cx"), e.get("cy")) for e in root.iter("circle")]
    assert dots == [("140.1", "120.0"), ("238.0", "10.0")]
    strips = [e.get("height") for e in root.iter("rect") if e.get("class") == "bar soft"]
    assert strips == ["36.0", "36.0"]  # two rows each
    assert "ECE 7.2 points over 4 rows" in root.get("aria-label", "")


def test_a_task_in_detail() -> None:
    root = page(result(**noted()))
    details = next(e for e in root.iter("details") if e.get("class") == "panel")
    assert details.get("open") is None  # folded until asked for
    summary = words(next(details.iter("summary")))
    assert summary == "topicsECE 7.2, macro_f1 25.0, glad −10.0"
    assert table(details, "confusion matrix") == [
        ["gold", "glad", "sad", "rows"], ["glad", "3", "", "3"], ["sad", "1", "", "1"],
    ]
    shares = [e.get("style") for e in details.iter("td") if "cell" in (e.get("class") or "")]
    assert shares == ["--share:1.0", "--share:0.0", "--share:1.0", "--share:0.0"]
    article = next(details.iter("article"))
    assert "93.0% sure" in words(article) and "glad/test/7" in words(article)
    assert "tok:13a" in words(details)


def test_only_named_labels_are_marked_as_right() -> None:
    pairs: Counter[tuple[str, str | None]] = Counter((f"l{i}", f"l{i}") for i in range(20))
    shown = confusion_view(confusion(pairs, most=3))
    same = [[c["same"] for c in row["cells"]] for row in shown["rows"]]
    assert same == [[i == j < 3 for j in range(4)] for i in range(4)]
    assert shown["others"] == 17


def test_a_task_without_any_of_it_has_no_panel() -> None:
    root = page(result(), result("other", **noted()))
    panels = [e for e in root.iter("details") if e.get("class") == "panel"]
    assert [words(next(p.iter("summary")))[:5] for p in panels] == ["other"]
    assert not [e for e in page(result()).iter() if e.get("id") == "details"]
    assert not list(page(result(**noted()), examples=0).iter("article"))


def test_hostile_labels_are_inert() -> None:
    text = report_page(Report("r", [result(HOSTILE, HOSTILE, **noted(HOSTILE)),
                                    result(HOSTILE, "4-shot", **noted(HOSTILE))]))
    assert text.count("<script>") == 1 and "\x00" not in text
    ET.fromstring(text.removeprefix("<!DOCTYPE html>"))


def test_tasks_by_setting() -> None:
    results = [result("a", "0-shot", 0.2), result("b", "0-shot", 0.5), result("a", "4-shot", 0.3),
               result("a", "16-shot", 0.25), result("b", "16-shot", float("nan"))]
    assert table(page(*results), "tasks by setting") == [
        ["task", "0-shot", "4-shot", "16-shot", "metric"],
        ["a", "20.0", "30.0", "25.0", "accuracy"],
        ["b", "50.0", "–", "–", "accuracy"],
    ]
    found = heat(results)
    assert found is not None
    assert [c["best"] for c in found["rows"][0]["cells"]] == [False, True, False]
    assert [c["share"] for c in found["rows"][1]["cells"]] == [0.5, 0, 0]
    assert heat(results[:2]) is None and heat([result(), result("b")]) is None


def test_what_the_panels_show_reads_back_from_the_json(tmp_path: Any) -> None:
    report = Report("r", [result(**noted())])
    write(report, tmp_path / "r")
    back = read_json(tmp_path / "r" / "report.json")
    assert as_json(back) == as_json(report)
    assert report_page(back).count('class="panel"') == 1
