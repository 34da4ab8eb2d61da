"""The number at the end of a worked solution (GSM8K, Cobbe et al. 2021)."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal

from formats.examples import Answer, Example

from ._base import Mean

# A minus after a digit or letter is a hyphen or a subtraction, not a sign.
_NUMBER = re.compile(r"(?:(?<![\w.])-)?\$?(?:\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)")


def last_number(text: str) -> Decimal | None:
    """The first number after the last ``####``; without the mark, the last number of the text.

    Thousands commas, a dollar or percent sign, and units or a full stop after the number do not
    matter, nor the script and width of digits. Words, fractions and powers of ten are not read.
    """
    plain = unicodedata.normalize("NFKC", text).replace("\u2212", "-")
    _, marked, tail = plain.rpartition("####")
    found = _NUMBER.findall(tail if marked else plain)
    if not found:
        return None
    chosen = found[0] if marked else found[-1]
    return Decimal(chosen.replace(",", "").replace("$", ""))


@dataclass(frozen=True)
class NumericMatch(Mean):
    """The share of texts whose number equals that of a reference, as numbers (2.0 equals 2)."""

    def score(self, example: Example, answer: Answer) -> float:
        given = last_number(answer) if isinstance(answer, str) else None
        if given is None:
            return 0.0
        return float(given in {last_number(r) for r in example.gold or ()})  # type: ignore[union-attr,arg-type]
