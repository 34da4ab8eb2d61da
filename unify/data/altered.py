"""Demonstrations that tell less, or something else: what of them does a model use?

The kinds are those of Min et al. 2022, Rethinking the Role of Demonstrations, sections 4 and 5:

| kind         | input                 | output                                                    |
|--------------|-----------------------|-----------------------------------------------------------|
| gold         | own                   | own                                                       |
| shuffled     | own                   | another demonstration's                                   |
| random       | own                   | any label, each as likely                                 |
| correct_75   | own                   | own in 75% of the demonstrations, another label elsewhere |
| labels_only  | none                  | any label                                                 |
| inputs_only  | own                   | none                                                      |
| other_inputs | one of another task   | any label                                                 |
| random_words | own                   | any of as many words as there are labels                  |
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

from formats.episodes import Turn
from formats.errors import ConfigError, UnknownName
from formats.layout import Coder

from .turns import Turns

KINDS = (
    "gold", "shuffled", "random", "labels_only", "inputs_only", "other_inputs", "random_words",
)  # fmt: skip
_CORRECT = re.compile(r"correct_(\d+)")
_FREE = ("gold", "shuffled", "inputs_only")  # these need no set of labels


def check(kind: str) -> None:
    """Raises UnknownName for a kind that there is not."""
    share = _CORRECT.fullmatch(kind)
    if kind not in KINDS and (share is None or int(share[1]) > 100):
        raise UnknownName("labels", kind, (*KINDS, "correct_75"), field="evaluation.labels")


def altered(
    turns: Turns, shown: Sequence[Turn], kind: str, seed: str, others: Sequence[Turn] = ()
) -> list[Turn]:
    """``shown`` as ``kind`` has them, drawn by ``seed``; ``others`` are another task's turns.
    Raises ConfigError where the task has no fixed set of labels."""
    rng, shown = Random(seed), list(shown)
    if kind == "gold":
        return shown
    if kind == "shuffled":
        outputs = [t.output for t in shown]
        rng.shuffle(outputs)
        return [Turn(t.input, o) for t, o in zip(shown, outputs, strict=True)]
    if kind == "inputs_only":
        return [Turn(t.input, []) for t in shown]
    labels = _outputs(turns)
    if kind.startswith("correct_"):
        right = set(rng.sample(range(len(shown)), round(len(shown) * int(kind[8:]) / 100)))
        wrong = [[o for o in labels if o != list(t.output)] for t in shown]
        return [
            t if i in right else Turn(t.input, rng.choice(w))
            for i, (t, w) in enumerate(zip(shown, wrong, strict=True))
        ]
    if kind == "random_words":
        labels = _words(turns.coder, len(labels), rng, labels)
    inputs: Sequence[Sequence[int]] = [t.input for t in shown]
    if kind == "labels_only":
        inputs = [[]] * len(shown)
    elif kind == "other_inputs":
        if len(others) < len(shown):
            raise ConfigError(
                "too few inputs of another task", got=len(others), expected=f">= {len(shown)}",
                fix="evaluation.others=<a task with training rows>",
            )  # fmt: skip
        inputs = [others[i].input for i in rng.sample(range(len(others)), len(shown))]
    return [Turn(i, rng.choice(labels)) for i in inputs]


def needs_labels(kind: str) -> bool:
    """Whether demonstrations of this ``kind`` draw from the task's set of labels."""
    return kind not in _FREE


def _outputs(turns: Turns) -> list[list[int]]:
    """The labels as demonstrations have them."""
    coder = turns.coder
    if len(turns.labels) < 2:
        raise ConfigError(
            "labels drawn for a task without a fixed set of them",
            task=turns.name,
            fix="evaluation.labels=[gold], or leave the task out",
        )
    return coder.ids([coder.continuation(coder.text(list(label))) for label in turns.labels])


def _words(coder: Coder, count: int, rng: Random, labels: Sequence[list[int]]) -> list[list[int]]:
    """``count`` words of the tokenizer's own vocabulary that are no labels."""
    known = coder.tokenizer.get_vocab().values()
    texts = sorted({coder.tokenizer.decode([i]).strip() for i in known})
    words = [t for t in texts if re.fullmatch("[a-z]{3,}", t)]
    ids = coder.ids([coder.continuation(w) for w in words])
    usable = [i for i in ids if i not in labels]
    if len(usable) < count:
        raise ConfigError(
            "a vocabulary without enough words", got=len(usable), expected=f"at least {count}"
        )
    return rng.sample(usable, count)
