"""Which tokens a masked language model has to guess, and what it sees in their place.

| objective  | blanked together                | source                                  |
|------------|---------------------------------|-----------------------------------------|
| masked     | one token                       | BERT: Devlin et al. 2019, 3.1           |
| whole_word | all tokens of a word            | Cui et al. 2021, arXiv 1906.08101       |
| entity     | all tokens of a name, or a word | ERNIE: Sun et al. 2019, arXiv 1904.09223|
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from formats.errors import ConfigError

Groups = list[list[int]]  # places of tokens that are blanked together

_NAME = re.compile(r"[A-Z][\w'-]*(?:\s+[A-Z][\w'-]*)*|\d[\d.,:]*")


def groups_of_tokens(count: int) -> Groups:
    """Every token by itself."""
    return [[k] for k in range(count)]


def groups_of_words(words: Sequence[int | None]) -> Groups:
    """The places of each word's tokens; ``words`` gives each token's word (None: of no word)."""
    found: dict[int, list[int]] = {}
    for place, word in enumerate(words):
        if word is not None:
            found.setdefault(word, []).append(place)
    return list(found.values())


def groups_of_entities(
    text: str, offsets: Sequence[tuple[int, int]], words: Sequence[int | None]
) -> Groups:
    """The tokens of each name or number as one group, and the other words. A name is a run of
    capitalised words that does not begin the text, or has more than one of them."""
    names = [
        m.span()
        for m in _NAME.finditer(text)
        if m.start() > 0 or " " in m.group() or m.group()[0].isdigit()
    ]
    key: list[int | None] = []
    for (start, end), word in zip(offsets, words, strict=True):
        inside = (-1 - k for k, (a, b) in enumerate(names) if a <= start and end <= b)
        key.append(next(inside, word) if end > start else None)
    return groups_of_words(key)


def blanked(
    ids: Sequence[int],
    groups: Groups,
    draw: np.random.Generator,
    *,
    mask: int,
    words: int,
    share: float = 0.15,
) -> tuple[list[int], list[int]]:
    """What the model reads instead of ``ids``, and which places it has to guess (ascending).

    Groups are drawn until ``share`` of the tokens is reached (the nearest whole token, one at
    least). Of the groups drawn 80% become blanks, 10% drawn tokens, 10% stay (Devlin et al. 2019).
    """
    if not 0 < share < 1:
        raise ConfigError(
            "a share of blanks outside (0, 1)", got=share, expected="a number between 0 and 1"
        )
    wanted = max(1, round(share * sum(map(len, groups)))) if groups else 0
    read, places = list(ids), list[int]()
    for k in draw.permutation(len(groups)).tolist():
        if len(places) >= wanted:
            break
        if places and len(places) + len(groups[k]) > wanted:
            continue  # it would take too many: a shorter one may fit
        fate = draw.random()
        for place in groups[k]:
            if fate < 0.8:
                read[place] = mask
            elif fate < 0.9:
                read[place] = int(draw.integers(words))
        places += groups[k]
    return read, sorted(places)
