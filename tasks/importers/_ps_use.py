"""Whether a promptsource template asks one of our tasks, tried on real rows; and as our template.

It does when, on every row, the input does not depend on the answer and the target is the answer:
one fixed word per label, the option's text or letter, the number, the span, a reference.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from formats.errors import TemplateError, UnifyError
from formats.examples import Example, MultipleChoice, QuestionAnswering, Regression, matches
from formats.templates import Template

from ..task import Task
from ._ps_original import BAR, Original, apply, choices_of, environment, names_in
from ._ps_rows import NEUTRAL, Columns, golds, row_of


@dataclass(frozen=True)
class Usable:
    """``source`` is a template of the generate format; ``words`` what the labels (in the order of
    the task) read like in it, ``target`` whether options are answered by text or letter."""

    name: str
    source: str
    words: tuple[str, ...] = ()
    target: str = "text"


def use(template: Original, task: Task, columns: Columns, rows: Sequence[Example]) -> Usable:
    """The template as one of ``task``'s; raises TemplateError with the reason why it cannot be."""
    have = {*columns.columns, *columns.gold}
    lacking = sorted(template.columns() - have)
    if lacking:
        raise TemplateError(f"reads {', '.join(lacking)}, which {task.name} does not have")
    targets, inputs = _tried(template, task, columns, rows)
    words, target = _answer(task, rows, targets)
    source = _rewritten(template, task, columns, rows, inputs)
    return Usable(template.name, source, words, target)


def _tried(
    template: Original, task: Task, columns: Columns, rows: Sequence[Example]
) -> tuple[list[dict[Any, str]], list[str]]:
    """Per row the target for each answer that it could have, and the one input."""
    targets: list[dict[Any, str]] = []
    inputs: list[str] = []
    for example in rows:
        made = {g: apply(template, row_of(columns, example, g, task.prompt))
                for g in golds(example)}  # fmt: skip
        silent = [str(g) for g, pair in made.items() if pair is None]
        if silent:
            few = f"{len(silent)} of {len(made)} answers" if len(made) > 4 else ", ".join(silent)
            some = "on some rows" if len(silent) == len(made) else f"for {few}"
            raise TemplateError(f"says nothing {some}")
        said = {g: pair for g, pair in made.items() if pair is not None}
        if len({pair[0] for pair in said.values()}) > 1:
            raise TemplateError("its input shows the answer")
        targets.append({g: pair[1] for g, pair in said.items()})
        inputs.append(next(iter(said.values()))[0])
    return targets, inputs


def _other(target: str, answer: str) -> TemplateError:
    def short(text: str) -> str:
        return repr(text if len(text) <= 40 else f"{text[:39]}…")

    return TemplateError(f"asks for another thing: {short(target)} where we have {short(answer)}")


def _answer(
    task: Task, rows: Sequence[Example], targets: Sequence[Mapping[Any, str]]
) -> tuple[tuple[str, ...], str]:
    """The label words, and how options are answered."""
    if task.kind == "classify":
        assert task.labels is not None
        words = tuple(targets[0][name] for name in task.labels.names)
        for made in targets:
            for name, word in zip(task.labels.names, words, strict=True):
                if made[name] != word:
                    raise _other(made[name], word)
        twice = sorted({word for word in words if words.count(word) > 1})
        if twice:
            raise TemplateError(f"two labels share the word {twice[0]!r}")
        return words, "text"
    ways = {_way(example, made) for example, made in zip(rows, targets, strict=True)}
    if len(ways) > 1:
        raise TemplateError("answers by text on some rows, by letter on others")
    return (), ways.pop()


def _way(example: Example, made: Mapping[Any, str]) -> str:
    if isinstance(example, MultipleChoice):
        said = tuple(made[g] for g in range(len(example.options)))
        if said == tuple(option.strip() for option in example.options):
            return "text"
        if said == tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(said)]):
            return "letter"
        raise _other(said[0], example.options[0])
    said_, gold = made[example.gold], example.gold
    if isinstance(example, Regression):
        expected = [example.write(float(gold))]  # type: ignore[arg-type]
        number = _number(said_)
        if number is not None and matches(example, number):  # 5.0 is 5, 2.8 the grid's 2.75
            return "text"
    elif isinstance(example, QuestionAnswering):
        expected = [text for texts in example.gold_texts() for text in texts]
    else:
        expected = list(gold)  # type: ignore[arg-type]
    if said_ not in (text.strip() for text in expected):
        raise _other(said_, expected[0])
    return "text"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _choices(
    template: Original, task: Task, columns: Columns, rows: Sequence[Example]
) -> str | None:
    """``answer_choices`` as an expression over our fields: a list, the options or their letters."""
    if not template.used_choices():
        return None
    lists = [choices_of(template, row_of(columns, e, golds(e)[0], task.prompt)) for e in rows]
    if all(listed == lists[0] for listed in lists):
        return json.dumps(lists[0], ensure_ascii=False)
    options = [[o.strip() for o in getattr(e, "options", ())] for e in rows]
    if lists == options:
        return "options"
    letters = [list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(o)]) for o in options]
    if lists == letters:
        return "letters"
    raise TemplateError("its answer choices are neither the options nor the same everywhere")


def _rewritten(
    template: Original,
    task: Task,
    columns: Columns,
    rows: Sequence[Example],
    inputs: Sequence[str],
) -> str:
    """The input part over our own fields, proven equal on ``rows`` through the generate format."""
    values = dict(columns.columns)
    for name, how in columns.gold.items():  # the answer is not known where a prompt is written
        values[name] = NEUTRAL["index"] if isinstance(how, list) else NEUTRAL[how]
    choices = _choices(template, task, columns, rows)
    if choices is not None:
        values["answer_choices"] = choices
    for source in _sources(template, values):
        problem = _differs(source, task, rows, inputs)
        if problem is None:
            return source
    raise TemplateError(problem or "no source")


def _sources(template: Original, values: Mapping[str, str]) -> list[str]:
    """Ways of writing the input part, the plainest first."""
    part = template.source.split(BAR)[0].strip()
    try:
        environment().parse(part)
    except Exception:  # a block spans both parts: the whole is rendered, and the input cut out
        whole = f"{{% set whole %}}{template.source}{{% endset %}}"
        cut = f"{{{{ whole.split('{BAR}')[0] | trim }}}}"
        return [_sets(template.source, values) + whole + cut]
    sets = _sets(part, values)
    return [sets + part, f"{sets}{{% filter trim %}}{part}{{% endfilter %}}"]


def _sets(source: str, values: Mapping[str, str]) -> str:
    """Names the dataset's columns; all at once, since a column may have the name of our field."""
    names = [n for n in values if n in names_in(source) and values[n] != n]
    if not names:
        return ""
    return f"{{% set {', '.join(names)} = {', '.join(f'({values[n]})' for n in names)} %}}"


def _differs(source: str, task: Task, rows: Sequence[Example], inputs: Sequence[str]) -> str | None:
    """Why ``source`` does not give ``inputs``, if it does not."""
    from formats.base import _values
    from formats.templates import fields_of

    try:
        made = Template(source)
        for example, expected in zip(rows, inputs, strict=True):
            if made.text(fields_of(_values(example, task.prompt))) != expected:
                return "reads otherwise than the original in our own sandbox"
    except UnifyError as error:
        return f"our own sandbox refuses it: {error.what}"
    return None
