"""Causal models: what requests share is computed once, and the rest many rows at a time."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from formats.errors import ConfigError

from ._lanes import additive, fill, lay, within
from ._logits import logits_at
from ._memory import Budget, out_of_memory
from ._shared import Shared, cache_name, fresh, with_cache
from ._slots import Slots, table
from ._tree import Node, build
from .requests import Coded
from .work import Work

Asked = dict[int, list[tuple[int, int, int]]]  # node -> (depth, token to predict, slot)
Lane = list[Node]


class Causal:
    """Scores a token tree with a decoder that takes positions, a 4-D mask and a cache.

    A node whose subtree is larger than the budget is computed alone and its keys and values are
    kept while what is below it is computed; smaller subtrees are laid side by side.
    """

    def __init__(self, model: Any, budget: Budget) -> None:
        self.model, self.budget = model, budget
        self.piece = 1 << 30  # tokens of one node that are read at once
        self.work = Work()
        config = model.config.get_text_config()
        kinds = getattr(config, "layer_types", None) or []
        self.kinds: tuple[str, ...] = tuple(dict.fromkeys(kinds))
        self.window: int | None = getattr(config, "sliding_window", None)
        if getattr(config, "use_sliding_window", True) is False:
            self.window = None

    def refusal(self) -> str | None:
        """Why this model cannot be asked this way at all, or None."""
        takes = inspect.signature(self.model.forward).parameters
        missing = {"position_ids", "attention_mask", cache_name(self.model)} - set(takes)
        return f"the model takes no {', '.join(sorted(missing))}" if missing else None

    def score(self, coded: Sequence[Coded]) -> Slots:
        """Log-probability per scored token, requests one after the other."""
        root, ends = build([c.ids[:-1] for c in coded])
        asked: Asked = {}
        slots = Slots(coded)
        for request, node, slot in zip(coded, ends, slots.starts[:-1], strict=True):
            for i in range(len(request.ids) - 1, request.begin - 1, -1):
                while i - 1 < node.start:
                    assert node.parent is not None
                    node = node.parent
                place = (i - 1, request.ids[i], slot + i - request.begin)
                asked.setdefault(id(node), []).append(place)
        sequences = [c.ids for c in coded]
        with torch.inference_mode():
            self._tree(root, sequences, asked, slots)
        return slots

    def _tree(self, root: Node, sequences: Any, asked: Asked, slots: Slots) -> None:
        waiting: list[tuple[Node | list[Lane], Shared | None]] = [(root, None)]
        while waiting:
            step, shared = waiting.pop()
            try:
                if isinstance(step, list):
                    self._lanes(step, shared, sequences, asked, slots)
                    continue
                if len(step):
                    shared = self._segment(step, shared, sequences, asked, slots)
            except Exception as error:
                if not out_of_memory(error) or not self.budget.shrink():
                    raise
                if isinstance(step, Node):
                    self.piece = max(1, min(self.piece, len(step)) // 2)
                waiting.extend((part, shared) for part in _smaller(step))
                continue
            limit = self.budget.tokens
            waiting.extend((c, shared) for c in step.children if c.total > limit)
            small = [c for c in step.children if c.total <= limit]
            # As wide as the prefix is long: attention to neighbours then at most doubles.
            width = min(shared.length if shared else 0, limit)
            waiting.extend((batch, shared) for batch in fill(small, width, limit))

    def _segment(
        self, node: Node, shared: Shared | None, sequences: Any, asked: Asked, slots: Slots
    ) -> Shared | None:
        """Computes one node's own tokens, and keeps them if anything follows."""
        device = self.model.device
        cache = shared.growing() if shared else fresh()
        for start in range(node.start, node.end, self.piece):
            end = min(node.end, start + self.piece)
            ids = torch.tensor([sequences[node.source][start:end]], device=device)
            self._forward(
                _asked(asked, [(node, node.start - start)], end - start), slots,
                input_ids=ids, **with_cache(self.model, cache),
                position_ids=torch.arange(start, end, device=device)[None],
            )  # fmt: skip
            n = end - start
            self.work.add(n, start * n + n * (n + 1) // 2)
        room = min(self.budget.tokens, node.total - len(node))
        return Shared.of(cache, room) if node.children else None

    def _lanes(
        self, lanes: list[Lane], shared: Shared | None, sequences: Any, asked: Asked, slots: Slots
    ) -> None:
        known = shared.length if shared else 0
        laid = lay(lanes, sequences, known)
        device = self.model.device
        self._forward(
            _asked(asked, laid.at, laid.ids.size), slots,
            input_ids=torch.from_numpy(laid.ids).to(device),
            position_ids=torch.from_numpy(laid.positions).to(device),
            attention_mask=self._mask(laid.seen, laid.positions, known),
            **with_cache(self.model, shared.cache() if shared else fresh()),
        )  # fmt: skip
        tokens = sum(n.total for lane in lanes for n in lane)
        blank = laid.ids.size - tokens
        pairs = int(laid.seen.sum()) - blank * (known + 1)
        self.work.add(tokens, pairs, laid.ids.size)

    def _mask(self, seen: np.ndarray, positions: np.ndarray, known: int) -> Any:
        """One mask, or one per kind of layer where the model has several kinds."""
        like = self.model.get_input_embeddings().weight
        full = additive(seen, like)
        if self.window is None or positions.max(initial=0) < self.window:
            return dict.fromkeys(self.kinds, full) if len(self.kinds) > 1 else full
        near = additive(within(seen, positions, known, self.window), like)
        if len(self.kinds) > 1:
            return {k: full if k == "full_attention" else near for k in self.kinds}
        return full if self.kinds == ("full_attention",) else near

    def _forward(self, asked: list[tuple[int, int, int]], slots: Slots, **inputs: Any) -> None:
        """Runs the model and files what is ``asked`` (place, token, slot)."""
        made, places, rows = table(asked)
        at = torch.from_numpy(places).to(self.model.device)
        logits = logits_at(self.model, at, **inputs, use_cache=True)
        slots.file(logits, rows, made)
        self.work.scored += len(places)


def _asked(
    asked: Asked, nodes: Iterable[tuple[Node, int]], length: int
) -> list[tuple[int, int, int]]:
    """(place, token, slot) for nodes whose first tokens stand at the given places; what is
    not among the ``length`` places of this pass belongs to another piece of its node."""
    return [
        (at + depth - node.start, token, slot)
        for node, at in nodes
        for depth, token, slot in asked.get(id(node), ())
        if 0 <= at + depth - node.start < length
    ]


def _smaller(step: Node | list[Lane]) -> list[Node | list[Lane]]:
    """What did not fit, in smaller pieces."""
    if isinstance(step, Node):
        return [step]  # in smaller pieces now
    if len(step) > 1:
        return [step[: len(step) // 2], step[len(step) // 2 :]]
    (lane,) = step
    if len(lane) > 1:
        return [[lane[: len(lane) // 2]], [lane[len(lane) // 2 :]]]
    return [lane[0]]


def plain(model: Any, request: Coded) -> tuple[Tensor, Tensor]:
    """One request by itself, nothing shared, no mask and no cache: the reference.

    Returns log-probabilities ``[scored]`` (float32) and whether each token was the first choice.
    """
    if request.begin < 1:
        raise ConfigError(
            "a causal request without a token to begin with",
            got=request.ids[:8],
            fix="give a prefix, or a tokenizer with a first token",
        )
    device = model.device
    with torch.inference_mode():
        ids = torch.tensor([request.ids[:-1]], device=device)
        logits = model(input_ids=ids, use_cache=False).logits[0, request.begin - 1 :].float()
        targets = torch.tensor(request.scored, device=device)
        chosen = logits.log_softmax(-1).gather(1, targets[:, None])[:, 0]
        return chosen, logits.argmax(-1) == targets
