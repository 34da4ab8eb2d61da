"""Feature rows to raw predictions: in batches by length, or all at once where they share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch

from formats.instances import Raw, Scores, Spans
from formats.store import Rows, StoredRow

from .backbones import Backbone
from .data.batching import token_batches


def merge(parts: Sequence[Raw]) -> Raw:
    """One raw prediction from those of a passage's windows: the best margin of each span."""
    if len(parts) == 1:
        return parts[0]
    if all(isinstance(p, Scores) for p in parts):
        table = np.array([p.values for p in parts if isinstance(p, Scores)])
        return Scores(tuple(table.max(0).tolist()))
    best: dict[tuple[int, int, int], Any] = {}
    for part in parts:
        assert isinstance(part, Spans)
        for span in part.spans:
            key = (span.start, span.end, span.type)
            if key not in best or span.score > best[key].score:
                best[key] = span
    return Spans(tuple(sorted(best.values(), key=lambda s: (-s.score, s.start, s.end))))


def predicted(
    backbone: Backbone,
    store: Rows,
    numbers: Iterable[int],
    tokens: int,
    advance: Callable[[int], None],
) -> dict[int, list[Raw]]:
    """Raw predictions per row number, in the order of the row's instances, longest rows first."""
    parts: dict[int, dict[int, list[Raw]]] = defaultdict(lambda: defaultdict(list))
    training = backbone.training
    backbone.eval()
    with torch.inference_mode():
        lengths = store.column("length")
        longest_first = sorted(numbers, key=lambda i: (-int(lengths[i]), i))
        whole: list[StoredRow] = []

        def apart() -> Iterator[StoredRow]:
            for row in (store[i] for i in longest_first):
                if backbone.at_once(row):
                    whole.append(row)
                else:
                    yield row

        for rows in chain(token_batches(apart(), tokens), (w for w in [whole] if w)):
            for partial in backbone.predict(rows):
                parts[partial.row][partial.instance].append(partial.raw)
            advance(len(rows))
    backbone.train(training)
    return {row: [merge(found[i]) for i in sorted(found)] for row, found in parts.items()}
