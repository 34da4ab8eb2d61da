"""Tasks that plain text is its own teacher for: what a passage goes on with, what was left out of
it, whether its sentences stand in order (Chen et al. 2022, "Improving In-Context Few-Shot Learning
via Self-Supervised Training", arXiv 2205.01703, section 3).

| ask                | source                           | answer                               |
|--------------------|----------------------------------|--------------------------------------|
| next_sentence      | one to three sentences           | the sentence that follows            |
| masked_words       | a sentence with blanks           | the words left out, ``a, b``         |
| last_phrase        | a sentence without its end       | the end                              |
| last_phrase_choice | the same                         | which of four ends                   |
| sentence_order     | three or four sentences          | in order, shuffled, or with a        |
|                    |                                  | sentence of another passage          |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

from formats.errors import UnknownName

Row = dict[str, Any]
Passage = Sequence[str]  # its sentences

BLANK = "___"
ORDERS = ("in order", "shuffled", "other")
_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[^\W_])")
_SHORT = re.compile(r"(?:\b[A-Z]|\b(?:Mr|Mrs|Ms|Dr|St|No|vs|etc|e\.g|i\.e))\.$")
_MASKED = 3  # words of a sentence that are left out at most
_LONGEST = 5  # words of a last phrase
_OTHERS = 3  # wrong ends to choose from


def sentences(text: str) -> list[str]:
    """The sentences of ``text``: they end with ``.``, ``!`` or ``?`` before white space, but not
    behind initials and a few abbreviations."""
    found: list[str] = []
    start = 0
    for gap in _END.finditer(text):
        if _SHORT.search(text[start : gap.start()].rstrip("\"')]")):
            continue
        found.append(text[start : gap.end()])
        start = gap.end()
    found.append(text[start:])
    return [" ".join(s.split()) for s in found if s.strip()]


def last_phrase(sentence: str) -> tuple[str, str] | None:
    """A sentence without its end, and its end: what follows the last comma, semicolon or colon
    where those are two to five words, else its last third, five words at most. None for fewer
    than five words."""
    words = sentence.split()
    if len(words) < 5:
        return None
    size = min(_LONGEST, max(1, len(words) // 3))
    for k in range(2, _LONGEST + 1):
        if len(words) > k + 1 and words[-k - 1][-1] in ",;:":
            size = k
            break
    return " ".join(words[:-size]), " ".join(words[-size:])


def _next_sentence(passages: Sequence[Passage], p: int, rng: Random) -> Iterator[Row]:
    passage = passages[p]
    for at in range(1, len(passage)):
        shown = min(at, rng.randint(1, 3))
        yield {"source": " ".join(passage[at - shown : at]), "targets": [passage[at]]}


def _masked_words(passages: Sequence[Passage], p: int, rng: Random) -> Iterator[Row]:
    for sentence in passages[p]:
        words = sentence.split()
        plain = [k for k, w in enumerate(words) if any(c.isalnum() for c in w)]
        if len(plain) < 4 or BLANK in sentence:
            continue
        chosen = sorted(rng.sample(plain, rng.randint(1, min(_MASKED, len(plain) - 3))))
        gone = []
        for k in chosen:
            core = re.sub(r"^\W+|\W+$", "", words[k]) or words[k]
            gone.append(core)
            words[k] = words[k].replace(core, BLANK, 1)
        yield {"source": " ".join(words), "targets": [", ".join(gone)]}


def _last_phrase(passages: Sequence[Passage], p: int, rng: Random) -> Iterator[Row]:
    for found in map(last_phrase, passages[p]):
        if found is not None:
            yield {"source": f"{found[0]} {BLANK}", "targets": [found[1]]}


def _last_phrase_choice(passages: Sequence[Passage], p: int, rng: Random) -> Iterator[Row]:
    for found in map(last_phrase, passages[p]):
        if found is None:
            continue
        options = {found[1]: None}
        for _ in range(20 * _OTHERS):  # ends of other passages; a few texts may have no more
            other = passages[rng.randrange(len(passages))]
            end = last_phrase(other[rng.randrange(len(other))])
            if end is not None and len(options) <= _OTHERS:
                options.setdefault(end[1])
        if len(options) > 1:
            shown = list(options)
            rng.shuffle(shown)
            yield {"question": f"{found[0]} {BLANK}", "options": shown, "answer": found[1]}


def _sentence_order(passages: Sequence[Passage], p: int, rng: Random) -> Iterator[Row]:
    passage = passages[p]
    at = 0
    while len(passage) - at >= 3:
        size = min(len(passage) - at, rng.randint(3, 4))
        part = list(passage[at : at + size])
        at += size
        label = rng.choice(ORDERS)
        if label == "shuffled" and len(set(part)) > 1:
            whole = part[:]
            while part == whole:
                rng.shuffle(part)
        elif label == "other" and len(passages) > 1:
            other = passages[(p + rng.randrange(1, len(passages))) % len(passages)]
            part[rng.randrange(size)] = other[rng.randrange(len(other))]
        else:
            label = "in order"
        yield {"text": " ".join(part), "label": label}


ASKS: dict[str, Callable[[Sequence[Passage], int, Random], Iterator[Row]]] = {
    "next_sentence": _next_sentence,
    "masked_words": _masked_words,
    "last_phrase": _last_phrase,
    "last_phrase_choice": _last_phrase_choice,
    "sentence_order": _sentence_order,
}


def rows(passages: Sequence[Passage], ask: str, seed: int = 0) -> Iterator[Row]:
    """The rows that ``ask`` makes of each passage, with the number of their ``passage``: those of
    one belong together when splits are made. The rows of passage ``p`` depend on ``seed``, ``p``
    and, where other passages lend sentences, on all passages. Raises UnknownName."""
    if ask not in ASKS:
        raise UnknownName("task of plain text", ask, ASKS, field="format.ask")
    filled = [list(p) for p in passages if p]
    for number in range(len(filled)):
        for row in ASKS[ask](filled, number, Random(f"{seed}/{ask}/{number}")):
            yield {**row, "passage": number}
