"""How long answer spans are in seen rows: what bounds the candidates that entail asks about."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from formats import Entail, QuestionAnswering, TokenClassification
from formats.candidates import candidates
from formats.errors import ConfigError
from formats.examples import Example
from formats.lengths import length_in_words

from .task import Task


def spans_of(example: Example) -> Iterable[tuple[str, int, int, str]]:
    """``(text, start, end, type's words)`` of the gold spans; of a question's first alternative."""
    if isinstance(example, QuestionAnswering):
        for span in example.gold[0] if example.gold else ():
            yield example.passage, span.start, span.end, ""
    elif isinstance(example, TokenClassification):
        for span in example.gold or ():
            yield example.text, span.start, span.end, example.types.word(span.type)


def at_quantile(lengths: Mapping[int, int], quantile: float) -> int:
    """The least length that covers a share of ``quantile`` of those counted in ``lengths``."""
    needed = math.ceil(quantile * sum(lengths.values()) - 1e-9)
    covered = 0
    for length in sorted(lengths):
        covered += lengths[length]
        if covered >= needed:
            return length
    raise ValueError("no length is counted")


def span_bounds(
    tasks: Sequence[Task], *, quantile: float = 1.0, limit: int | None = None
) -> dict[str, int]:
    """Words of a span by the words of its type, and by the kind of task (``answer``, ``tag``).

    Per task, of its training rows (``limit`` at most), the length that covers ``quantile`` of the
    spans; of several tasks the longest. Plain data, for ``Entail(bounds=...)``: a type that no
    seen task has falls back to its kind. Give it seen tasks only.
    """
    if not 0 < quantile <= 1:
        raise ConfigError("no quantile", got=quantile, expected="above 0 and at most 1")
    found: dict[str, int] = {}
    for task in tasks:
        if task.kind not in ("answer", "tag") or "train" not in task.splits():
            continue
        lengths: dict[str, Counter[int]] = {}
        for example in task.examples("train", limit=limit, on_bad_row="skip"):
            for text, start, end, word in spans_of(example):
                length = length_in_words(text, start, end)
                if length is not None:  # what is no run of words is no candidate at any bound
                    for name in {task.kind, word.casefold()} - {""}:
                        lengths.setdefault(name, Counter())[length] += 1
        for name, counted in lengths.items():
            found[name] = max(found.get(name, 0), at_quantile(counted, quantile))
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class CandidateRecall:
    """How much of the gold a format's candidates reach, and at what cost.

    Attributes:
        rows: rows whose answers are spans.
        spans: their gold spans; ``kept`` are those among the candidates.
        hypotheses: candidates of all rows, one hypothesis each.
    """

    rows: int
    spans: int
    kept: int
    hypotheses: int

    @property
    def recall(self) -> float:
        return self.kept / self.spans if self.spans else 1.0

    @property
    def per_row(self) -> float:
        return self.hypotheses / self.rows if self.rows else 0.0

    def __str__(self) -> str:
        return (
            f"{self.recall:.1%} of {self.spans} gold spans are candidates, "
            f"{self.per_row:.0f} hypotheses per row"
        )


def candidate_recall(examples: Iterable[Example], format: Entail) -> CandidateRecall:
    """Recall and cost of ``format``'s candidates over ``examples``; other types do not count."""
    rows = spans = kept = hypotheses = 0
    for example in examples:
        if isinstance(example, QuestionAnswering):
            text, words = example.passage, [""]
        elif isinstance(example, TokenClassification):
            text, words = example.text, list(example.types.words)
        else:
            continue
        rows += 1
        bounds = [format.most_words(example.kind, word) for word in words]
        if format.two_stage and isinstance(example, TokenClassification):
            bounds.append(max(bounds))
        asked = Counter(bounds)
        hypotheses += sum(n * _count(text, most) for most, n in asked.items())
        for _, start, end, word in spans_of(example):
            length = length_in_words(text, start, end)
            spans += 1
            kept += length is not None and length <= format.most_words(example.kind, word)
    return CandidateRecall(rows, spans, kept, hypotheses)


def _count(text: str, most: int) -> int:
    return sum(1 for _ in candidates(text, most))
