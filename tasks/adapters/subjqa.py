"""SubjQA (Bjerva et al. 2020): a review with a closing mark, and offsets written as a tuple."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from formats.errors import RowError

_NO_ANSWER = "ANSWERNOTFOUND"
_PLACE = re.compile(r"\((\d+), (\d+)\)")


def answered(row: Mapping[str, Any]) -> dict[str, Any]:
    """The question, the review without its mark, and the answer at its published place, if any."""
    text = row["human_ans_spans"]
    answers = []
    if text != _NO_ANSWER:
        found = _PLACE.fullmatch(row["human_ans_indices"])
        if found is None:
            raise RowError(
                "an answer without a place",
                got=row["human_ans_indices"],
                expected="(start, end)",
                field="human_ans_indices",
            )
        answers = [{"text": text, "start": int(found[1]), "end": int(found[2])}]
    review = row["review"].rstrip().removesuffix(_NO_ANSWER).rstrip()
    return {"question": row["question"], "passage": review, "answers": answers}
