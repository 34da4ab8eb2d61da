"""What a model says to probes behind several sets or orders of demonstrations, without a label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from formats.episodes import BETWEEN, EpisodeTokens, Turn, lay, separators
from formats.errors import ConfigError
from formats.instances import Scores

from ..demonstrations.order import chosen_order, orders
from .turns import Turns, stored

if TYPE_CHECKING:
    from ..backbones import Backbone
    from ..backbones.lm import LanguageModel

MOST = 24  # orders that are tried


def _able(backbone: Backbone | None, turns: Turns) -> LanguageModel:
    from ..backbones.lm import LanguageModel

    if not isinstance(backbone, LanguageModel) or "generate" not in backbone.can:
        raise ConfigError(
            "demonstrations chosen or ordered by what a model says",
            got=turns.coder.layout.kind,
            expected="a causal or seq2seq model",
        )
    if len(turns.labels) < 2:
        raise ConfigError(
            "probing a task without a fixed set of labels", task=turns.name,
            fix="evaluation.choose=random and orders=drawn, or leave the task out",
        )  # fmt: skip
    return backbone


def label_probabilities(
    backbone: Backbone | None,
    turns: Turns,
    contexts: Sequence[Sequence[Turn]],
    probes: Sequence[Sequence[int]],
) -> np.ndarray:
    """``[contexts, probes, labels]``: the labels' probabilities after each probe behind each
    context. Raises ConfigError."""
    model = _able(backbone, turns)
    coder, between = turns.coder, separators(turns.coder)
    rows: list[Any] = []
    for shown in contexts:
        for probe in probes:
            tokens = EpisodeTokens(turns.head, shown, probe, turns.labels)
            laid = lay(tokens, coder.layout, between)
            gold = np.zeros(len(turns.labels), np.float32)
            rows += stored(laid, coder.layout, len(rows), closed=True, gold=gold)
    found = {p.row: p.raw for p in model.predict(rows)}
    values = np.array([s.values for i in range(len(rows)) if isinstance(s := found[i], Scores)])
    table = np.exp(values - values.max(-1, keepdims=True))
    table /= table.sum(-1, keepdims=True)
    shaped: np.ndarray = table.reshape(len(contexts), len(probes), -1)
    return shaped


def written_probes(
    backbone: Backbone, turns: Turns, contexts: Sequence[Sequence[Turn]], seed: int
) -> list[list[int]]:
    """Inputs that the model writes itself, one behind each of ``contexts``, each as the next
    demonstration (Lu et al. 2022, section 3.1; sampled at temperature 1). A label at its end is
    taken away, and a text that is nothing else left out."""
    from ..scoring.write import Writing, write

    model = _able(backbone, turns)
    coder, layout = turns.coder, turns.coder.layout
    between = separators(coder)
    longest = max(len(t.input) + len(t.output) for shown in contexts for t in shown)
    asked = []
    for shown in contexts:
        laid = lay(EpisodeTokens(turns.head, shown, [], []), layout, between, room=longest)
        tail = len(layout.single_after) if layout.kind == "seq2seq" else 0
        ids = [*laid.context, *laid.pairs[0][0]]
        asked.append(tuple(ids[len(layout.single_before) : len(ids) - tail]))
    how = Writing(tokens=longest, stop=(BETWEEN,), temperature=1.0, seed=seed)
    words = [coder.continuation(coder.text(list(label))) for label in turns.labels]
    texts: dict[str, None] = {}
    for made in write(model.scorer(), asked, how):
        text = made.text
        for word in words:
            text = text.removesuffix(word)
        if text.strip():
            texts[text] = None
    if not texts:
        raise ConfigError("a model that writes no probe", task=turns.name, fix="orders=drawn")
    return coder.ids(list(texts))


def best_order(
    backbone: Backbone, turns: Turns, shown: Sequence[Turn], by: str, seed: int
) -> list[Turn]:
    """``shown`` in the order of the highest entropy over probes of the model's own (Lu et al.
    2022, GlobalE and LocalE), out of all orders or :data:`MOST` drawn ones."""
    tried = orders(len(shown), MOST, seed)
    contexts = [[shown[i] for i in order] for order in tried]
    probes = written_probes(backbone, turns, contexts, seed)
    return contexts[chosen_order(label_probabilities(backbone, turns, contexts, probes), by)]
