"""Pages in one file each: no network, no library, and nothing in a row can act."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from . import numbers
from .comparison import Comparison
from .data import Report
from .svg import printable
from .view import comparison_view, report_view


def _final(value: Any) -> Any:
    """Replaces what no page can hold in every text that a template prints."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _minus(text: str) -> str:
    return text.replace("-", "\u2212")


def _points(value: Any, sign: bool = False) -> str:
    return _minus(numbers.points(value, sign))


def _interval(low: Any, high: Any) -> str:
    return _minus(numbers.interval(low, high))


def _tenths(value: Any) -> str:
    number = numbers.finite(value)
    return numbers.NONE if number is None else f"{number:,.1f}"


def _key(value: Any) -> str:
    """A number that scripts can sort by; empty where there is none."""
    number = numbers.finite(value)
    return "" if number is None else repr(number)


def _breaks(name: str) -> Markup:
    """A name that may be broken after its joints, and is copied without them."""
    return Markup(re.sub(r"([_/.\-])", r"\1<wbr />", str(escape(printable(name)))))


@cache
def environment() -> Environment:
    """The templates beside this file, with escaping on."""
    env = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_final,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    env.filters.update(
        points=_points,
        breaks=_breaks,
        interval=_interval,
        key=_key,
        tenths=_tenths,
        count=numbers.count,
        share=numbers.share,
        duration=numbers.duration,
        plural=numbers.plural,
    )
    return env


def report_page(report: Report, examples: int = 10) -> str:
    """The report as one page, with up to ``examples`` worked examples per task."""
    view = report_view(report, examples)
    return environment().get_template("report.html").render(view)


def comparison_page(comparison: Comparison) -> str:
    """The comparison as one page."""
    return environment().get_template("comparison.html").render(comparison_view(comparison))


def _save(page: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def write_html(report: Report, path: Path, examples: int = 10) -> None:
    """Writes :func:`report_page` to ``path``."""
    _save(report_page(report, examples), path)


def write_comparison_html(comparison: Comparison, path: Path) -> None:
    """Writes :func:`comparison_page` to ``path``."""
    _save(comparison_page(comparison), path)
