"""The few-shot methods by name, in the terms of :mod:`unify.prompts.shots`.

Each takes the rows of one task and learns that task alone; what they share is the model, the rows
and the budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from formats.errors import ConfigError
from formats.examples import Example

from ..backbones import Backbone
from .cloze import Asking, Cloze
from .ensemble import accuracy, combined, distillation_loss, soft_labels
from .growth import grown, sizes, teachers
from .head import LinearHead
from .patterns import DEFAULTS, Pattern
from .pet import PatternVerbalizer, pet_loss, predicted
from .saved import LINEAR, Kept, kept_of
from .shots import Learned, Shots, fit, trainable
from .words import Words, manual

__all__ = ["ipet", "linear_head", "of_pair", "pattern_verbalizers", "pet", "trained_pair"]


def pattern_verbalizers(
    shots: Shots, settings: Mapping[str, Any], backbone: Backbone, words: Words | None = None
) -> list[PatternVerbalizer]:
    """One scorer per pattern and set of label words, all of one model. ``verbalizers`` lists
    mappings label -> word or words; the task's own label words without it."""
    cloze = Cloze(backbone, str(settings.get("score", "log_odds")))
    sets = [words] if words else [
        manual(shots.labels, given) for given in settings.get("verbalizers") or [None]
    ]  # fmt: skip
    return [
        PatternVerbalizer(cloze, Asking(Pattern(source), shots.instruction), own)
        for source in settings.get("patterns") or DEFAULTS
        for own in sets
    ]


def trained_pair(
    shots: Shots, settings: Mapping[str, Any], number: int, rows: Sequence[Example], gold: Tensor,
    words: Words | None = None,
) -> PatternVerbalizer:  # fmt: skip
    """The scorer ``number`` of :func:`pattern_verbalizers`, trained on ``rows`` with PET's loss."""
    backbone = shots.model()
    scorer = pattern_verbalizers(shots, settings, backbone, words)[number]
    alpha = float(settings.get("alpha", 1.0))
    blanks = mlm_losses(shots, scorer) if alpha < 1 and shots.unlabelled else None

    def loss(batch: list[int]) -> Tensor:
        scores = scorer.scores([rows[k] for k in batch])
        return pet_loss(scores, gold[batch], None if blanks is None else next(blanks), alpha)

    fit(backbone, loss, len(rows), shots.budget)
    return scorer


def mlm_losses(shots: Shots, scorer: PatternVerbalizer) -> Any:
    """Endless losses of masked language modelling on the unlabelled rows as the pattern asks."""
    from ..pretraining.run import Pretraining, batch_of, outputs

    cloze = scorer.cloze
    tokenizer = cloze.coder.tokenizer
    settings = Pretraining(("masked",), longest=cloze.coder.layout.single_room, tokens=1 << 20)
    draw = np.random.default_rng(shots.budget.seed)
    while True:
        chosen = draw.choice(len(shots.unlabelled), min(shots.budget.batch_size,
                                                        len(shots.unlabelled)))  # fmt: skip
        texts = []
        for k in chosen:
            before, after = scorer.asked(shots.unlabelled[int(k)])
            texts.append(" ".join("".join([*before, *after]).split()))
        batch = batch_of(texts, "masked", tokenizer, draw, settings).to(cloze.backbone.device)
        with cloze.backbone.passing():
            logits = outputs(cloze.model, batch)
        yield cross_entropy(logits, batch.gold).cpu()


def pet(shots: Shots, settings: Mapping[str, Any]) -> Learned:
    """PET (Schick and Schütze 2021a). One model per pattern; ``ensemble`` says what answers:
    ``distill`` (a student with a linear head, taught at ``temperature`` on unlabelled rows),
    ``mean``, ``weighted``, ``vote``, or ``best`` (the pattern that is best on dev)."""
    gold = shots.gold(shots.train)
    untrained = pattern_verbalizers(shots, settings, shots.start)
    weights = [accuracy(predicted(s, shots.train), gold) for s in untrained]
    members = [
        trained_pair(shots, settings, k, shots.train, gold) for k in range(len(untrained))
    ]
    return answered(shots, settings, members, weights)


def answered(
    shots: Shots, settings: Mapping[str, Any], members: Sequence[PatternVerbalizer],
    weights: Sequence[float],
) -> Learned:  # fmt: skip
    """What the trained ``members`` answer together."""
    way = str(settings.get("ensemble", "weighted"))
    notes = [f"accuracy before training: {', '.join(f'{w:.2f}' for w in weights)}"]
    trained = sum(trainable(m.cloze.backbone) for m in members)
    if way == "best":
        dev = [accuracy(predicted(m, shots.dev), shots.gold(shots.dev)) for m in members]
        chosen = members[int(np.argmax(dev))]
        notes.append(f"accuracy on dev: {', '.join(f'{d:.2f}' for d in dev)}")
        return of_pair(chosen, notes)
    if way != "distill":
        return Learned(
            lambda e: combined([predicted(m, e) for m in members], way, weights),
            members[0].cloze.backbone, trained, notes,
            f"{len(members)} models answer together ({way})",
        )  # fmt: skip
    if not shots.unlabelled:
        raise ConfigError("distillation without unlabelled rows", fix="learner.ensemble=weighted")
    found = combined([predicted(m, shots.unlabelled) for m in members], "weighted", weights)
    taught = soft_labels(found, float(settings.get("temperature", 2.0)))
    student = LinearHead(shots.model(), len(shots.labels.names))
    fit(student, lambda rows: distillation_loss(
        student.scores([shots.unlabelled[k] for k in rows]), taught[rows]
    ), len(shots.unlabelled), shots.budget)  # fmt: skip
    return _of_head(student, notes)


def ipet(shots: Shots, settings: Mapping[str, Any]) -> Learned:
    """iPET (Schick and Schütze 2021a, 3.4): generations of PET models, each trained on the labelled
    rows and on rows that a quarter of the other models labelled, five times as many each time."""
    if not shots.unlabelled:
        raise ConfigError("iPET without unlabelled rows", task=shots.task.name, fix="learner=pet")
    gold = shots.gold(shots.train)
    untrained = pattern_verbalizers(shots, settings, shots.start)
    count = len(untrained)
    weights = [accuracy(predicted(s, shots.train), gold) for s in untrained]
    members = [trained_pair(shots, settings, k, shots.train, gold) for k in range(count)]
    draw = np.random.default_rng(shots.budget.seed)
    labels, notes = len(shots.labels.names), []
    wanted = sizes(len(shots.train), int(settings.get("generations", 3)),
                   int(settings.get("factor", 5)))  # fmt: skip
    for size in wanted:
        tables = [predicted(m, shots.unlabelled) for m in members]
        following = []
        for k in range(count):
            chosen = teachers(count, k, draw, float(settings.get("share", 0.25)))
            mean = combined(
                [tables[t] for t in chosen], "weighted", [weights[t] for t in chosen]
            )
            probabilities = mean.softmax(1).double().numpy()
            pairs = grown(gold.tolist(), labels, probabilities, size, draw)
            rows = [*shots.train, *(shots.unlabelled[r] for r, _ in pairs)]
            theirs = torch.cat([gold, torch.tensor([y for _, y in pairs], dtype=torch.long)])
            following.append(trained_pair(shots, settings, k, rows, theirs))
            if k == 0:
                notes.append(f"a generation on {len(rows)} rows (asked for {size})")
        members = following
    found = answered(shots, settings, members, weights)
    found.notes += notes
    return found


def of_pair(scorer: PatternVerbalizer, notes: list[str]) -> Learned:
    """What one trained pattern-verbalizer pair leaves."""
    backbone = scorer.cloze.backbone
    return Learned(lambda e: predicted(scorer, e), backbone, trainable(backbone), notes,
                   kept_of(scorer))  # fmt: skip


def _of_head(module: LinearHead, notes: list[str]) -> Learned:
    return Learned(module.answers(), module.backbone, trainable(module), notes, Kept(LINEAR),
                   module.head)  # fmt: skip


def linear_head(shots: Shots, settings: Mapping[str, Any]) -> Learned:
    """Fine-tuning as the prompt papers mean it: all weights, and a fresh linear layer."""
    torch.manual_seed(shots.budget.seed)
    module = LinearHead(shots.model(), len(shots.labels.names))
    gold = shots.gold(shots.train)
    fit(module, lambda rows: cross_entropy(
        module.scores([shots.train[k] for k in rows]), gold[rows]
    ), len(shots.train), shots.budget)  # fmt: skip
    return _of_head(module, [])
