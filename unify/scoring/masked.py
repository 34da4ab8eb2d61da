"""Masked models: whole continuations over blanks, one blank per token.

How much of the continuation a token may see while it is predicted is the estimator's choice:

| estimator | sees of the continuation | passes      | source                             |
|-----------|--------------------------|-------------|------------------------------------|
| blanks    | nothing                  | one         | cf. Schick and Schütze 2021b, 3.1  |
| pll       | all other tokens         | one a token | Salazar et al. 2020, 2             |
| pll-l2r   | the tokens before        | one a token | cf. Kauf and Ivanova 2023, 3       |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from formats.errors import UnknownName

from ._logits import logits_at
from ._memory import Budget, out_of_memory
from ._slots import Slots, padded, table
from .requests import Coded, Ids
from .work import Work

Estimator = Literal["blanks", "pll", "pll-l2r"]
ESTIMATORS: tuple[str, ...] = get_args(Estimator)


def inputs(request: Coded, mask: int, estimator: str) -> Iterator[tuple[Ids, list[int]]]:
    """What the model reads, and which of the continuation's tokens are predicted from it."""
    target, before, after = request.scored, request.source, request.after
    n = len(target)
    if estimator == "blanks":
        yield (*before, *[mask] * n, *after), list(range(n))
        return
    for i in range(n):
        rest = target[i + 1 :] if estimator == "pll" else (mask,) * (n - i - 1)
        yield (*before, *target[:i], mask, *rest, *after), [i]


class Masked:
    """Scores with a bidirectional model; inputs that are the same are computed once."""

    def __init__(
        self, model: Any, budget: Budget, pad: int, mask: int, estimator: str = "blanks"
    ) -> None:
        if estimator not in ESTIMATORS:
            raise UnknownName("estimator", estimator, ESTIMATORS)
        self.model, self.budget, self.pad, self.mask = model, budget, pad, mask
        self.estimator = estimator
        self.work = Work()

    def refusal(self) -> str | None:
        return None

    def score(self, coded: Sequence[Coded]) -> Slots:
        slots = Slots(coded)
        wanted: dict[Ids, list[tuple[int, int, int]]] = {}  # place, token, slot
        for k, request in enumerate(coded):
            for ids, tokens in inputs(request, self.mask, self.estimator):
                wanted.setdefault(ids, []).extend(
                    (len(request.source) + i, request.scored[i], slots.starts[k] + i)
                    for i in tokens
                )
        waiting = sorted(wanted, key=len)
        with torch.inference_mode():
            while waiting:
                fit = max(1, min(len(waiting), self.budget.tokens // len(waiting[-1])))
                batch = waiting[-fit:]
                try:
                    self._batch(batch, [wanted[ids] for ids in batch], slots)
                except Exception as error:
                    if not out_of_memory(error) or fit == 1 or not self.budget.shrink():
                        raise
                    continue
                del waiting[-fit:]
        return slots

    def _batch(
        self, batch: Sequence[Ids], wanted: Sequence[list[tuple[int, int, int]]], slots: Slots
    ) -> None:
        device = self.model.device
        ids, mask = padded(batch, self.pad)
        made, places, rows = table(
            (row * ids.shape[1] + place, token, slot)
            for row, entries in enumerate(wanted)
            for place, token, slot in entries
        )
        logits = logits_at(
            self.model,
            torch.from_numpy(places).to(device),
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
        )
        slots.file(logits, rows, made)
        self.work.add(int(mask.sum()), int(mask.sum(1).square().sum()), mask.numel())
        self.work.scored += len(places)


def plain(model: Any, request: Coded, mask: int, estimator: str) -> tuple[Tensor, Tensor]:
    """One request by itself, one pass per input: the reference."""
    chosen, first = [], []
    with torch.inference_mode():
        for ids, tokens in inputs(request, mask, estimator):
            logits = model(input_ids=torch.tensor([ids], device=model.device)).logits[0].float()
            for i in tokens:
                line, token = logits[len(request.source) + i], request.scored[i]
                chosen.append(line.log_softmax(-1)[token])
                first.append(line.argmax() == token)
    return torch.stack(chosen), torch.stack(first)
