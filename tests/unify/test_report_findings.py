"""Pages of runs that score no tasks: their tables, their figure, and nothing that acts."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from unify.report.findings import Findings, Table, write_findings
from unify.report.lines import Line, Panel, picture

HOSTILE = "</td><script>alert(1)</script>{{ 7*7 }}\x00"


def words(element: ET.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def test_the_page_shows_every_table_and_the_figure(tmp_path: Path) -> None:
    rows = [{"arm": "a", "share": 0.5}, {"arm": HOSTILE, "tokens": 7}]
    figure = picture([Panel([Line("a", [(1, 0.0), (2, 1.0)])], title="up")], "up")
    tables = [Table("Results", rows, "What they mean."), Table("None", []), Table("More", rows)]
    write_findings(Findings("a run", tables, figure, "By step.", 61.0, "seed: 0\n"), tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    root = ET.fromstring(page.removeprefix("<!DOCTYPE html>"))
    assert [words(e) for e in root.iter("h2")] == ["Results", "Figure", "More", "Configuration"]
    region = next(e for e in root.iter("div") if e.get("aria-label") == "Results")
    shown = [[words(cell) for cell in row] for row in region.iter("tr")]
    assert shown[0] == ["arm", "share", "tokens"] and shown[1] == ["a", "0.500", ""]
    assert shown[2][1:] == ["", "7"] and "{{ 7*7 }}" in shown[2][0]
    assert page.count("<script>") == 1 and "\x00" not in page  # the page's own
    assert len(list(root.iter("{http://www.w3.org/2000/svg}polyline"))) == 1
    assert "Took 1 min 01 s." in words(root)
