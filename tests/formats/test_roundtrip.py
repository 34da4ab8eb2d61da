"""Every supported cell of the matrix: what a format asks, its perfect answer decodes to the gold.

No class of rows is left out silently: where a row does not come back, ``holds`` said so, and said
so only for the counted classes that are spelled out here.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from format_strategies import EXAMPLES, anything, examples
from hypothesis import event, given
from hypothesis import strategies as st

from formats import (
    FORMATS,
    KINDS,
    Entail,
    EntailInstance,
    Entailment,
    Extract,
    ExtractInstance,
    Generate,
    GenerateInstance,
    MultiLabelClassification,
    MultipleChoice,
    QuestionAnswering,
    Regression,
    ScoredSpan,
    Scores,
    Span,
    Spans,
    Text,
    TextClassification,
    TextGeneration,
    TokenClassification,
    TypeSpace,
    default_prompt,
    matches,
    oracle,
)
from formats.base import Format, option_words
from formats.candidates import candidates
from formats.errors import TemplateError, UnsupportedCell
from formats.prompts import LANGUAGES, Prompt

SETTINGS: dict[str, Format] = {
    "generate": Generate(),
    "extract": Extract(),
    "extract-one-pass": Extract(one_pass=True, occurrences=True),
    "entail": Entail(),
    "entail-narrow": Entail(max_words=2, negatives=1),
    "entail-two-stage": Entail(two_stage=True),
}
CELLS = [
    pytest.param(kind, format, id=f"{kind}-{name}")
    for kind, cls in KINDS.items()
    for name, format in SETTINGS.items()
    if format.supports(cls)
    and (name in FORMATS or kind == "tag" or (kind == "answer" and name == "entail-narrow"))
]
PROMPTS = {(kind, lang): default_prompt(kind, lang) for kind in KINDS for lang in LANGUAGES}


def ways(kind: str, format: Format) -> list[tuple[Prompt, int]]:
    """Every default template of a cell, in every language."""
    prompts = [PROMPTS[kind, lang] for lang in LANGUAGES]
    return [(p, i) for p in prompts for i in range(p.count(format.name))]


def overlap(spans: frozenset[Span]) -> bool:
    listed = sorted(spans)
    return any(a.end > b.start for a, b in pairwise(listed))


def beyond(format: Entail, text: str, spans: frozenset[Span]) -> bool:
    found = set(candidates(text, format.max_words))
    return any((s.start, s.end) not in found for s in spans)


def may_be_lost(example: Any, format: Format) -> bool:
    """The counted classes: overlapping answers, spans that are no candidates, and spans of several
    types where one is chosen."""
    if isinstance(example, QuestionAnswering) and format.name != "generate":
        gold = example.gold[0] if example.gold else frozenset()
        if overlap(gold):
            return True
        return isinstance(format, Entail) and beyond(format, example.passage, gold)
    if isinstance(example, TokenClassification) and isinstance(format, Entail):
        gold = example.gold or frozenset()
        several = len({(s.start, s.end) for s in gold}) < len(gold)
        return beyond(format, example.text, gold) or (format.two_stage and several)
    return False


@pytest.mark.parametrize(("kind", "format"), CELLS)
def test_the_perfect_answer_is_the_gold(kind: str, format: Format) -> None:
    @examples(60)
    @given(EXAMPLES[kind])
    def check(example: Any) -> None:
        for prompt, template in ways(kind, format):
            instances = list(format.encode(example, prompt, template=template))
            raws = [oracle(i) for i in instances]
            answer = format.decode(example, prompt, raws, template=template)
            reason = format.holds(example, prompt, template=template)
            event(reason or "held")
            if reason is None:
                assert matches(example, answer)
            else:
                assert may_be_lost(example, format), reason
            for instance in instances:
                if isinstance(instance, GenerateInstance) and instance.options:
                    assert len(instances) == 1 and instance.target is not None
                    written = [Text(instance.target)]
                    answer = format.decode(example, prompt, written, template=template)
                    assert matches(example, answer)

    check()


@pytest.mark.parametrize(("kind", "format"), CELLS)
def test_a_training_group_has_every_positive(kind: str, format: Format) -> None:
    @examples(25)
    @given(EXAMPLES[kind])
    def check(example: Any) -> None:
        for prompt, template in ways(kind, format):
            full = list(format.encode(example, prompt, template=template))
            group = list(format.encode(example, prompt, template=template, sample=True))
            again = list(format.encode(example, prompt, template=template, sample=True))
            assert group == again
            if isinstance(format, Entail):
                left = iter(full)
                assert all(i in left for i in group), "the order of the full group is kept"
                yes = [i for i in full if isinstance(i, EntailInstance) and i.gold]
                assert [i for i in group if isinstance(i, EntailInstance) and i.gold] == yes
                questions = len(example.types) if isinstance(example, TokenClassification) else 1
                questions += format.two_stage
                if kind in ("answer", "tag"):
                    assert len(group) <= len(yes) + questions * format.negatives
                elif kind == "rate":
                    assert group == full
                else:
                    wrong = min(format.negatives, len(full) - len(yes))
                    assert len(group) == len(yes) + wrong
                continue
            # Options are listed in another order; what is asked and answered stays.
            assert len(group) == len(full)
            for one, other in zip(group, full, strict=True):
                if isinstance(one, ExtractInstance):
                    assert isinstance(other, ExtractInstance)
                    assert one.question == other.question
                    for spans in (one.candidates, other.candidates):
                        assert spans == () or len(set(spans)) == len(option_words(example))
                    for a, b in zip(one.candidates, other.candidates, strict=True):
                        assert one.passage[slice(*a)] == other.passage[slice(*b)]
                else:
                    assert isinstance(one, GenerateInstance) and isinstance(other, GenerateInstance)
                    assert (one.target, one.options) == (other.target, other.options)
            if format.holds(example, prompt, template=template) is None:
                raws = [oracle(i) for i in group]
                assert matches(example, format.decode(example, prompt, raws, template=template))

    check()


def test_training_rows_list_their_options_in_many_orders() -> None:
    prompt = PROMPTS["choose", "en"]
    seen = set()
    for number in range(40):
        example = MultipleChoice(f"row {number}", "Which?", ("a", "b", "c"), gold=0)
        (first,) = Generate().encode(example, prompt, sample=True)
        seen.add(first.shared)
        (lettered,) = Generate().encode(example, prompt, template=2, sample=True)
        assert "(A) a\n(B) b\n(C) c\n" in lettered.shared, "letters name positions"
        assert isinstance(lettered, GenerateInstance) and lettered.target == "A"
    assert len(seen) == 6


@pytest.mark.parametrize(
    ("options", "gold", "context", "extra"),
    [
        (("york", "new york"), 0, "We saw york, not yorkshire.", ["york"]),
        (("york", "new york"), 1, "We saw york.", []),
        (("0", "0.5", "10"), 0, "0 of 10, or 1 - 0", ["0", "0"]),
        (("正面", "负面"), 0, "评价很正面。", ["正面"]),
    ],
)
def test_occurrences_mark_the_answer_outside_the_list_only(
    options: tuple[str, ...], gold: int, context: str, extra: list[str]
) -> None:
    example = MultipleChoice("c", "Which?", options, context, gold)
    format, prompt = Extract(occurrences=True), PROMPTS["choose", "en"]
    (plain,) = format.encode(example, prompt)
    assert isinstance(plain, ExtractInstance) and plain.gold == (Span(*plain.candidates[gold]),)
    (trained,) = format.encode(example, prompt, sample=True)
    assert isinstance(trained, ExtractInstance) and trained.gold is not None
    listed = Span(*trained.candidates[gold])
    assert listed in trained.gold
    more = [s for s in trained.gold if s != listed]
    assert [s.of(trained.passage) for s in more] == extra
    assert all(s.start > max(end for _, end in trained.candidates) for s in more)


@pytest.mark.parametrize(("kind", "format"), CELLS)
def test_unlabelled_rows_are_asked_the_same(kind: str, format: Format) -> None:
    @examples(15)
    @given(EXAMPLES[kind])
    def check(example: Any) -> None:
        prompt = PROMPTS[kind, "en"]
        for labelled, bare in zip(
            format.encode(example, prompt),
            format.encode(replace(example, gold=None), prompt),
            strict=True,
        ):
            change = {"target": None} if isinstance(bare, GenerateInstance) else {"gold": None}
            assert replace(labelled, **change) == bare
            with pytest.raises(ValueError, match="unlabelled"):
                oracle(bare)
        assert format.holds(replace(example, gold=None), prompt) is None

    check()


@pytest.mark.parametrize(("kind", "format"), CELLS)
def test_a_group_shares_its_long_text(kind: str, format: Format) -> None:
    @examples(10)
    @given(EXAMPLES[kind])
    def check(example: Any) -> None:
        for prompt, template in ways(kind, format):
            shared = {i.shared for i in format.encode(example, prompt, template=template)}
            assert len(shared) == 1

    check()


floats = st.floats() | st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e308, -1e308])
scored = st.builds(
    ScoredSpan, st.integers(-5, 80), st.integers(-5, 80), floats, st.integers(-2, 5)
)


def in_answer_space(example: Any, answer: Any) -> bool:
    """Whether ``answer`` could be the gold of ``example``; its own checks decide."""
    if isinstance(example, QuestionAnswering):
        assert isinstance(answer, frozenset)
        return (
            all(isinstance(t, str) and t.strip() for t in answer)
            and (bool(answer) or example.unanswerable)
            and (len(answer) <= 1 or example.several)
        )
    if isinstance(example, TextGeneration):
        return isinstance(answer, str)
    kinds = {
        TextClassification: str, MultipleChoice: int, Regression: float,
        MultiLabelClassification: frozenset, TokenClassification: frozenset,
    }  # fmt: skip
    assert isinstance(answer, kinds.get(type(example), str))
    return bool(replace(example, gold=answer).gold == answer)


@pytest.mark.parametrize(("kind", "format"), CELLS)
def test_decoding_is_total(kind: str, format: Format) -> None:
    @examples(60)
    @given(EXAMPLES[kind], st.data())
    def check(example: Any, data: st.DataObject) -> None:
        prompt, template = data.draw(st.sampled_from(ways(kind, format)))
        raws: list[Any] = []
        for instance in format.encode(replace(example, gold=None), prompt, template=template):
            if isinstance(instance, EntailInstance):
                raws.append(Entailment(data.draw(floats)))
            elif isinstance(instance, ExtractInstance):
                n = len(instance.candidates)
                values = st.lists(floats, min_size=n, max_size=n).map(tuple)
                found = st.lists(scored, max_size=6).map(tuple)
                raws.append(Scores(data.draw(values)) if n else Spans(data.draw(found)))
            elif instance.options and data.draw(st.booleans()):
                n = len(instance.options)
                values = st.lists(floats, min_size=n, max_size=n).map(tuple)
                raws.append(Scores(data.draw(values)))
            else:
                raws.append(Text(data.draw(anything)))
        answer = format.decode(example, prompt, raws, template=template)
        assert answer is None or in_answer_space(example, answer)

    check()


@pytest.mark.parametrize("format", [Extract(), Entail()], ids=lambda f: f.name)
def test_refused_cells_say_why(format: Format) -> None:
    example = TextGeneration("7", "a source", ("a target",))
    prompt = PROMPTS["generate", "en"]
    reason = format.refusal(TextGeneration)
    assert reason and "use generate" in reason
    assert not format.supports(TextGeneration)
    for ask in (
        lambda: list(format.encode(example, prompt)),
        lambda: format.decode(example, prompt, []),
        lambda: format.holds(example, prompt),
    ):
        with pytest.raises(UnsupportedCell) as caught:
            ask()
        assert reason in str(caught.value) and caught.value.where["row"] == "7"


def test_the_matrix_has_two_refused_cells() -> None:
    refused = {
        (name, cls.__name__)
        for name, format in FORMATS.items()
        for cls in KINDS.values()
        if not format().supports(cls)
    }
    assert refused == {("extract", "TextGeneration"), ("entail", "TextGeneration")}
    assert all(f().refusal(c) is None for f in FORMATS.values() for c in f.cells)


# Rows with one exact outcome per cell.

PASSAGE = "Ann and Bob met Ann."


def qa(*gold: frozenset[Span], **more: Any) -> QuestionAnswering:
    return QuestionAnswering("q", "Who?", PASSAGE, gold, **more)


def decoded(format: Format, example: Any, *raws: Any, template: int = 0) -> Any:
    return format.decode(example, PROMPTS[example.kind, "en"], raws, template=template)


@pytest.mark.parametrize(
    ("spans", "several", "target"),
    [
        ([(0, 3)], False, "Ann"),
        ([(0, 3), (8, 11)], True, "Ann; Bob"),
        ([(0, 3), (16, 19)], True, "Ann"),
        ([], False, "unanswerable"),
        ([], True, "unanswerable"),
    ],
)
def test_generated_answers(spans: list[tuple[int, int]], several: bool, target: str) -> None:
    example = qa(frozenset(Span(*s) for s in spans), several=several, unanswerable=True)
    (instance,) = Generate().encode(example, PROMPTS["answer", "en"])
    assert isinstance(instance, GenerateInstance) and instance.target == target


@pytest.mark.parametrize(
    ("text", "several", "unanswerable", "answer"),
    [
        ("unanswerable", False, True, frozenset()),
        ("unanswerable", False, False, frozenset(["unanswerable"])),
        ("\\unanswerable", False, True, frozenset(["unanswerable"])),
        ("", False, False, None),
        ("", False, True, frozenset()),
        (" ; ", True, False, None),
        ("none", True, False, None),
        ("none", False, False, frozenset(["none"])),
        ("a; b", False, False, frozenset(["a; b"])),
        ("a; b", True, False, frozenset(["a", "b"])),
        ("a\\; b", True, False, frozenset(["a; b"])),
    ],
)
def test_generated_answers_are_read(
    text: str, several: bool, unanswerable: bool, answer: frozenset[str] | None
) -> None:
    example = qa(frozenset([Span(0, 3)]), several=several, unanswerable=unanswerable)
    assert decoded(Generate(), example, Text(text)) == answer


def test_overlapping_answers_are_counted() -> None:
    overlapping = qa(frozenset([Span(0, 3), Span(0, 11)]), several=True)
    apart = qa(frozenset([Span(0, 3), Span(8, 11)]), several=True)
    for format in (Extract(), Entail()):
        assert "overlap" in str(format.holds(overlapping, PROMPTS["answer", "en"]))
        assert format.holds(apart, PROMPTS["answer", "en"]) is None
    assert Generate().holds(overlapping, PROMPTS["answer", "en"]) is None


def test_overlap_that_loses_no_text_is_held() -> None:
    example = QuestionAnswering(
        "q", "?", "aaa", (frozenset([Span(0, 2), Span(1, 3)]),), several=True
    )
    assert Extract().holds(example, PROMPTS["answer", "en"]) is None


@pytest.mark.parametrize(
    ("spans", "reason"), [([(0, 3)], None), ([(0, 2)], "whole words"), ([(0, 11)], "at most 2")]
)
def test_spans_beyond_the_candidates_are_counted(
    spans: list[tuple[int, int]], reason: str | None
) -> None:
    format = Entail(max_words=2)
    gold = frozenset(Span(*s) for s in spans)
    typed = frozenset(Span(*s, "PER") for s in spans)
    for example in (qa(gold), TokenClassification("t", PASSAGE, TypeSpace(("PER",)), typed)):
        found = format.holds(example, PROMPTS[example.kind, "en"])
        assert found is None if reason is None else reason in str(found)


def test_no_predicted_span_is_no_answer_or_unanswerable() -> None:
    assert decoded(Extract(), qa(frozenset([Span(0, 3)])), Spans(())) is None
    assert decoded(Extract(), qa(frozenset(), unanswerable=True), Spans(())) == frozenset()
    blank = Spans((ScoredSpan(3, 4, 9.0),))
    assert decoded(Extract(), qa(frozenset([Span(0, 3)])), blank) is None


@pytest.mark.parametrize(("start", "end"), [(0, -1), (-3, 3), (3, 0), (0, 0), (0, 99), (3, 4)])
@pytest.mark.parametrize("format", [Extract(), Extract(one_pass=True)], ids=["each", "one-pass"])
def test_impossible_spans_are_no_entities(format: Format, start: int, end: int) -> None:
    example = TokenClassification("t", PASSAGE, TypeSpace(("PER",)), frozenset())
    found = Spans((ScoredSpan(start, end, 9.0), ScoredSpan(0, 3, 1.0)))
    assert decoded(format, example, found) == {Span(0, 3, "PER")}


@pytest.mark.parametrize(
    ("written", "index"),
    [("a", 0), ("A", 1), (" a", 2), (" A ", 1), ("b", 3), ("B\n", 3), ("c", None), ("", None)],
)
def test_the_exact_option_wins_over_a_similar_one(written: str, index: int | None) -> None:
    example = MultipleChoice("c", "Which?", ("a", "A", " a", "B"), gold=0)
    assert decoded(Generate(), example, Text(written)) == index


def test_letters_name_as_many_options_as_there_are() -> None:
    options = tuple(str(i) for i in range(1000))
    example = MultipleChoice("c", "Which?", options, gold=999)
    prompt = PROMPTS["choose", "en"]
    (instance,) = Generate().encode(example, prompt, template=2)
    assert isinstance(instance, GenerateInstance)
    assert instance.target == "ALL" and len(set(instance.options)) == 1000
    assert "(ALL) 999\n" in instance.source
    assert decoded(Generate(), example, Text("ALL"), template=2) == 999


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3.0), ("3.5", 3.5), ("3,5", 3.5), (".5", 0.5), ("about 4 of 5", 4.0), ("-2", 0.0),
        ("9" * 400, 5.0), ("99", 5.0), ("none", None), ("", None), ("٣", 3.0), ("4.", 4.0),
    ],
)  # fmt: skip
def test_numbers_are_read_and_clipped(text: str, value: float | None) -> None:
    assert decoded(Generate(), Regression("r", "t", 0, 5, 0.5), Text(text)) == value


@pytest.mark.parametrize(
    ("odds", "value"),
    [(0.0, 2.5), (float("inf"), 5.0), (float("-inf"), 0.0), (1e9, 5.0), (float("nan"), None)],
)
def test_odds_are_a_place_on_the_scale(odds: float, value: float | None) -> None:
    assert decoded(Entail(), Regression("r", "t", 0, 5), Entailment(odds)) == value


def test_listed_options_are_where_the_instance_says() -> None:
    example = MultipleChoice("c", "an, or a?", ("a", "an", "an, a"), gold=2, context="a an")
    (instance,) = Extract().encode(example, PROMPTS["choose", "en"])
    assert isinstance(instance, ExtractInstance)
    assert tuple(instance.passage[a:b] for a, b in instance.candidates) == example.options
    assert instance.passage == "Options: a, an, an, a.\na an"
    assert instance.gold == (Span(16, 21),)


def test_an_extract_passage_must_hold_its_field_and_options() -> None:
    deaf = default_prompt(
        "choose", "en", {"extract": {"question": "q", "passage": "{{ options | join }}"}}
    )
    example = MultipleChoice("c", "Which?", ("a", "b"), gold=0)
    with pytest.raises(TemplateError, match="list every option") as caught:
        list(Extract().encode(example, deaf))
    assert caught.value.where["row"] == "c" and "0 of 2" in str(caught.value)
    upper = default_prompt(
        "answer", "en", {"extract": {"question": "q", "passage": "{{ passage | upper }}"}}
    )
    with pytest.raises(TemplateError, match="without filters"):
        list(Extract().encode(qa(frozenset([Span(0, 3)])), upper))


def test_hypotheses_may_be_worded_per_label() -> None:
    prompt = default_prompt("choose", "en", {"hypotheses": {"a": "It is {{ label }}!"}})
    example = MultipleChoice("c", "Which?", ("a", "b"), gold=0)
    found = [i.hypothesis for i in Entail().encode(example, prompt)]  # type: ignore[union-attr]
    assert found == ["It is a!", "b"]


def test_bounds_below_one_are_refused() -> None:
    for bounds in ({"max_words": 0}, {"negatives": 0}):
        with pytest.raises(Exception, match="below one"):
            Entail(**bounds)
