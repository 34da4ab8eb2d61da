"""One object for a trained model: ask it anything the eight task types can say, in any format."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from formats.base import Format, option_words
from formats.errors import ConfigError, RowError
from formats.examples import (
    Answer,
    Example,
    LabelSpace,
    MultiLabelClassification,
    MultipleChoice,
    QuestionAnswering,
    Regression,
    RelationClassification,
    Span,
    TextClassification,
    TextGeneration,
    TokenClassification,
    TypeSpace,
)
from formats.features import Group, featurize, yes_odds
from formats.instances import Entailment, Raw
from formats.prompts import Prompt, default_prompt
from formats.spaces import need_text
from formats.store import StoredRow, in_memory

from .answers import option_scores, plain
from .backbones import Backbone
from .data.batching import token_batches

CHUNK = 64  # examples that are featurized and predicted together
TOKENS = 16_384  # padded tokens per batch


@dataclass(frozen=True)
class Result:
    """An answer as plain data, and the closed options' shares of the score (None where open)."""

    answer: Any
    scores: dict[str, float] | None = None


def shares(example: Example, raws: Sequence[Raw]) -> dict[str, float] | None:
    """Softmax of the scores over the options of a single-answer example, else None.

    For several-answer examples each option's own probability.
    """
    values, words = option_scores(example, raws), option_words(example)
    if values is None:
        return None
    if isinstance(example, MultiLabelClassification):
        return {
            w: 1 / (1 + math.exp(-max(-60.0, min(60.0, v))))
            for w, v in zip(words, values, strict=True)
        }
    top = max(values)
    weights = [math.exp(v - top) for v in values]
    return {w: x / sum(weights) for w, x in zip(words, weights, strict=True)}


def _several(items: object, name: str) -> tuple[str, ...]:
    """``items`` as a tuple; the spaces check what is in it. Raises RowError: a text is no list."""
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise RowError(
            f"{name} are no list",
            got=items,
            expected="a list of texts",
            field=name,
            fix=f"{name}=[{items}, …]" if isinstance(items, str) else "give a list",
        )
    return tuple(items)


class Unified:
    """A backbone, the format it was trained in, and the eight ways of asking.

    >>> model = Unified.load("runs/first")                          # doctest: +SKIP
    >>> model.classify("what a day", ["good", "bad"]).answer        # doctest: +SKIP
    """

    def __init__(
        self, backbone: Backbone, format: Format, language: str = "en", seen: Sequence[str] = ()
    ) -> None:
        self.backbone = backbone.eval()
        self.format = format
        self.language = language
        self.seen = tuple(seen)  # the tasks it was trained on: evaluation refuses them as unseen

    @classmethod
    def load(cls, run: str | Path, device: str | torch.device | None = None) -> Unified:
        """The model of a finished run, on ``device`` (:func:`unify.devices.device_of`; the CPU
        without one). Raises RunError."""
        from .devices import device_of
        from .quiet import quiet
        from .runs import few_shot, find, load_run, seen_tasks

        quiet()
        place = device_of("cpu" if device is None else device)
        if few_shot(find(run)):
            from .prompts.again import Again

            return Again.of(find(run), place)
        backbone, format, _, folder = load_run(run)
        return cls(backbone.to(place), format, seen=seen_tasks(folder))

    def predict(
        self,
        examples: Iterable[Example],
        prompt: Prompt | Callable[[Example], Prompt] | None = None,
        refused: Callable[[Example, RowError], None] | None = None,
    ) -> Iterator[tuple[Example, Answer, list[Raw]]]:
        """Each example with its answer and raw predictions, in order, a chunk at a time.

        ``prompt`` is one for all, or gives each example its own. An example that does not fit into
        the model goes to ``refused``; without it, RowError.
        """
        from .evaluation import merge

        stream = iter(examples)
        while chunk := list(islice(stream, CHUNK)):
            if callable(prompt):
                prompts = [prompt(e) for e in chunk]
            else:
                prompts = [prompt or default_prompt(e.kind, self.language) for e in chunk]
            for e in chunk:
                reason = self.backbone.refusal(type(e), self.format.name)
                if reason:
                    raise ConfigError(reason, fix="use a run of another format or model")
            groups = []
            for i, (e, p) in enumerate(zip(chunk, prompts, strict=True)):
                try:
                    groups.append(Group(i, list(self.format.encode(e, p))))
                except RowError as error:
                    if refused is None:
                        raise
                    refused(e, error)
            rows: list[StoredRow] = []
            try:
                rows = [in_memory(f) for f in featurize(groups, self.backbone.coder)]
            except RowError:
                if refused is None:
                    raise
                for group in groups:  # one by one, to find the culprits
                    try:
                        found_rows = list(featurize([group], self.backbone.coder))
                    except RowError as error:
                        refused(chunk[group.row], error)
                        continue
                    rows += map(in_memory, found_rows)
            parts: dict[int, dict[int, list[Raw]]] = {}
            with torch.inference_mode():
                for batch in token_batches(rows, TOKENS):
                    for partial in self.backbone.predict(batch):
                        found = parts.setdefault(partial.row, {})
                        found.setdefault(partial.instance, []).append(partial.raw)
            for i, (e, p) in enumerate(zip(chunk, prompts, strict=True)):
                if i not in parts:
                    continue
                raws = [merge(parts[i][k]) for k in sorted(parts[i])]
                if self.backbone.layout.kind != "encoder" and self.format.name == "entail":
                    raws = [Entailment(yes_odds(r)) for r in raws]
                yield e, self.format.decode(e, p, raws), raws

    def ask(self, example: Example, instruction: str | None = None) -> Result:
        """One example's answer as plain data."""
        over = {"instruction": instruction} if instruction else None
        prompt = default_prompt(example.kind, self.language, over)
        _, answer, raws = next(self.predict([example], prompt))
        return Result(plain(answer, example), shares(example, raws))

    def classify(
        self,
        text: str,
        labels: Sequence[str],
        *,
        text_b: str | None = None,
        several: bool = False,
        instruction: str | None = None,
    ) -> Result:
        """The label of a text or a pair; with ``several``, all labels that fit."""
        space = LabelSpace(_several(labels, "labels"))
        cls = MultiLabelClassification if several else TextClassification
        return self.ask(cls("input", text, space, text_b), instruction)

    def choose(
        self,
        question: str,
        options: Sequence[str],
        *,
        context: str | None = None,
        instruction: str | None = None,
    ) -> Result:
        """The option that answers: ``{"index", "option"}``."""
        listed = _several(options, "options")
        return self.ask(MultipleChoice("input", question, listed, context), instruction)

    def answer(
        self,
        question: str,
        passage: str,
        *,
        several: bool = False,
        unanswerable: bool = False,
        instruction: str | None = None,
    ) -> Result:
        """The answer texts found in ``passage``, as a list."""
        example = QuestionAnswering(
            "input", question, passage, several=several, unanswerable=unanswerable
        )
        return self.ask(example, instruction)

    def tag(self, text: str, types: Sequence[str], *, instruction: str | None = None) -> Result:
        """Typed spans: ``{"start", "end", "type", "text"}`` each."""
        space = TypeSpace(_several(types, "types"))
        return self.ask(TokenClassification("input", text, space), instruction)

    def relate(
        self,
        text: str,
        head: str,
        tail: str,
        labels: Sequence[str],
        *,
        instruction: str | None = None,
    ) -> Result:
        """The relation between two phrases that stand in ``text`` (their first occurrences)."""
        spans = []
        need_text(text, "text")
        for name, phrase in (("head", head), ("tail", tail)):
            need_text(phrase, name)
            at = text.find(phrase)
            if at < 0 or not phrase:
                raise RowError(
                    f"the {name} does not stand in the text",
                    got=phrase,
                    field=name,
                    expected="a phrase of the text, letter by letter",
                )
            spans.append(Span(at, at + len(phrase)))
        space = LabelSpace(_several(labels, "labels"))
        return self.ask(
            RelationClassification("input", text, spans[0], spans[1], space), instruction
        )

    def rate(
        self,
        text: str,
        low: float = 0.0,
        high: float = 10.0,
        *,
        text_b: str | None = None,
        quantum: float = 1.0,
        instruction: str | None = None,
    ) -> Result:
        """A number on the scale from ``low`` to ``high``."""
        return self.ask(Regression("input", text, low, high, quantum, text_b), instruction)

    def generate(self, text: str, *, instruction: str | None = None) -> Result:
        """Free text."""
        return self.ask(TextGeneration("input", text), instruction)

    def fit(
        self,
        rows: Iterable[Mapping[str, Any]],
        type: str,
        *,
        steps: int = 200,
        batch_size: int = 16,
        lr: float = 5e-4,
        seed: int = 0,
        **declaration: Any,
    ) -> Unified:
        """Goes on training on the user's own rows, and returns itself.

        ``type`` is a task type (``classify`` …); ``declaration`` what a task's YAML would say
        (labels, types, scale, fields, prompts). ``steps`` are optimizer steps.
        """
        from .fit import fit

        fit(self, rows, type, declaration, steps=steps, batch_size=batch_size, lr=lr, seed=seed)
        return self

    def save(self, folder: str | Path) -> Path:
        """Writes a run folder that :meth:`load` reads."""
        from . import backbones, runs
        from .build import format_config

        path = Path(folder)
        runs.write_config(path, {"format": format_config(self.format)})
        runs.write_facts(path, seen=list(self.seen), versions=runs.versions())
        backbones.save(self.backbone, path / runs.MODEL)
        return path
