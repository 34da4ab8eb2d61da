"""Contrast sets (Gardner et al. 2020): a question and its perturbed versions, as rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from formats.errors import DataError

from .documents import load_json


def boolq_contrast(
    path: Path, *, skip: int = 0, encoding: str = "utf-8"
) -> Iterator[dict[str, Any]]:
    """The published question of each passage, then its perturbed ones.

    Yields ``{title, passage, question, answer, perturbed}``; rows of one title are one contrast
    set. Empty questions are rows too.

    Args:
        skip: items to leave out at the top, where a file begins with a placeholder.
    """
    document = load_json(path, encoding)
    try:
        for item in document["data"][skip:]:
            shared = {"title": item["title"], "passage": item["paragraph"]}
            yield {**shared, "question": item["question"], "answer": item["answer"],
                   "perturbed": False}  # fmt: skip
            for other in item["perturbed_questions"]:
                yield {**shared, "question": other["perturbed_q"], "answer": other["answer"],
                       "perturbed": True}  # fmt: skip
    except (KeyError, TypeError) as error:
        raise DataError(
            f"not in the layout of the contrast sets: {error}",
            file=str(path),
            expected="data / title, paragraph, question, answer, perturbed_questions",
        ) from None
