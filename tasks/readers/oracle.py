"""Extractive summaries: the lines of a text that come closest to its published summaries."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

from formats.errors import DeclarationError


class _Words:
    """rouge_score's stemmed words, each line cut once: the same lines are scored many times."""

    def __init__(self) -> None:
        from rouge_score.tokenizers import DefaultTokenizer

        self._cut = functools.cache(DefaultTokenizer(use_stemmer=True).tokenize)

    def tokenize(self, text: str) -> list[str]:
        return [word for line in text.split("\n") for word in self._cut(line)]


def greedy(lines: Sequence[str], summaries: Sequence[str], most: int) -> list[int]:
    """Numbers of at most ``most`` lines, ascending: the greedy oracle of extractive summarisation.

    The line that raises ROUGE-L F (stemmed, mean over ``summaries``) most is added, the first of
    equal ones, until none raises it (Nallapati et al. 2017, section 4.3). Empty where no line
    shares a word with a summary.
    """
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], tokenizer=_Words())

    def score(numbers: Sequence[int]) -> float:
        text = "\n".join(lines[i] for i in sorted(numbers))
        return sum(float(scorer.score(s, text)["rougeL"].fmeasure) for s in summaries)

    chosen: list[int] = []
    reached = 0.0
    while len(chosen) < most:
        left = [i for i in range(len(lines)) if i not in chosen]
        best, number = max(((score([*chosen, i]), -i) for i in left), default=(0.0, 0))
        if best <= reached:
            break
        reached = best
        chosen.append(-number)
    return sorted(chosen)


def extractive(
    path: Any,
    *,
    reader: str,
    passage: str,
    summaries: str,
    question: str,
    most: int = 3,
    **options: Any,
) -> Iterator[dict[str, Any]]:
    """Rows of ``reader`` with ``{passage, question, answers: [{text, start}]}``.

    Args:
        passage: column of the text; its lines are what may be chosen.
        summaries: what the names of the columns with its summaries begin with.
        question: the same for every row.
        most: lines of a summary at most.
    """
    from . import READERS

    for row in READERS[reader](path, **options):
        written = [text for name, text in row.items() if name.startswith(summaries)]
        if passage not in row or not written:
            raise DeclarationError(
                "no text, or no summary of it",
                got=sorted(row),
                expected=f"the column {passage!r} and columns named {summaries}…",
                field="format",
            )
        lines = row[passage].split("\n")
        answers = [
            {"text": lines[i], "start": sum(len(line) + 1 for line in lines[:i])}
            for i in greedy(lines, written, most)
        ]
        yield {"passage": row[passage], "question": question, "answers": answers}
