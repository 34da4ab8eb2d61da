"""Worked examples: a question, the steps to its answer, and the answer; and which ones to show."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from formats.errors import ConfigError, UnknownName
from formats.examples import Example, TextGeneration

from .questions import Question, plain_number

_CALCULATOR = re.compile(r"<<[^<>]*>>")  # GSM8K's notes to a calculator, no part of the sentence
SELECT = ("first", "random", "complex", "nearest")


@dataclass(frozen=True)
class Demo:
    """A worked example; ``rationale`` is empty where only the answer is shown."""

    question: str
    answer: str
    rationale: str = ""

    def __post_init__(self) -> None:
        if not self.question.strip() or not self.answer.strip():
            raise ConfigError(
                "a demonstration without question or answer",
                got=self,
                expected="both, with visible characters",
            )

    @property
    def steps(self) -> int:
        return steps(self.rationale)


def steps(rationale: str) -> int:
    """Lines; of a text of one line, sentences (Fu et al. 2023, section 3)."""
    lines = [line for line in rationale.splitlines() if line.strip()]
    if len(lines) > 1:
        return len(lines)
    return len([s for s in re.split(r"(?<=[.!?])\s+", rationale.strip()) if s])


def worked(question: Question) -> Demo | None:
    """The row's own solution: its rationale, or what stands before ``####`` (GSM8K). None for a
    row that has none."""
    example = question.example
    gold = gold_answer(example)
    if gold is None or not isinstance(example, TextGeneration):
        return None
    before, marked, _ = gold.rpartition("####")
    rationale = example.rationale if example.rationale is not None else before if marked else ""
    rationale = _CALCULATOR.sub("", rationale).strip()
    answer = question.read(gold, marker="####") if question.kind == "number" else gold.strip()
    return Demo(question.text, str(answer), rationale) if rationale and answer else None


def answered(question: Question) -> Demo | None:
    """The row with its answer alone. None for a row without gold."""
    example = question.example
    gold = getattr(example, "gold", None)
    if gold is None:
        return None
    if isinstance(example, TextGeneration):
        found = question.read(gold[0], marker="####") if question.kind == "number" else gold[0]
        return None if found is None else Demo(question.text, str(found))
    if question.kind == "number":
        from decimal import Decimal

        return Demo(question.text, plain_number(Decimal(str(gold))))
    if question.kind == "text":
        first = sorted(example.gold_texts()[0]) if hasattr(example, "gold_texts") else []
        return Demo(question.text, ", ".join(first)) if first else None
    return Demo(question.text, question.written(gold))


def gold_answer(example: Example) -> str | None:
    """The first reference of a generation row."""
    gold = getattr(example, "gold", None)
    return gold[0] if isinstance(example, TextGeneration) and gold else None


def select(pool: Sequence[Demo], k: int, by: str, seed: int) -> tuple[Demo, ...]:
    """``k`` demonstrations of ``pool``; ``complex``: those with most steps (Fu et al. 2023), the
    earlier of equals. Raises ConfigError."""
    from ..demonstrations import random_k

    if by not in SELECT or by == "nearest":
        raise UnknownName("selection", by, SELECT)
    if k > len(pool):
        raise ConfigError(
            "fewer worked examples than demonstrations asked for", got=len(pool),
            expected=f"at least {k}",
            fix="demos=…, or demos_from=<a task whose rows have rationales>",
        )  # fmt: skip
    if by == "first":
        return tuple(pool[:k])
    if by == "random":
        return tuple(pool[i] for i in random_k(len(pool), k, seed))
    ranked = sorted(range(len(pool)), key=lambda i: (-pool[i].steps, i))
    return tuple(pool[i] for i in ranked[:k])


def nearest_to(
    texts: Sequence[str], pool: Sequence[Demo], k: int, encoder: str | None
) -> list[tuple[Demo, ...]]:
    """Per text its ``k`` nearest demonstrations, the nearest last."""
    from ..demonstrations import bag_of_words, encoded, nearest

    told = [d.question for d in pool]
    if encoder:
        vectors, asked = encoded(encoder, told), encoded(encoder, texts)
    else:
        vectors, asked = bag_of_words(told, texts)
    return [tuple(pool[i] for i in row) for row in nearest(asked, vectors, k)]
