"""Templates: what stands where, what a template may not do, and texts that look like templates."""

from __future__ import annotations

import time
from typing import Any

import pytest
from format_strategies import anything, examples, texts
from hypothesis import given
from hypothesis import strategies as st

from formats.errors import TemplateError
from formats.templates import Field, Mark, Template, fields_of

FIELDS = fields_of({"text": "abc", "text_b": None, "options": ("x", "y"), "count": 3})


def refusal(source: str, fields: dict[str, Any] = FIELDS) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        Template(source).render(fields)
    return caught.value


# What is printed


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ text }}", "abc"),
        ("{{ text_b }}|", "|"),
        ("{{ count }} {{ count / 2 }} {{ count * 2 }}", "3 1.5 6"),
        ("{% if text_b %}\n{{ text_b }}{% endif %}\nA:", "\nA:"),
        ("{% if text %}\n{{ text }}{% endif %}\nA:", "\nabc\nA:"),
        ("{% if text %}{{ text }}\n{% endif %}A:", "abc\nA:"),
        ("{% for o in options %}{{ o }}\n{% endfor %}A:", "x\ny\nA:"),
        ("O:\n{% for o in options %}{{ o }};{% endfor %}\nA:", "O:\nx;y;\nA:"),
        ("  {% if text %}a{% endif %}  ", "  a  "),
        ("{% for o in options -%}\n {{ o }} {%- endfor %}", "xy"),
        ("{{ text }}\n", "abc"),
        ("{{ text }}\n\n", "abc\n"),
        ("{{ options | join(', ') }}", "x, y"),
        ("{{ text[1:] | upper }}", "BC"),
        ("{# a remark #}{{ text }}", "abc"),
        ("{% raw %}{{ text }}{% endraw %}", "{{ text }}"),
        ("{% for i in range(3) %}{{ i }}{% endfor %}", "012"),
    ],
)
def test_rendering(source: str, text: str) -> None:
    assert Template(source).text(FIELDS) == text


def test_the_last_newline_of_a_field_stays() -> None:
    assert Template("{{ text }}").text(fields_of({"text": "a\r\n\n"})) == "a\r\n\n"


def test_names() -> None:
    source = "{% set y = a %}{{ y }}{% for o in options %}{{ o }}{{ loop.index }}{% endfor %}"
    assert Template(source + "{{ range(2) | first }}").names() == {"a", "options"}


def test_templates_are_equal_by_source() -> None:
    assert Template("{{ a }}") == Template("{{ a }}")
    assert hash(Template("{{ a }}")) == hash(Template("{{ a }}"))


# Marks


@pytest.mark.parametrize(
    ("source", "marks"),
    [
        ("{{ text }}", [("text", 0, 0, 3)]),
        ("a {{ text }}{{ text }}", [("text", 0, 2, 5), ("text", 0, 5, 8)]),
        ("{% for o in options %}{{ o }},{% endfor %}",
         [("options", 0, 0, 1), ("options", 1, 2, 3)]),
        ("{{ options[1] }}", [("options", 1, 0, 1)]),
        ("{% for o in options | reverse %}{{ o }}{% endfor %}",
         [("options", 1, 0, 1), ("options", 0, 1, 2)]),
        ("{{ text | upper }}{{ text ~ text }}{{ text[:2] }}{{ options | join }}", []),
        ("{{ text_b }}{{ count }}", []),
        ("{% set t = text %}-{{ t }}", [("text", 0, 1, 4)]),
    ],
)  # fmt: skip
def test_marks(source: str, marks: list[tuple[str, int, int, int]]) -> None:
    assert list(Template(source).render(FIELDS).marks) == [Mark(*m) for m in marks]


def test_where_gives_first_places_in_item_order() -> None:
    rendered = Template(
        "{{ options[1] }}{{ text }}{% for o in options %}{{ o }}{% endfor %}"
    ).render(FIELDS)
    assert rendered.where("options") == [(4, 5), (0, 1)]
    assert rendered.where("text") == [(1, 4)]
    assert rendered.where("nothing") == []


PARTS = (
    "{{ text }}", "{{ text_b }}", "{% if text_b %}{{ text_b }}\n{% endif %}", "{{ options[0] }}",
    "{% for o in options %}{{ o }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "{{ options | last }}", "{{ text | trim }}", " ", "\n", "é😀", "\\", "'", '"', "%", "}",
)  # fmt: skip


@examples(200)
@given(
    st.lists(st.sampled_from(PARTS), min_size=1).map("".join).filter(str.strip),
    anything,
    st.none() | texts,
    st.lists(anything, min_size=1, max_size=4),
)
def test_marks_point_at_exactly_the_field(
    source: str, text: str, text_b: str | None, options: list[str]
) -> None:
    rendered = Template(source).render(
        fields_of({"text": text, "text_b": text_b, "options": options})
    )
    wanted = {("text", 0): text, ("text_b", 0): text_b}
    wanted.update({("options", i): o for i, o in enumerate(options)})
    for mark in rendered.marks:
        assert rendered.text[mark.start : mark.end] == wanted[mark.name, mark.item]
    assert len(rendered.where("text")) == ("{{ text }}" in source)


@examples(200)
@given(anything, texts)
def test_user_text_is_never_a_template(text: str, option: str) -> None:
    fields = fields_of({"text": text, "options": [option]})
    source = "<{{ text }}|{% for o in options %}{{ o }}{% endfor %}>"
    assert Template(source).text(fields) == f"<{text}|{option}>"


@pytest.mark.parametrize(
    "text", ["{{ 7 * 7 }}", "{% endif %}", "{{ ''.__class__ }}", "{#", "%}", "{{", "{0.__class__}"]
)
def test_template_signs_in_user_text_are_inert(text: str) -> None:
    fields = fields_of({"text": text})
    assert Template("{{ text }}!{{ text | upper }}").text(fields) == f"{text}!{text.upper()}"


def test_fields_of() -> None:
    fields = fields_of({"a": "x", "b": ("y", 1), "c": None, "d": 2.5})
    assert fields == {"a": "x", "b": ["y", 1], "c": None, "d": 2.5}
    field = fields["b"][0]
    assert isinstance(field, Field) and (field.field, field.item) == ("b", 0)
    assert str(field) is field and field.index("y") == 0


# What is refused

UNSAFE = [
    "{{ ''.__class__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ text.__class__ }}",
    "{{ text['__class__'] }}",
    "{{ text | attr('__class__') }}",
    "{{ text | attr('__cl' ~ 'ass__') }}",
    "{{ options.__class__.__base__ }}",
    "{{ options.append('z') }}",
    "{{ options.clear() }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ joiner.__init__.__globals__.os }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{% for i in range(2) %}{{ loop.__class__ }}{% endfor %}",
    "{{ range.__globals__ }}",
    "{% macro m() %}{% endmacro %}{{ m._func }}",
    "{{ (text.__init__).__globals__ }}",
    "{{ '{0.__class__}'.format(text) }}",
    "{{ '{0.__class__}'.format_map({'0': text}) }}",
    "{{ text.format }}",
    "{{ text | attr('format') }}",
    "{% set f = '{0.__class__}'.format %}{{ f(text) }}",
    "{{ '%s' % text }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ 'a' * 1000000000 }}",
    "{{ 1000000000 * options }}",
    "{{ 10 ** 10 ** 10 }}",
    "{{ text.ljust(1000000000) }}",
    "{{ text.center(1000000000) }}",
    "{{ text.zfill(1000000000) }}",
    "{{ text.__mul__(1000000000) }}",
]


@pytest.mark.parametrize("source", UNSAFE)
def test_templates_cannot_reach_python_or_fill_the_memory(source: str) -> None:
    started = time.perf_counter()
    error = refusal(source)
    assert "may not" in error.what and error.got == source
    assert time.perf_counter() - started < 1
    assert FIELDS["options"] == ["x", "y"]


@pytest.mark.parametrize(
    "source",
    [
        "{{ range(10**9) }}",
        "{% for i in range(1000000000) %}{{ i }}{% endfor %}",
        "{% for i in range(count, 9999999) %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% for o in options recursive %}{{ loop(options) }}{% endfor %}",
        "{% include 'secrets' %}",
        "{% extends 'secrets' %}",
        "{% import 'os' as os %}",
        "{{ 1 / 0 }}",
        "{{ text + 1 }}",
        "{{ text.encode('no such') }}",
        "{{ text.index('z') }}",
        "{{ text() }}",
        "{{ options | sum }}",
        "{{ options }}",
        "{{ text.upper }}",
        "{{ options | map('upper') }}",
        "{{ [1] | map('random') | list }}",
        "{{ dict(a=1) }}",
        "{{ lipsum() }}",
        "{{ lipsum.__globals__['os'] }}",
        "{{ namespace(a=1) }}",
    ],
)
def test_whatever_else_fails_is_one_kind_of_error(source: str) -> None:
    assert refusal(source).got == source


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("{{ text", 1),
        ("a\n{% if text %}", 2),
        ("{% nosuch %}", 1),
        ("{{ text | nosuch }}", 1),
        ("{{ options | random }}", 1),
        ("{{ text | center(1000000000) }}", 1),
        ("{% endfor %}", 1),
        ("{% for a in options %}" * 40 + "{% endfor %}" * 40, None),
        ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", None),
    ],
)
def test_what_does_not_compile_is_refused_when_it_is_made(source: str, line: int | None) -> None:
    with pytest.raises(TemplateError, match="does not compile") as caught:
        Template(source)
    assert caught.value.got == source and caught.value.expected == "Jinja2"
    assert line is None or caught.value.where["line"] == line


@pytest.mark.parametrize("source", ["", " ", "\n", None, 7, ["{{ text }}"]])
def test_an_empty_template_is_refused(source: Any) -> None:
    with pytest.raises(TemplateError, match="empty template"):
        Template(source)


@pytest.mark.parametrize(
    ("source", "fix"),
    [
        ("{{ txet }}", "did you mean 'text' or 'text_b'?"),
        ("{% if optoins %}{% endif %}", "did you mean 'options'?"),
        ("{% for o in optoins %}{{ o }}{% endfor %}", "did you mean 'options'?"),
        ("{{ aaa | default('') }}{{ cuont | upper }}", "did you mean 'count'?"),
        ("{{ zzzz }}", "known: count, options, text, text_b"),
        ("{{ options[9] }}", None),
        ("{{ text.nosuch }}", None),
    ],
)
def test_undefined_names_are_errors_with_a_hint(source: str, fix: str | None) -> None:
    error = refusal(source)
    assert "a field that is not there" in error.what
    assert error.fix == fix


def test_an_undefined_name_in_a_branch_not_taken_is_no_error() -> None:
    assert Template("{% if text_b %}{{ txet }}{% endif %}.").text(FIELDS) == "."
