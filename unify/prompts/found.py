"""Templates found by a beam (LM-BFF: Gao et al. 2021, section 5.2): the tokens between text and
label word that make the summed log-probability over the training rows largest.

A T5 fills in `<X>` around the word; a masked model fills in one blank after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from formats.errors import ConfigError

from .ensemble import accuracy
from .methods import pattern_verbalizers, trained_pair
from .pet import predicted
from .shots import Learned, Shots, text_of, trainable

Next = Callable[[list[tuple[int, ...]]], Tensor]


class Found(NamedTuple):
    """Tokens, and the summed log-probability that they have."""

    tokens: tuple[int, ...]
    score: float


def beam(following: Next, length: int, width: int, barred: Tensor | None = None) -> list[Found]:
    """The ``width`` best sequences of ``length`` tokens. ``following(prefixes)`` gives for each
    prefix the log-probability of every next token, summed over rows: ``[prefixes, words]``."""
    kept = [Found((), 0.0)]
    for _ in range(length):
        table = following([f.tokens for f in kept])
        if barred is not None:
            table = table + barred
        total = torch.tensor([f.score for f in kept])[:, None] + table
        best = total.flatten().topk(min(width, total.numel()))
        words = table.shape[1]
        kept = [
            Found((*kept[k // words].tokens, k % words), float(score))
            for k, score in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]
    return kept


def masked_following(
    model: Any, rows: Sequence[tuple[Sequence[int], Sequence[int]]], blanks: int, mask: int
) -> Next:
    """Of a masked model: ``rows`` are (text tokens, tokens behind the template: the gold word); the
    rest of the template's ``blanks`` stays blank."""

    def following(prefixes: list[tuple[int, ...]]) -> Tensor:
        found = []
        for prefix in prefixes:
            total: Any = 0.0
            for before, after in rows:
                rest = [mask] * (blanks - len(prefix))
                ids = torch.tensor([[*before, *prefix, *rest, *after]])
                with torch.inference_mode():
                    line = model(input_ids=ids).logits[0, len(before) + len(prefix)]
                total = total + line.float().log_softmax(-1)
            found.append(total)
        return torch.stack(found)

    return following


def t5_following(model: Any, rows: Sequence[Sequence[int]], start: Sequence[int]) -> Next:
    """Of an encoder-decoder: ``rows`` are sources with a sentinel in the template's place, which
    ``start`` (the decoder's first tokens, the sentinel last) is about to fill."""

    def following(prefixes: list[tuple[int, ...]]) -> Tensor:
        found = []
        for prefix in prefixes:
            total: Any = 0.0
            for source in rows:
                ids = torch.tensor([[*start, *prefix]])
                with torch.inference_mode():
                    line = model(
                        input_ids=torch.tensor([list(source)]), decoder_input_ids=ids
                    ).logits[0, -1]
                total = total + line.float().log_softmax(-1)
            found.append(total)
        return torch.stack(found)

    return following


def found_template(shots: Shots, settings: Mapping[str, Any]) -> Learned:
    """``length`` tokens, ``width`` templates; the one that is best on dev without training is then
    trained as in PET."""
    from .words import manual

    backbone = shots.start
    coder, layout = backbone.coder, backbone.coder.layout
    if layout.mask is None:
        raise ConfigError(
            "a template search needs a masked model",
            got=layout.kind,
            fix="use a masked model, such as BERT",
        )
    backbone.model.eval()
    words = manual(shots.labels)
    ids, gold = words.ids(coder), shots.gold(shots.train)
    length = int(settings.get("length", 3))
    # One row per label and a few more: the search reads each of them once per prefix and step.
    chosen = list(range(min(len(shots.train), int(settings.get("rows", 16)))))
    rows = []
    for k in chosen:
        text = coder.ids([text_of(shots.train[k])])[0]
        room = layout.single_room - length - max(map(len, ids)) - 1
        rows.append(((*layout.single_before, *text[:room]),
                     (*ids[int(gold[k])], *layout.single_after)))  # fmt: skip
    kept = beam(masked_following(backbone.model, rows, length, layout.mask), length,
                int(settings.get("width", 4)), _plain(backbone))  # fmt: skip
    texts = [coder.tokenizer.decode(list(f.tokens)).strip() for f in kept]
    patterns = ["{{ text }} " + t.replace("{", "").replace("}", "") + " {{ mask }}" for t in texts]
    one = {**settings, "patterns": patterns}
    dev_gold = shots.gold(shots.dev)
    dev = [accuracy(predicted(s, shots.dev), dev_gold)
           for s in pattern_verbalizers(shots, one, backbone)]  # fmt: skip
    best = max(range(len(dev)), key=lambda k: dev[k])
    scorer = trained_pair(shots, one, best, shots.train, gold)
    backbone.model = scorer.cloze.model
    notes = [f"template: {texts[best]}", f"searched: {'; '.join(texts)}"]
    return Learned(lambda e: predicted(scorer, e), backbone, trainable(backbone.model), notes,
                   {"patterns": [patterns[best]]})  # fmt: skip


def _plain(backbone: Any) -> Tensor:
    """0 for tokens that a template may have, minus infinity for special and unused ones."""
    size = backbone.model.get_input_embeddings().weight.shape[0]
    barred = torch.zeros(size)
    for number in backbone.coder.tokenizer.all_special_ids:
        barred[number] = -torch.inf
    for text, number in backbone.coder.tokenizer.get_vocab().items():
        if text.startswith("[unused") and number < size:
            barred[number] = -torch.inf
    return barred
