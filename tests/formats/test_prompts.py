"""Default prompts in every language, and a task's own parts laid over them."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import resources
from typing import Any

import pytest
import yaml

from formats import (
    FORMATS,
    KINDS,
    EntailInstance,
    ExtractInstance,
    GenerateInstance,
    LabelSpace,
    MultiLabelClassification,
    MultipleChoice,
    Prompt,
    QuestionAnswering,
    Regression,
    RelationClassification,
    Span,
    Template,
    TextClassification,
    TextGeneration,
    TokenClassification,
    TypeSpace,
    default_prompt,
    oracle,
)
from formats.base import Format, option_words
from formats.errors import DeclarationError, TemplateError, UnifyError, UnknownName
from formats.prompts import LANGUAGES

LABELS = LabelSpace(("0", "1", "2"), ("alpha", "beta", "gamma"))
TEXT = "Ann met Bob in Rome."
BARE: dict[str, Any] = {
    "classify": TextClassification("c", TEXT, LABELS, gold="1"),
    "multilabel": MultiLabelClassification("m", TEXT, LABELS, gold=frozenset("02")),
    "choose": MultipleChoice("o", "Who met Bob?", ("Ann", "Bea", "Cem"), gold=0),
    "answer": QuestionAnswering("a", "Who met Bob?", TEXT, (frozenset([Span(0, 3)]),)),
    "tag": TokenClassification(
        "t", TEXT, TypeSpace(("PER", "LOC"), ("person", "place")), frozenset([Span(0, 3, "PER")])
    ),
    "relate": RelationClassification("e", TEXT, Span(0, 3), Span(8, 11), LABELS, "2"),
    "rate": Regression("r", TEXT, 0, 5, gold=3.0),
    "generate": TextGeneration("g", TEXT, ("A summary.",)),
}
SECOND = "Bob saw Ann."
FULL: dict[str, Any] = {
    "classify": replace(BARE["classify"], text_b=SECOND),
    "multilabel": replace(BARE["multilabel"], text_b=SECOND),
    "choose": replace(BARE["choose"], context=SECOND),
    "rate": replace(BARE["rate"], text_b=SECOND),
}
CELLS = [
    pytest.param(kind, format(), language, id=f"{kind}-{name}-{language}")
    for kind, cls in KINDS.items()
    for name, format in FORMATS.items()
    if format().supports(cls)
    for language in LANGUAGES
]


def raw(language: str) -> dict[str, dict[str, Any]]:
    path = resources.files("formats.prompts") / f"{language}.yaml"
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def parts(instance: Any) -> list[str]:
    """The texts that a model sees."""
    if isinstance(instance, GenerateInstance):
        return [instance.source]
    if isinstance(instance, ExtractInstance):
        return [instance.question, instance.passage]
    assert isinstance(instance, EntailInstance)
    return [instance.premise, instance.hypothesis]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_has_at_least_two_ways_of_asking(kind: str, language: str) -> None:
    prompt = default_prompt(kind, language)
    for name, format in FORMATS.items():
        if format().supports(KINDS[kind]):
            assert prompt.count(name) >= 2
            ways = [str(prompt.variant(name, i)) for i in range(prompt.count(name))]
            assert len(set(ways)) == len(ways)
        else:
            assert prompt.count(name) == 0


@pytest.mark.parametrize(("kind", "format", "language"), CELLS)
@pytest.mark.parametrize("rows", [BARE, FULL], ids=["bare", "full"])
def test_defaults_render(rows: dict[str, Any], kind: str, format: Format, language: str) -> None:
    if kind not in rows:
        return
    example = rows[kind]
    prompt = default_prompt(kind, language)
    seen = set()
    for template in range(prompt.count(format.name)):
        instances = list(format.encode(example, prompt, template=template))
        assert instances
        for instance in instances:
            whole = "\n".join(parts(instance))
            for part in parts(instance):
                assert part == part.strip() or isinstance(instance, ExtractInstance)
                assert part.strip() and "None" not in part and "  " not in part
                assert "{" not in part and "%" not in part
            for name in ("text", "text_b", "question", "context", "passage", "source"):
                field = getattr(example, name, None)
                assert field is None or field in whole, f"{name} is never shown"
            oracle(instance)
        if format.name == "extract":
            for instance in instances:
                assert isinstance(instance, ExtractInstance)
                if kind in ("answer", "tag"):
                    assert not instance.candidates
                else:
                    listed = tuple(instance.passage[a:b] for a, b in instance.candidates)
                    assert listed == option_words(example)
        elif format.name == "entail":
            hypotheses = [tuple(parts(i)) for i in instances]
            assert len(set(hypotheses)) == len(hypotheses), "two hypotheses read the same"
        seen.add(tuple(tuple(parts(i)) for i in instances))
    if kind != "answer" and len(seen) < prompt.count(format.name):
        pytest.fail("two templates ask the same")


@pytest.mark.parametrize("language", LANGUAGES)
def test_entity_types_are_named_in_their_questions(language: str) -> None:
    prompt = default_prompt("tag", language)
    for name in ("extract", "entail"):
        for template in range(prompt.count(name)):
            found = list(FORMATS[name]().encode(BARE["tag"], prompt, template=template))
            assert any("person" in parts(i)[name == "entail"] for i in found)
            assert any("place" in parts(i)[name == "entail"] for i in found)


def test_languages_have_the_same_keys_and_fields() -> None:
    english = raw("en")
    assert set(english) == set(KINDS)
    for language in LANGUAGES:
        other = raw(language)
        assert list(other) == list(english)
        for kind, block in english.items():
            assert list(other[kind]) == list(block)
            for format in FORMATS:
                for ours, theirs in zip(
                    block.get(format, []), other[kind].get(format, []), strict=True
                ):
                    assert list(ours) == list(theirs)
                    assert ours.get("target") == theirs.get("target")
                    for part in set(ours) - {"target"}:
                        assert Template(ours[part]).names() == Template(theirs[part]).names()


def test_chinese_prompts_are_chinese() -> None:
    for kind, block in raw("zh").items():
        assert re.search(r"[\u4e00-\u9fff]", block["instruction"]), kind
        for format in FORMATS:
            for way in block.get(format, []):
                for source in way.values():
                    words = re.sub(r"{{.*?}}|{%.*?%}", "", source)
                    assert source in ("text", "letter") or not re.search(r"[A-Za-z]", words)


@pytest.mark.parametrize(
    ("kind", "language", "format", "template", "shown"),
    [
        ("classify", "en", "generate", 0,
         [["Ann met Bob in Rome.\nBob saw Ann.\nWhich label fits?\n"
           "Options: alpha, beta, gamma\nAnswer:"]]),
        ("classify", "en", "extract", 0,
         [["Which label fits? Bob saw Ann.",
           "Options: alpha, beta, gamma.\nAnn met Bob in Rome."]]),
        ("choose", "en", "generate", 2,
         [["Bob saw Ann.\nWho met Bob?\n(A) Ann\n(B) Bea\n(C) Cem\nAnswer:"]]),
        ("choose", "en", "extract", 1,
         [["Choose the right option. Who met Bob?", "(A) Ann\n(B) Bea\n(C) Cem\nBob saw Ann."]]),
        ("choose", "zh", "generate", 0,
         [["Bob saw Ann.\nWho met Bob?\n选项：Ann、Bea、Cem\n答案："]]),
        ("rate", "en", "generate", 0,
         [["Ann met Bob in Rome.\nBob saw Ann.\nWhat is the value? From 0 to 5:"]]),
        ("rate", "en", "entail", 1,
         [["Ann met Bob in Rome.\nBob saw Ann.", "What is the value? As high as 5."]]),
    ],
)  # fmt: skip
def test_default_wordings(
    kind: str, language: str, format: str, template: int, shown: list[list[str]]
) -> None:
    prompt = default_prompt(kind, language)
    found = FORMATS[format]().encode(FULL[kind], prompt, template=template)
    assert [parts(i) for i in found] == shown


# A task's own parts


def test_own_templates_stand_before_the_defaults() -> None:
    own = default_prompt("classify", "en", {"generate": ["{{ text }}?", "{{ text }}!"]})
    default = default_prompt("classify")
    assert own.count("generate") == default.count("generate") + 2
    assert own.variant("generate", 0).parts["source"].source == "{{ text }}?"
    assert own.variant("generate", 2) == default.variant("generate", 0)
    assert own.variants["extract"] == default.variants["extract"]


def test_only_leaves_the_defaults_out_where_there_are_own() -> None:
    own = default_prompt("classify", "en", {"only": True, "generate": "{{ text }}?"})
    assert own.count("generate") == 1
    assert own.count("extract") == default_prompt("classify").count("extract")


def test_template_numbers_go_round() -> None:
    prompt = default_prompt("classify")
    assert prompt.variant("entail", prompt.count("entail")) == prompt.variant("entail", 0)


def test_own_instruction_and_hypotheses() -> None:
    prompt = default_prompt(
        "classify", "en",
        {"instruction": "Mood?", "hypotheses": {"0": "{{ label }} it is", 1: "{{ text }} b"}},
    )  # fmt: skip
    found = [parts(i)[1] for i in FORMATS["entail"]().encode(BARE["classify"], prompt)]
    assert found == ["alpha it is", f"{TEXT} b", "Mood? gamma"]


def test_defaults_are_not_changed_by_overrides() -> None:
    before = default_prompt("tag")
    default_prompt("tag", "en", {"generate": ["{{ text }}"], "instruction": "x"})
    assert default_prompt("tag") == before and isinstance(before, Prompt)


@pytest.mark.parametrize(
    ("kind", "language", "overrides", "error", "message"),
    [
        ("clasify", "en", None, UnknownName, "did you mean 'classify'"),
        ("classify", "fr", None, UnknownName, "unknown prompt language 'fr'"),
        ("classify", "en", {"genrate": "x"}, UnknownName, "did you mean 'generate'"),
        ("classify", "en", {"extract": "x"}, DeclarationError, "not a mapping"),
        ("classify", "en", {"extract": {"question": "q"}}, DeclarationError, "lacks passage"),
        ("classify", "en", {"entail": {"premise": "p", "hypotesis": "h"}}, UnknownName,
         "did you mean 'hypothesis'"),
        ("classify", "en", {"generate": {"source": "s", "target": "word"}}, UnknownName,
         "known: letter, text"),
        ("classify", "en", {"generate": "{{ text"}, TemplateError, "does not compile"),
        ("classify", "en", {"generate": {"source": ""}}, TemplateError, "empty template"),
        ("classify", "en", {"hypotheses": {"a": "{% if %}"}}, TemplateError, "does not compile"),
        ("classify", "en", {"hypotheses": ["a"]}, DeclarationError, "hypotheses"),
        ("generate", "en", {"extract": {"question": "q", "passage": "p"}}, DeclarationError,
         "cannot be asked as extract"),
    ],
)  # fmt: skip
def test_mistakes_in_overrides(
    kind: str, language: str, overrides: dict[str, Any] | None, error: type, message: str
) -> None:
    with pytest.raises(UnifyError) as caught:
        default_prompt(kind, language, overrides)
    assert type(caught.value) is error and message in str(caught.value)
