"""AutoPrompt: trigger tokens found by gradients, the model frozen
(Shin et al. 2020, arXiv 2010.15980, section 2).

    candidates of a slot = top-k over words w of -e_w . gradient of L at the slot
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from formats.examples import Example

from .cloze import Asking, Cloze
from .found_words import allowed
from .patterns import SHOWN, Pattern, Slotted
from .saved import CLOZE, Kept
from .shots import Learned, Shots, passes
from .words import label_scores, manual

PATTERN = SHOWN + " {{ mask }}."


def candidates(gradient: Tensor, embeddings: Tensor, top: int, barred: Tensor) -> list[int]:
    """The ``top`` words that would lower the loss most, to first order: ``gradient [width]``,
    ``embeddings [words, width]``, ``barred [words]`` (0, or minus infinity)."""
    return [int(k) for k in (-(embeddings @ gradient) + barred).topk(top).indices]


class Triggers:
    """A cloze with trigger tokens right before the blank."""

    def __init__(self, shots: Shots, count: int, kind: str) -> None:
        backbone = shots.start
        backbone.eval()
        self.cloze = Cloze(backbone, kind)
        self.asked = Asking(Pattern(PATTERN), shots.instruction)
        self.words = manual(shots.labels)
        self.ids, self.table = self.words.ids(backbone.coder), self.words.table()
        start = backbone.coder.layout.mask  # the paper begins with blanks, too
        assert start is not None
        self.tokens = [start] * count

    def kept(self) -> Kept:
        """What another process needs to score with the same triggers."""
        return Kept(
            CLOZE, PATTERN, self.asked.instruction, self.words.words, self.words.weights,
            self.cloze.kind, tuple(self.tokens),
        )  # fmt: skip

    def rows(
        self, examples: Sequence[Example], blanks: int, each: Sequence[Sequence[int]]
    ) -> list[Slotted]:
        """The texts, each with its triggers behind what stands before the blank."""
        room = blanks + max(map(len, each))
        found = self.cloze.rows([self.asked(e) for e in examples], room)
        return [r._replace(before=(*r.before, *t)) for r, t in zip(found, each, strict=True)]

    def scores(self, examples: Sequence[Example], tokens: Sequence[int] | None = None) -> Tensor:
        """``[examples, labels]``."""
        own = self.tokens if tokens is None else tokens
        return self.scores_each(examples, [own] * len(examples))

    def scores_each(self, examples: Sequence[Example], each: Sequence[Sequence[int]]) -> Tensor:
        """The same with triggers of its own for each example."""
        found = self.cloze.scores_of(lambda blanks: self.rows(examples, blanks, each), self.ids)
        return label_scores(found, self.table)

    def gradients(self, examples: Sequence[Example], gold: Tensor) -> Tensor:
        """Of the loss at the triggers' embeddings, summed over rows and passes:
        ``[triggers, width]``."""
        layer = self.cloze.model.get_input_embeddings()
        kept: list[tuple[Tensor, Tensor]] = []

        def keep(_: Any, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
            made = output.detach().requires_grad_(True)
            kept.append((args[0], made))
            return made

        handle = layer.register_forward_hook(keep)
        try:
            loss = cross_entropy(self.scores(examples), gold)
        finally:
            handle.remove()
        found = torch.autograd.grad(loss, [states for _, states in kept])
        total = torch.zeros(len(self.tokens), layer.weight.shape[1])
        lengths = sorted({len(w) for w in self.ids})
        for blanks, grads in zip(lengths, found, strict=True):
            rows = self.rows(examples, blanks, [self.tokens] * len(examples))
            for k, row in enumerate(rows):
                at = len(row.before) - len(self.tokens)
                total += grads[k, at : at + len(self.tokens)].cpu()
        return total


def searched(
    triggers: Triggers, slots: Callable[[int], int], steps: int, top: int, barred: Tensor,
    batch: Callable[[], tuple[list[Example], Tensor]],
) -> list[float]:  # fmt: skip
    """Each step changes one slot (``slots(step)``) to the best of its candidates, re-scored on
    another batch, where that is better; returns the losses that were kept."""
    embeddings = triggers.cloze.model.get_input_embeddings().weight.detach().cpu()
    losses = []
    for step in range(steps):
        slot = slots(step)
        rows, gold = batch()
        gradient = triggers.gradients(rows, gold)[slot]
        rows, gold = batch()  # held: candidates are judged on rows that did not propose them
        with torch.no_grad():
            best = float(cross_entropy(triggers.scores(rows), gold))
            chosen = triggers.tokens
            for word in candidates(gradient, embeddings, top, barred):
                tokens = [*triggers.tokens]
                tokens[slot] = word
                loss = float(cross_entropy(triggers.scores(rows, tokens), gold))
                if loss < best:
                    best, chosen = loss, tokens
        triggers.tokens = chosen
        losses.append(best)
    return losses


def autoprompt(shots: Shots, settings: Mapping[str, Any]) -> Learned:
    """``triggers`` tokens, ``top`` candidates per step; the budget's steps."""
    made = Triggers(shots, int(settings.get("triggers", 3)), str(settings.get("score", "log_odds")))
    for parameter in made.cloze.model.parameters():
        parameter.requires_grad_(False)
    stream = passes(len(shots.train), min(shots.budget.batch_size, len(shots.train)),
                    shots.budget.seed)  # fmt: skip
    gold = shots.gold(shots.train)

    def batch() -> tuple[list[Example], Tensor]:
        rows = next(stream)
        return [shots.train[k] for k in rows], gold[rows]

    size = made.cloze.model.get_input_embeddings().weight.shape[0]
    barred = allowed(shots.start.coder.tokenizer, size)
    top = min(int(settings.get("top", 10)), int((barred > -math.inf).sum()))
    searched(made, lambda step: step % len(made.tokens), shots.budget.steps, top, barred, batch)
    text = shots.start.coder.tokenizer.decode(made.tokens)

    def scores(examples: Sequence[Example]) -> Tensor:
        with torch.inference_mode():
            parts = [made.scores(examples[k : k + 64]) for k in range(0, len(examples), 64)]
        return torch.cat(parts).clone()

    return Learned(scores, shots.start, 0, [f"triggers: {text}"], made.kept())
