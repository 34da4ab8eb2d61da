"""Render plans: the same pieces as Jinja's, and Jinja where a plan does not reach."""

from __future__ import annotations

from typing import Any

import pytest
from format_strategies import examples
from hypothesis import given
from hypothesis import strategies as st

from formats.errors import TemplateError
from formats.examples import KINDS
from formats.prompts import LANGUAGES, default_prompt
from formats.templates import Template, _plan, fields_of

SOURCES = sorted(
    {
        template.source
        for language in LANGUAGES
        for kind in KINDS
        for ways in default_prompt(kind, language).variants.values()
        for way in ways
        for template in way.parts.values()
    }
)
WORDS = st.text(max_size=8)
NAMES = (
    "text", "text_b", "question", "context", "passage", "source", "instruction", "low", "high",
    "head", "tail", "type", "label", "candidate",
)  # fmt: skip


@st.composite
def fields(draw: st.DrawFn) -> dict[str, Any]:
    values: dict[str, Any] = {name: draw(st.none() | WORDS) for name in NAMES}
    options = draw(st.lists(WORDS, min_size=1, max_size=4))
    values["options"] = tuple(options)
    values["letters"] = tuple("ABCD"[: len(options)])
    return fields_of(values)


@pytest.mark.parametrize("source", SOURCES)
def test_default_templates_are_planned(source: str) -> None:
    assert _plan(source) is not None


@examples(150)
@given(st.sampled_from(SOURCES), fields())
def test_a_plan_gives_what_jinja_gives(source: str, values: dict[str, Any]) -> None:
    template = Template(source)
    planned, plain = template._pieces(values), template._by_jinja(values)
    assert "".join(planned) == "".join(plain)
    marks = [(p.field, p.item, str(p)) for p in planned if hasattr(p, "field") and p]
    assert marks == [(p.field, p.item, str(p)) for p in plain if hasattr(p, "field") and p]


@pytest.mark.parametrize(
    "source",
    [
        "{{ text | upper }}",
        "{{ options[0] }}",
        "{% for o in options | reverse %}{{ o }}{% endfor %}",
        "{% if text == 'a' %}b{% endif %}",
        "{% if text %}a{% elif text_b %}b{% endif %}",
        "{% for o in options if o %}{{ o }}{% endfor %}",
        "{% for o in options %}{{ o }}{% else %}none{% endfor %}",
        "{% for o in options %}{{ loop.length }}{% endfor %}",
        "{% set y = text %}{{ y }}",
        "{% for o in options %}{{ o[loop.index0] }}{% endfor %}",
    ],
)
def test_other_templates_are_left_to_jinja(source: str) -> None:
    assert _plan(source) is None


@pytest.mark.parametrize(
    ("source", "values", "text"),
    [
        ("{{ count }}", {"count": 3}, "3"),
        ("{% for o in options %}{{ o }};{% endfor %}", {"options": [1, "a"]}, "1;a;"),
        ("{% for o in options %}{{ o }};{% endfor %}", {"options": "ab"}, "a;b;"),
        ("{{ text }}{{ count }}", {"text": "a", "count": 0.5}, "a0.5"),
    ],
)
def test_values_that_a_plan_does_not_expect(source: str, values: dict[str, Any], text: str) -> None:
    assert _plan(source) is not None
    assert Template(source).text(values) == text


def test_an_undefined_name_is_named() -> None:
    with pytest.raises(TemplateError, match="'txt' is undefined"):
        Template("{{ txt }}").render({"text": "a"})
