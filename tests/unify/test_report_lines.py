"""Pictures of lines: every line in every panel, where its numbers say, in one look."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from unify.report.lines import Level, Line, Panel, chart, means, picture

SVG = "{http://www.w3.org/2000/svg}"


def points(line: ET.Element) -> list[float]:
    return [float(v) for v in line.get("points", "").replace(",", " ").split()]


def test_every_line_stands_in_every_panel_in_its_own_look() -> None:
    panels = [
        Panel([Line("a", [(1, 0.0), (2, 1.0)]), Line("b <", [(1, 0.5), (2, 0.25)])], title="up"),
        Panel([Line("b <", [(1, 3.0), (2, 9.0)])], title="down", x="step"),
    ]
    root = ET.fromstring(picture(panels, "what & why"))
    drawn = [line.get("class") for line in root.iter(f"{SVG}polyline")]
    assert drawn == ["line k0", "line k1", "line k1"]
    assert {"up", "down", "step", "a", "b <"} <= {e.text for e in root.iter(f"{SVG}text")}
    first, second, _ = (points(line) for line in root.iter(f"{SVG}polyline"))
    assert first == [0.0, 1000.0, 1000.0, 0.0] and second == [0.0, 500.0, 1000.0, 750.0]
    assert root.get("aria-label") == "what & why"


def test_a_lone_panel_names_its_lines_at_their_ends() -> None:
    panel = Panel(
        [Line("mine", [(1, 0.4), (10, 0.7), (10, 0.9)], [(0.3, 0.5), (0.6, 0.8), (0.8, 1.0)],
              marks=True)],
        [Level("theirs", 0.5, (0.45, 0.55))], log_x=True, x="rows",
    )  # fmt: skip
    root = ET.fromstring(picture([panel], "said"))
    assert {"mine", "0.8", "theirs", "0.5"} <= {e.text for e in root.iter(f"{SVG}tspan")}
    across = [e.get("cx") for e in root.iter(f"{SVG}circle")]
    assert across[1] == across[2] != across[0] and len(across) == 3
    aside = [e.get("transform") for e in root.iter(f"{SVG}g")]
    assert aside == ["translate(0 0)", "translate(-3.5 0)", "translate(3.5 0)"]
    spans = [e for e in root.iter(f"{SVG}line") if e.get("class") == "span"]
    assert len(spans) == 3 and spans[0].get("y1") != spans[0].get("y2")
    ticks = [e.text for e in root.iter(f"{SVG}text") if e.get("text-anchor") == "middle"]
    assert ticks == ["1", "10", "rows"]


def test_a_line_of_one_point_is_a_mark() -> None:
    root = ET.fromstring(chart(Panel([Line("one", [(3, 2.0)])]), "one"))
    assert len(list(root.iter("circle"))) == 1 and not list(root.iter("polyline"))


def test_means_by_hand() -> None:
    assert means([(2, 1.0), (1, 4.0), (2, 3.0)]) == [(1, 4.0), (2, 2.0)]
