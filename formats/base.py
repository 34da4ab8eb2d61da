"""What a format is: two pure functions per task type, and the checks around them."""

from __future__ import annotations

import functools
import itertools
import string
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

from .errors import RowError, TemplateError, UnsupportedCell
from .examples import (
    Answer,
    Example,
    MultipleChoice,
    QuestionAnswering,
    Regression,
    RelationClassification,
    Span,
    TextGeneration,
    TokenClassification,
)
from .instances import SURE, Instance, Raw, ScoredSpan
from .layouts import Layout
from .prompts import Prompt
from .prompts._prompts import Variant
from .shuffle import shuffled
from .templates import Rendered, fields_of


@functools.lru_cache(maxsize=1024)
def letters(count: int) -> tuple[str, ...]:
    """``count`` names for options: A, B … Z, AA, AB …"""
    names = (
        "".join(name)
        for length in itertools.count(1)
        for name in itertools.product(string.ascii_uppercase, repeat=length)
    )
    return tuple(itertools.islice(names, count))


def option_words(example: Example) -> tuple[str, ...]:
    """What the closed answer set of ``example`` reads like, in order; empty when it is open."""
    if isinstance(example, MultipleChoice):
        return example.options
    if isinstance(example, Regression):
        return example.grid
    if isinstance(example, TokenClassification):
        return example.types.words
    if isinstance(example, (QuestionAnswering, TextGeneration)):
        return ()
    return example.labels.words


def marked(example: RelationClassification) -> str:
    """The text with ``[head]`` in square brackets and ``{tail}`` in braces: a model that reads
    more than the two names has to know where they stand (Zhou and Chen 2022, section 3.1)."""
    head, tail = example.head, example.tail
    # Of two marks at one place the one that closes comes first, then the one that closes last.
    marks = sorted(
        (
            *((s.start, 1, -s.end, a) for s, a in ((head, "["), (tail, "{"))),
            *((s.end, 0, -s.start, a) for s, a in ((head, "]"), (tail, "}"))),
        )
    )
    out, done = [], 0
    for place, _, _, mark in marks:
        out += [example.text[done:place], mark]
        done = place
    return "".join((*out, example.text[done:]))


ABOUT = {"task": "", "domain": ""}  # of examples that no declared task brought


def _values(example: Example, prompt: Prompt) -> dict[str, Any]:
    values: dict[str, Any] = {**ABOUT, **prompt.about, "instruction": prompt.instruction}
    for name in ("text", "question", "passage", "source"):
        if hasattr(example, name):
            values[name] = getattr(example, name)
    for name in ("text_b", "context"):
        if hasattr(example, name):
            values[name] = getattr(example, name)
    words = option_words(example)
    if words:
        values["options"] = words
        values["letters"] = letters(len(words))
    if isinstance(example, RelationClassification):
        values["head"] = example.head.of(example.text)
        values["tail"] = example.tail.of(example.text)
        values["marked"] = marked(example)
    if isinstance(example, Regression):
        values["low"] = example.write(example.low)
        values["high"] = example.write(example.high)
    return values


class Ask(NamedTuple):
    """One example, the way it is asked, and the format's settings.

    ``sample`` asks for a training group, see :meth:`Format.encode`.
    """

    example: Any
    prompt: Prompt
    variant: Variant
    fields: Mapping[str, Any]
    settings: Any
    sample: bool = False

    def render(self, part: str, **more: Any) -> Rendered:
        return self.variant.parts[part].render(self._with(more))

    def text(self, part: str, **more: Any) -> str:
        return self.variant.parts[part].text(self._with(more))

    def _with(self, more: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**self.fields, **fields_of(more)} if more else self.fields


def _always(ask: Ask) -> None:
    """What every answer of a cell that can express all of them gets from ``holds``."""


class Cell(NamedTuple):
    """``encode`` writes the instances of an example, ``decode`` reads its raw predictions.

    ``holds`` gives the reason why a row's gold answer lies outside what the cell can express,
    or None; such rows are counted, never silently wrong.
    """

    encode: Callable[[Ask], Iterator[Instance]]
    decode: Callable[[Ask, list[Raw]], Answer]
    holds: Callable[[Ask], str | None] = _always


class Format:
    """A format: a table of cells, one per task type that it supports.

    Subclasses are frozen dataclasses of settings and set ``name``, ``cells`` and ``refusals``.
    """

    name: ClassVar[str]
    cells: ClassVar[Mapping[type, Cell]]
    refusals: ClassVar[Mapping[type, str]] = {}

    @property
    def published(self) -> Layout | None:
        """The layout that stands in place of the prompts' own templates, if any."""
        return None

    def supports(self, kind: type) -> bool:
        return self.refusal(kind) is None

    def refusal(self, kind: type) -> str | None:
        """Why ``kind`` cannot be asked in this format, or None when it can."""
        if kind not in self.cells:
            return self.refusals.get(kind, "no such cell")
        return None if self.published is None else self.published.refusal(kind)

    def _ask(self, example: Example, prompt: Prompt, template: int, sample: bool) -> Ask:
        layout = self.published
        variant = layout.ways[example.kind] if layout else prompt.variant(self.name, template)
        fields = fields_of(_values(example, prompt))
        if sample and "options" in fields and not variant.reads("letters"):
            # Trained on one order, a model learns the order. Fields remember their own index.
            fields["options"] = shuffled(fields["options"], f"options/{example.id}")
        return Ask(example, prompt, variant, fields, self, sample)

    def _cell(self, example: Example) -> Cell:
        cell = self.cells.get(type(example))
        if cell is None or not self.supports(type(example)):
            raise UnsupportedCell(
                f"{type(example).__name__} cannot be asked as {self.name}: "
                f"{self.refusal(type(example))}",
                row=example.id,
                fix="use a format that supports it; `unify tasks show` lists them",
            )
        return cell

    def encode(
        self, example: Example, prompt: Prompt, *, template: int = 0, sample: bool = False
    ) -> Iterator[Instance]:
        """The instances that ask for ``example``; neighbours share their long text.

        ``sample=True`` makes a training group: listed options come in a random order, seeded by
        the example's id, and large candidate sets are thinned (which reads the gold).
        Raises UnsupportedCell, TemplateError, RowError (an instance too large to be asked).
        """
        cell = self._cell(example)
        try:
            yield from cell.encode(self._ask(example, prompt, template, sample))
        except (RowError, TemplateError) as error:
            raise error.at(row=example.id, format=self.name, template=template) from None

    def decode(
        self, example: Example, prompt: Prompt, raws: Iterable[Raw], *, template: int = 0
    ) -> Answer:
        """One answer from the raw predictions of all instances, in their order."""
        cell = self._cell(example)
        return cell.decode(self._ask(example, prompt, template, False), list(raws))

    def holds(self, example: Example, prompt: Prompt, *, template: int = 0) -> str | None:
        """Why the gold answer of ``example`` lies outside this cell, or None."""
        holds = self._cell(example).holds
        return None if holds is _always else holds(self._ask(example, prompt, template, False))


def best(values: Iterable[float]) -> int:
    """Index of the largest value; the first one on ties."""
    listed = list(values)
    return max(range(len(listed)), key=listed.__getitem__)


def choose(spans: Iterable[ScoredSpan], *, several: bool, empty: bool) -> list[ScoredSpan]:
    """The spans that answer: all positive ones that do not overlap a better one, or the best.

    ``several`` allows more than one, ``empty`` allows none.
    """
    ranked = sorted(spans, key=lambda s: (-s.score, s.start, s.end))
    if not ranked:
        return []
    if not several:
        return ranked[:1] if ranked[0].score > 0 or not empty else []
    kept: list[ScoredSpan] = []
    for span in ranked:
        if span.score <= 0:
            break
        if all(span.end <= k.start or k.end <= span.start for k in kept):
            kept.append(span)
    if not kept and not empty:
        kept = ranked[:1]
    return kept


def unheld(passage: str, spans: Collection[Span]) -> str | None:
    """Why :func:`choose` cannot answer with all of ``spans``, or None."""
    wanted = {s.of(passage) for s in spans}
    scored = [ScoredSpan(s.start, s.end, SURE) for s in spans]
    kept = choose(scored, several=True, empty=True)
    if {passage[s.start : s.end] for s in kept} == wanted:
        return None
    return "gold spans overlap, and several answers are read without overlap"
