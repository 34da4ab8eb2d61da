"""Reports: one run in full, several runs side by side, on the terminal, as JSON and as a page."""

from .comparison import Cell, Comparison, Run
from .data import Report, as_json, best_baseline, macro, margin, write_json
from .files import read_json, write, write_comparison
from .html import comparison_page, report_page, write_comparison_html, write_html
from .tables import comparison_table, macro_line, render, results_table, show, skipped_lines

__all__ = [
    "Cell",
    "Comparison",
    "Report",
    "Run",
    "as_json",
    "best_baseline",
    "comparison_page",
    "comparison_table",
    "macro",
    "macro_line",
    "margin",
    "read_json",
    "render",
    "report_page",
    "results_table",
    "show",
    "skipped_lines",
    "write",
    "write_comparison",
    "write_comparison_html",
    "write_html",
    "write_json",
]
