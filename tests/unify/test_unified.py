"""One object, eight questions, three formats: every answer lies in its answer space."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from unify_helpers import mood_rows, moods, tiny

from formats import Entail, Extract, Generate, QuestionAnswering, UnifyError
from formats.base import Format
from formats.errors import ConfigError, RowError, RunError, UnknownName, UnsupportedCell
from unify import Unified
from unify.fit import fit
from unify.quiet import quiet

quiet()
FORMATS: dict[str, tuple[str, Format]] = {
    "generate": ("t5", Generate()),
    "generate-causal": ("llama", Generate()),
    "extract": ("modernbert", Extract()),
    "entail": ("modernbert", Entail(max_words=3)),
    "entail-causal": ("llama", Entail(max_words=3)),
}
TEXT = "Ann keeps three red boats in Port Lund."
LABELS = ["good", "bad", "neither of them"]


@pytest.fixture(scope="module")
def models() -> dict[str, Unified]:
    return {
        name: Unified(tiny(architecture, format.name), format)
        for name, (architecture, format) in FORMATS.items()
    }


each_format = pytest.mark.parametrize("name", FORMATS)
closed = pytest.mark.parametrize(
    ("ask", "allowed"),
    [
        (lambda m: m.classify(TEXT, LABELS), LABELS),
        (lambda m: m.classify(TEXT, LABELS, text_b="Bob too."), LABELS),
        (lambda m: m.classify(TEXT, LABELS, instruction="Good or bad?"), LABELS),
        (lambda m: m.relate(TEXT, "Ann", "Port Lund", LABELS), LABELS),
    ],
)


@each_format
@closed
def test_a_label_is_one_of_the_labels(
    models: dict[str, Unified], name: str, ask: Callable[[Unified], Any], allowed: list[str]
) -> None:
    result = ask(models[name])
    assert result.answer in allowed
    assert result.scores is not None and list(result.scores) == allowed
    assert sum(result.scores.values()) == pytest.approx(1.0)
    assert max(result.scores, key=result.scores.__getitem__) == result.answer


@each_format
def test_several_labels_are_a_part_of_them(models: dict[str, Unified], name: str) -> None:
    result = models[name].classify(TEXT, LABELS, several=True)
    assert set(result.answer) <= set(LABELS) and result.answer == sorted(set(result.answer))
    if name.startswith("generate"):
        assert result.scores is None
    else:
        assert result.scores is not None
        assert {w for w, p in result.scores.items() if p > 0.5} == set(result.answer)


@each_format
def test_a_choice_is_one_of_the_options(models: dict[str, Unified], name: str) -> None:
    result = models[name].choose("Who keeps boats?", ["Ann", "Bob"], context=TEXT)
    assert result.answer in ({"index": 0, "option": "Ann"}, {"index": 1, "option": "Bob"})
    assert result.scores is not None and sum(result.scores.values()) == pytest.approx(1.0)


@each_format
def test_an_answer_stands_in_the_passage(models: dict[str, Unified], name: str) -> None:
    for more in ({}, {"several": True}, {"unanswerable": True}):
        result = models[name].answer("Who keeps boats?", TEXT, **more)
        assert result.scores is None
        if name.startswith("generate"):  # it writes what it likes
            assert result.answer is None or all(isinstance(t, str) for t in result.answer)
            continue
        assert all(t in TEXT for t in result.answer)
        assert more or len(result.answer) == 1


@each_format
def test_tags_are_typed_spans_of_the_text(models: dict[str, Unified], name: str) -> None:
    result = models[name].tag(TEXT, ["person", "place"])
    for span in result.answer:
        assert TEXT[span["start"] : span["end"]] == span["text"] != ""
        assert span["type"] in ("person", "place")


@each_format
def test_a_rating_lies_on_the_scale(models: dict[str, Unified], name: str) -> None:
    result = models[name].rate(TEXT, 1, 5, quantum=0.5)
    assert result.answer is None or 1 <= result.answer <= 5
    if name == "extract":
        assert (result.answer - 1) % 0.5 == 0
        assert result.scores is not None and len(result.scores) == 9


@each_format
def test_free_text_is_written_or_refused(models: dict[str, Unified], name: str) -> None:
    if name.startswith("generate"):
        assert isinstance(models[name].generate(TEXT).answer, str)
        return
    with pytest.raises(UnsupportedCell, match="use generate"):
        models[name].generate(TEXT)


@each_format
def test_a_stream_is_answered_in_its_order(models: dict[str, Unified], name: str) -> None:
    examples = moods(70)  # more than one chunk
    found = list(models[name].predict(iter(examples)))
    assert [e.id for e, _, _ in found] == [e.id for e in examples]
    for index in (0, 63, 64, 69):
        alone = models[name].ask(examples[index])
        assert alone.answer == found[index][1]


def test_a_long_passage_is_read_whole(models: dict[str, Unified]) -> None:
    passage = "boats and dogs " * 100 + "Zoltan"
    found = models["extract"].tag(passage, ["person"]).answer
    assert isinstance(found, list)
    (spans,) = [raws for _, _, raws in models["extract"].predict([
        QuestionAnswering("0", "Who?", passage)
    ])]
    starts = [s.start for s in spans[0].spans]
    assert max(starts) > 1000 > 300 > min(starts)


def test_questions_in_another_language(models: dict[str, Unified]) -> None:
    model = Unified(models["extract"].backbone, Extract(), "zh")
    assert model.classify("安有三条红船。", ["好", "坏"]).answer in ("好", "坏")


# Refusals


def test_what_cannot_be_asked_is_said(models: dict[str, Unified]) -> None:
    model = models["extract"]
    with pytest.raises(RowError, match="fewer than 2 labels"):
        model.classify(TEXT, ["good"])
    with pytest.raises(RowError, match="text is empty"):
        model.classify(" ", LABELS)
    with pytest.raises(RowError, match="the head does not stand in the text") as caught:
        model.relate(TEXT, "ann", "Bob", LABELS)
    assert caught.value.got == "ann" and caught.value.where["field"] == "head"
    with pytest.raises(RowError, match="fewer than two"):
        model.choose("Who?", ["Ann"])
    with pytest.raises(RowError, match="empty or endless scale"):
        model.rate(TEXT, 5, 1)


def test_a_cloze_cannot_write() -> None:
    model = Unified(tiny("bert", "generate"), Generate())
    assert model.classify(TEXT, ["good", "bad"]).answer in ("good", "bad")
    with pytest.raises(ConfigError, match="needs free generation"):
        model.answer("Who?", TEXT)


# Fitting and folders


@pytest.mark.parametrize(("name", "steps"), [("generate-causal", 120), ("extract", 250)])
def test_fitting_learns_a_rule_of_one_word(name: str, steps: int) -> None:
    architecture, format = FORMATS[name]
    backbone = tiny(architecture, format.name, spread=3.0)
    model = Unified(backbone, format)
    losses = [
        loss for _, loss in fit(
            model, mood_rows(24), "classify", {"labels": ["glad", "sad"]}, steps=steps,
            batch_size=8, lr=5e-3, seed=0,
        )
    ]
    assert len(losses) == steps and losses[-1] < 0.2 * losses[0]
    assert not model.backbone.training
    answers = [model.ask(e).answer for e in moods(12)]
    assert answers == ["glad", "sad"] * 6


def test_fit_returns_the_model_and_takes_a_declaration() -> None:
    model = Unified(tiny("llama", "generate", spread=1.0), Generate())
    rows = [{"headline": e.text, "label": "1" if e.gold == "glad" else "0"} for e in moods(8)]
    again = model.fit(rows, "classify", steps=2, batch_size=4, labels={"0": "sad", "1": "glad"},
                      fields={"text": "headline"})
    assert again is model


def test_fit_says_what_is_wrong() -> None:
    model = Unified(tiny("modernbert", "extract"), Extract())
    with pytest.raises(UnknownName, match="did you mean 'classify'"):
        model.fit(mood_rows(4), "clasify", steps=1, labels=["glad", "sad"])
    with pytest.raises(UnsupportedCell, match="cannot be asked as extract"):
        model.fit([{"source": "a", "targets": "b"}], "generate", steps=1)
    with pytest.raises(RowError, match="unknown label 'glad'") as caught:
        model.fit(mood_rows(4), "classify", steps=1, labels=["good", "sad"])
    assert {"task", "split", "file", "row", "field"} <= caught.value.where.keys()
    with pytest.raises(UnifyError):
        model.fit([], "classify", steps=1, labels=["good", "sad"])


@each_format
def test_a_saved_model_answers_the_same(
    models: dict[str, Unified], name: str, tmp_path: Path
) -> None:
    folder = models[name].save(tmp_path / "mine")
    again = Unified.load(folder)
    assert again.format == models[name].format
    assert again.classify(TEXT, LABELS) == models[name].classify(TEXT, LABELS)
    with pytest.raises(RunError, match="no run here"):
        Unified.load(tmp_path / "yours")


def test_a_row_that_a_format_refuses_costs_no_other_row(
    models: dict[str, Unified], monkeypatch: pytest.MonkeyPatch
) -> None:
    from formats import entail

    monkeypatch.setattr(entail, "MOST_CHARACTERS", 1000)
    rows = [QuestionAnswering("a", "Who?", "Ann left."),
            QuestionAnswering("b", "Who left " + "early " * 80 + "?", "Ann left."),
            QuestionAnswering("c", "Who?", "Bob left.")]  # fmt: skip
    refused: list[tuple[str, str]] = []
    found = models["entail"].predict(rows, refused=lambda e, r: refused.append((e.id, r.what)))
    assert [e.id for e, _, _ in found] == ["a", "c"]
    assert refused == [("b", "hypotheses that repeat a long question for each of many candidates")]
    with pytest.raises(RowError, match="a long question"):
        list(models["entail"].predict(rows))
