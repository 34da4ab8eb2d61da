"""Small pieces of SVG: elements as a tree (so that every text is escaped), and axes.

Positions along x are percentages and sizes are pixels: a chart fills any width, while its text
and strokes keep their size.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from markupsafe import Markup

# What neither XML nor HTML can hold: control signs, half surrogates, two non-characters.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    """``text`` with the characters that no page may hold replaced by U+FFFD."""
    return _UNPRINTABLE.sub("\ufffd", text)


def add(parent: ET.Element, tag: str, text: str | None = None, **attributes: object) -> ET.Element:
    """A child of ``parent``. ``cls`` is its class; underscores in names become hyphens."""
    child = ET.SubElement(parent, tag, _named(attributes))
    child.text = None if text is None else printable(text)
    return child


def _named(attributes: dict[str, object]) -> dict[str, str]:
    names = {"cls": "class", "view_box": "viewBox", "preserve_aspect_ratio": "preserveAspectRatio"}
    return {names.get(k, k.replace("_", "-")): printable(str(v)) for k, v in attributes.items()}


def canvas(height: float, label: str, cls: str) -> ET.Element:
    """An ``svg`` as wide as its place, ``height`` pixels high, with a name for screen readers."""
    root = ET.Element(
        "svg",
        {
            "width": "100%",
            "height": f"{height:g}",
            "class": cls,
            "role": "img",
            "aria-label": printable(label),
        },
    )
    add(root, "title", label)
    return root


def markup(root: ET.Element) -> Markup:
    """The tree as text that a template need not escape again."""
    return Markup(ET.tostring(root, encoding="unicode"))


@dataclass(frozen=True)
class Scale:
    """Maps values in ``low..high`` to 0..100 percent, evenly or by their logarithm."""

    low: float
    high: float
    log: bool = False

    def at(self, value: float) -> float:
        """The place of ``value`` in percent; values outside stand at the edge."""
        low, high = self.low, self.high
        value = min(max(value, low), high)
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return 0.0 if high <= low else round(100 * (value - low) / (high - low), 3)

    def percent(self, value: float) -> str:
        return f"{self.at(value):g}%"


def step_of(span: float, most: int) -> float:
    """The smallest of 1, 2, 2.5 or 5 times a power of ten that cuts ``span`` in ``most`` parts."""
    if span <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(span / most))
    for factor in (1, 2, 2.5, 5, 10):
        if span / (factor * power) <= most + 1e-9:
            return factor * power
    return 10 * power


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers inside ``low..high``, ``most + 1`` of them at most."""
    step = step_of(high - low, most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) + 0.0 for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten inside ``low..high``; powers alone if that is plenty."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1,)):
        found = [f * 10.0**p for p in powers for f in factors if low <= f * 10.0**p <= high]
        if len(found) <= 8:
            return found
    return found[:: math.ceil(len(found) / 8)]


def outward(low: float, high: float, most: int = 5) -> tuple[float, float]:
    """``low..high`` widened to the next round numbers."""
    step = step_of(high - low, most)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
