"""What a report says of a closed task's answers: calibration, confusions, confident mistakes."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from formats.examples import (
    Answer,
    Example,
    MultipleChoice,
    RelationClassification,
    TextClassification,
    matches,
)
from tasks.metrics import Record

from .answers import gold, plain

BINS = 15
LABELS = 12  # of a confusion matrix; the others are one row and one column


def chosen_option(example: Example, answer: Answer) -> int | None:
    """The place of a single-choice answer among its example's options, else None."""
    if isinstance(example, MultipleChoice) and isinstance(answer, int):
        return answer
    if isinstance(example, (TextClassification, RelationClassification)):
        return example.labels.index(answer) if answer in example.labels.names else None
    return None


def confidence(record: Record) -> float | None:
    """The answer's share in the softmax of its options' scores; None for an open answer."""
    place = chosen_option(record.example, record.answer)
    if place is None or record.scores is None or not all(map(math.isfinite, record.scores)):
        return None
    top = max(record.scores)
    powers = [math.exp(s - top) for s in record.scores]
    return powers[place] / math.fsum(powers)


def calibration(
    confidences: Sequence[float], right: Sequence[bool], bins: int = BINS
) -> dict[str, Any]:
    """Expected calibration error over bins ``(m/M, (m+1)/M]`` of equal width (Guo et al. 2017,
    section 2): the mean gap between confidence and accuracy, weighted by rows. Empty bins are
    left out."""
    sure, hit = np.asarray(confidences, float), np.asarray(right, float)
    edges = np.linspace(0.0, 1.0, bins + 1)
    places = np.clip(np.searchsorted(edges, sure, side="left") - 1, 0, bins - 1)
    table, gap = [], 0.0
    for place in range(bins):
        inside = places == place
        rows = int(inside.sum())
        if not rows:
            continue
        mean, accuracy = float(sure[inside].mean()), float(hit[inside].mean())
        gap += rows * abs(accuracy - mean)
        table.append(
            {
                "low": float(edges[place]),
                "high": float(edges[place + 1]),
                "rows": rows,
                "confidence": mean,
                "right": accuracy,
            }
        )
    return {"ece": gap / len(sure), "rows": len(sure), "bins": table}


def confusion(pairs: Counter[tuple[str, str | None]], most: int = LABELS) -> dict[str, Any]:
    """Counts ``[gold][answer]`` of the ``most`` commonest labels; the rest are ``others``, and an
    answer that is none of the labels has a column of its own."""
    met: Counter[str] = Counter()
    for (is_gold, answer), rows in pairs.items():
        met[is_gold] += rows
        if answer is not None:
            met[answer] += rows
    ranked = sorted(met, key=lambda label: (-met[label], label))
    # One label too many is shown rather than called "others".
    labels = ranked if len(ranked) <= most + 1 else ranked[:most]
    others = len(ranked) - len(labels)
    names = [*labels, *(["others"] if others else [])]
    invalid = any(answer is None for _, answer in pairs)
    columns = [*names, *(["no answer"] if invalid else [])]
    place = {label: i for i, label in enumerate(labels)}
    counts = [[0] * len(columns) for _ in names]
    for (is_gold, answer), rows in pairs.items():
        column = len(columns) - 1 if answer is None else place.get(answer, len(labels))
        counts[place.get(is_gold, len(labels))][column] += rows
    found: dict[str, Any] = {"gold": names, "answers": columns, "counts": counts}
    return {**found, "others": others} if others else found


class Diagnosis:
    """Collects rows; holds two numbers of each and the ``most`` most confident mistakes."""

    def __init__(self, most: int = 10) -> None:
        self.most = most
        self._sure: list[float] = []
        self._right: list[bool] = []
        self._pairs: Counter[tuple[str, str | None]] = Counter()
        self._worst: list[tuple[float, int, Record]] = []

    def add(self, record: Record) -> None:
        example, answer = record.example, record.answer
        if isinstance(example, (TextClassification, RelationClassification)):
            said = answer if isinstance(answer, str) and answer in example.labels.names else None
            self._pairs[str(example.gold), said] += 1
        sure = confidence(record)
        if sure is None:
            return
        right = matches(example, answer)
        self._sure.append(sure)
        self._right.append(right)
        if not right and self.most:
            # Earlier rows win ties; their number keeps records from being compared.
            item = (sure, -len(self._sure), record)
            push = heapq.heappush if len(self._worst) < self.most else heapq.heappushpop
            push(self._worst, item)

    def notes(self, prompt: Callable[[Example], str]) -> dict[str, Any]:
        """``calibration``, ``confusion`` and ``worst``, those that there are."""
        found: dict[str, Any] = {}
        if self._sure:
            found["calibration"] = calibration(self._sure, self._right)
        if self._pairs:
            found["confusion"] = confusion(self._pairs)
        if self._worst:
            found["worst"] = [
                {
                    "id": record.example.id,
                    "answer": plain(record.answer, record.example),
                    "gold": gold(record.example),
                    "right": False,
                    "confidence": round(sure, 6),
                    "prompt": prompt(record.example),
                }
                for sure, _, record in sorted(self._worst, key=lambda w: (-w[0], -w[1]))
            ]
        return found
