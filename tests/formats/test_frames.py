"""Texts rendered once around a field are those rendered for each of its values."""

from __future__ import annotations

import pytest

from formats.errors import TemplateError
from formats.frames import around
from formats.templates import Template, fields_of

FIELDS = fields_of({"candidate": "?", "type": "?", "options": ("a", "?"), "text_b": None})
VALUES = ["Ann", "?", "a {{ b }}", "\\1", "我", " "]


@pytest.mark.parametrize(
    ("source", "once"),
    [
        ("{{ type }}: {{ candidate }}", True),
        ("{{ candidate }} is a {{ type }}, {{ candidate }}!", True),
        ("Is it?", True),
        ("{% for o in options %}{{ o }}{{ candidate }}{% endfor %}{{ candidate }}", True),
        ("{% if text_b %}x{% else %}{{ candidate }}{% endif %}?", True),
        ("{{ candidate|upper }} {{ candidate }}", False),
        ("{% if candidate == 'Ann' %}her{% else %}{{ candidate }}{% endif %}", False),
        ("{{ candidate ~ '.' }}", False),
        ("{% set candidate = 'x' %}{{ candidate }}", False),
        ("{% for candidate in options %}{{ candidate }}{% endfor %}", False),
        ("{% filter upper %}{{ candidate }}{% endfilter %}", False),
        ("{% macro m() %}{{ candidate }}{% endmacro %}{{ m()|upper }}", False),
        ("{% set x %}{{ candidate }}{% endset %}{{ x|length }}", False),
    ],
)
def test_the_text_is_that_of_the_template(
    source: str, once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = Template(source)
    expected = [template.text({**FIELDS, **fields_of({"candidate": v})}) for v in VALUES]
    write = around(template, "candidate", FIELDS)
    with monkeypatch.context() as patched:
        if once:  # nothing is left to render
            patched.setattr(Template, "render", None)
            patched.setattr(Template, "text", None)
        assert [write(v) for v in VALUES] == expected


def test_a_missing_field_is_an_error_at_once() -> None:
    with pytest.raises(TemplateError, match="'typ' is undefined"):
        around(Template("{{ typ }} {{ candidate }}"), "candidate", FIELDS)
