"""Templates found by a beam (LM-BFF: Gao et al. 2021, section 5.2): the tokens between text and
label word that make the summed log-probability over the training rows largest.

A T5 (``writer``) fills in `text <X> word`; without one, the masked model that is trained fills in
one blank after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from formats.errors import ConfigError

from .ensemble import accuracy
from .methods import of_pair, pattern_verbalizers, trained_pair
from .patterns import SHOWN, shown_of, slotted
from .pet import predicted
from .shots import Learned, Shots
from .words import manual

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
                ids = torch.tensor([[*before, *prefix, *rest, *after]], device=model.device)
                with torch.inference_mode():
                    line = model(input_ids=ids).logits[0, len(before) + len(prefix)]
                total = total + line.float().log_softmax(-1)
            found.append(total.cpu())
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
                ids = torch.tensor([[*start, *prefix]], device=model.device)
                read = torch.tensor([list(source)], device=model.device)
                with torch.inference_mode():
                    line = model(input_ids=read, decoder_input_ids=ids).logits[0, -1]
                total = total + line.float().log_softmax(-1)
            found.append(total.cpu())
        return torch.stack(found)

    return following


class Writer(NamedTuple):
    """Who fills in templates: the next tokens' log-probabilities, which tokens it may write
    (``[words]``: 0, or minus infinity), and its tokenizer."""

    following: Next
    barred: Tensor
    tokenizer: Any


def own_writer(
    shots: Shots, rows: Sequence[tuple[Sequence[str], str]], length: int
) -> Writer:
    """The masked model itself; ``rows`` are the pieces of texts with their gold words. Raises
    ConfigError."""
    model, coder, layout = shots.start.model, shots.start.coder, shots.start.coder.layout
    if layout.mask is None:
        raise ConfigError(
            "a template search needs a masked model",
            got=layout.kind,
            fix="use a masked model, such as BERT",
        )
    shots.start.eval()
    words = coder.ids([coder.continuation(word) for _, word in rows])
    made = []
    for (pieces, _), word in zip(rows, words, strict=True):
        row = slotted((pieces, []), coder, length + len(word))
        made.append((row.before, (*word, *row.after)))
    size = model.get_input_embeddings().weight.shape[0]
    return Writer(masked_following(model, made, length, layout.mask),
                  plain_words(coder.tokenizer, size), coder.tokenizer)  # fmt: skip


SENTINELS = ("<extra_id_0>", "<extra_id_1>")
LONGEST = 256  # tokens of a text that a T5 reads


def t5_writer(
    name: str, rows: Sequence[tuple[str, str]], device: torch.device | str = "cpu"
) -> Writer:
    """The encoder-decoder ``name`` (a folder, a hub id, ``cache:…``), which must know T5's
    sentinels: it reads `text <X> word <Y>` and writes what stands for `<X>`. Raises ConfigError."""
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    from ..backbones.factory import located

    place = located(name)
    tokenizer = AutoTokenizer.from_pretrained(place)
    blank, end = (tokenizer.get_vocab().get(s) for s in SENTINELS)
    if blank is None or end is None:
        raise ConfigError(
            "a template writer without T5's sentinels", got=name, expected=", ".join(SENTINELS),
            fix="learner.writer=<a T5>, or null",
        )  # fmt: skip
    model = AutoModelForSeq2SeqLM.from_pretrained(place, dtype=torch.float32)
    model = model.to(device).eval()
    close = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    plain: dict[str, Any] = {"add_special_tokens": False}
    made = [
        [*tokenizer(text, **plain)["input_ids"][:LONGEST], blank,
         *tokenizer(" " + word, **plain)["input_ids"], end, *close]
        for text, word in rows
    ]  # fmt: skip
    barred = plain_words(tokenizer, model.get_output_embeddings().weight.shape[0])
    for text, number in tokenizer.get_vocab().items():
        if text.startswith("<extra_id_") and number < len(barred):
            barred[number] = -torch.inf
    start = [model.config.decoder_start_token_id, blank]
    return Writer(t5_following(model, made, start), barred, tokenizer)


def found_template(shots: Shots, settings: Mapping[str, Any]) -> Learned:
    """``length`` tokens, ``width`` templates; the one that is best on dev without training is then
    trained as in PET. ``writer`` names a T5 that fills them in."""
    words = manual(shots.labels)
    gold = shots.gold(shots.train)
    length = int(settings.get("length", 3))
    # The search reads each row once per prefix and step.
    chosen = range(min(len(shots.train), int(settings.get("rows", 16))))
    rows = [(shown_of(shots.train[k]), words.words[int(gold[k])][0]) for k in chosen]
    name = settings.get("writer")
    writer = own_writer(shots, rows, length) if not name else t5_writer(
        str(name), [("".join(pieces), word) for pieces, word in rows], shots.start.device
    )  # fmt: skip
    kept = beam(writer.following, length, int(settings.get("width", 4)), writer.barred)
    texts = [writer.tokenizer.decode(list(f.tokens)).strip() for f in kept]
    patterns = [SHOWN + " " + t.replace("{", "").replace("}", "") + " {{ mask }}" for t in texts]
    one = {**settings, "patterns": patterns}
    dev_gold = shots.gold(shots.dev)
    dev = [accuracy(predicted(s, shots.dev), dev_gold)
           for s in pattern_verbalizers(shots, one, shots.start)]  # fmt: skip
    best = max(range(len(dev)), key=lambda k: dev[k])
    scorer = trained_pair(shots, one, best, shots.train, gold)
    notes = [f"template: {texts[best]}", f"searched: {'; '.join(texts)}"]
    return of_pair(scorer, notes)


def plain_words(tokenizer: Any, size: int) -> Tensor:
    """0 for tokens that a template may have, minus infinity for special and unused ones and for
    rows of the model beyond the vocabulary: ``[size]``."""
    barred = torch.zeros(size)
    barred[len(tokenizer) :] = -torch.inf
    for number in tokenizer.all_special_ids:
        barred[number] = -torch.inf
    for text, number in tokenizer.get_vocab().items():
        if text.startswith("[unused") and number < size:
            barred[number] = -torch.inf
    return barred
