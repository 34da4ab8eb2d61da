"""PTR: sub-prompts joined by rules (Han et al. 2021, arXiv 2105.11259).

A label is a conjunction (subject type ∧ relation ∧ object type), one word per slot. Each slot
scores its own set of words; a label's score is the sum over slots, and

    L = mean over slots of CE(slot) + CE(summed scores over labels)

Each slot has a pattern of its own here; the paper puts all blanks into one text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from formats.errors import ConfigError
from formats.examples import Example, RelationClassification

from .cloze import Asked, Asking, Cloze
from .patterns import DEFAULTS, Pattern
from .pet import PatternVerbalizer, predicted
from .shots import Learned, Shots, fit, trainable
from .words import Words

SUB_PROMPTS = (
    "{{ text }} The {{ mask }} {{ head }}.",
    "{{ text }} {{ head }} {{ mask }} {{ tail }}.",
    "{{ text }} The {{ mask }} {{ tail }}.",
)


def slot_sets(rules: Sequence[Sequence[str]]) -> tuple[list[list[str]], Tensor]:
    """Each slot's different words, and for each label (rule) and slot the number of its word in
    that set: ``[labels, slots]``."""
    lengths = {len(r) for r in rules}
    if len(lengths) != 1 or not lengths - {0}:
        raise ConfigError(
            "rules of different lengths", got=sorted(lengths), expected="as many parts in each rule"
        )
    sets = [list(dict.fromkeys(r[s] for r in rules)) for s in range(lengths.pop())]
    numbers = [[sets[s].index(word) for s, word in enumerate(rule)] for rule in rules]
    return sets, torch.tensor(numbers)


def summed(slots: Sequence[Tensor], numbers: Tensor) -> Tensor:
    """``slots[s] [n, words of s]`` -> ``[n, labels]``: the sum of each label's words."""
    total = slots[0].new_zeros(len(slots[0]), len(numbers))
    for s, scores in enumerate(slots):
        total = total + scores[:, numbers[:, s]]
    return total


def ptr_loss(slots: Sequence[Tensor], numbers: Tensor, gold: Tensor) -> Tensor:
    """Mean over slots of the local cross entropies, plus that of the summed scores."""
    local = [cross_entropy(s, numbers[gold, k]) for k, s in enumerate(slots)]
    return torch.stack(local).mean() + cross_entropy(summed(slots, numbers), gold)


class Rules(PatternVerbalizer):
    """Sub-prompts and their sets of words."""

    def __init__(
        self, cloze: Cloze, asked: Sequence[Asked], rules: Sequence[Sequence[str]]
    ) -> None:
        sets, self.numbers = slot_sets(rules)
        if len(sets) != len(asked):
            raise ConfigError(
                "as many sub-prompts as slots", got=len(asked), expected=str(len(sets))
            )
        super().__init__(cloze, asked[0], Words(tuple((r[0],) for r in rules)))
        self.slots = [
            (a, Words(tuple((w,) for w in own)).ids(cloze.coder))
            for a, own in zip(asked, sets, strict=True)
        ]

    def slot_scores(self, examples: Sequence[Example]) -> list[Tensor]:
        """Per slot ``[examples, its words]``."""
        return [
            self.cloze.scores([asked(e) for e in examples], ids) for asked, ids in self.slots
        ]

    def scores(self, examples: Sequence[Example]) -> Tensor:
        return summed(self.slot_scores(examples), self.numbers)


def ptr(shots: Shots, settings: Mapping[str, Any]) -> Learned:
    """``rules`` maps every label to its words, ``sub_prompts`` lists a pattern per slot. Without
    rules the one slot is the relation's, with the task's own words."""
    rules = settings.get("rules")
    related = issubclass(shots.task.type, RelationClassification)
    one = SUB_PROMPTS[1:2] if related else DEFAULTS[:1]
    patterns = settings.get("sub_prompts") or (SUB_PROMPTS if rules else one)
    given = [[w] for w in shots.labels.words]
    if rules:
        missing = [n for n in shots.labels.names if n not in rules]
        if missing:
            raise ConfigError("a label without a rule", got=missing[0], fix="write a rule for it")
        given = [list(rules[n]) for n in shots.labels.names]
    backbone = shots.model()
    cloze = Cloze(backbone, str(settings.get("score", "log_prob")))
    scorer = Rules(cloze, [Asking(Pattern(p), shots.instruction) for p in patterns], given)
    gold = shots.gold(shots.train)
    fit(backbone, lambda rows: ptr_loss(
        scorer.slot_scores([shots.train[k] for k in rows]), scorer.numbers, gold[rows]
    ), len(shots.train), shots.budget)  # fmt: skip
    return Learned(lambda e: predicted(scorer, e), backbone, trainable(backbone),
                   [f"{len(scorer.slots)} slots"],
                   "several sub-prompts answer together")  # fmt: skip
