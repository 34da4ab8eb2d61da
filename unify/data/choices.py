"""Which of a task's training rows demonstrate an unseen row: beyond a random draw for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from formats.episodes import Turn
from formats.errors import ConfigError, UnknownName
from formats.store import Rows

from ..demonstrations import balanced, diverse, nearest, random_k, relevant_and_diverse
from ..demonstrations.order import mutual_information
from ..demonstrations.vectors import bag_of_words, encoded
from .shots import chosen, drawn
from .turns import Turns

if TYPE_CHECKING:
    from ..backbones import Backbone

CHOICES = (
    "random", "first", "balanced", "per_label", "nearest", "diverse", "relevant_diverse",
    "perplexity", "information",
)  # fmt: skip
# The others are the same whatever the seed.
SEEDED = ("random", "balanced", "per_label", "perplexity", "information")
PER_ROW = ("nearest", "relevant_diverse")
ASKED = 256  # candidates whose perplexity is measured, at most
SETS, PROBES = 8, 16  # candidate sets, and rows that they are tried on (information)

PerRow: TypeAlias = Callable[[int], Sequence[Turn]]  # feature row -> its demonstrations


def picked(
    choose: str, turns: Turns, held: Rows, shots: int, seed: int, *, encoder: str | None = None,
    backbone: Backbone | None = None, search: str = "exact",
) -> Sequence[Turn] | PerRow:
    """``shots`` demonstrations (all rows, where there are fewer): the same for every row of
    ``held``, or, for those of :data:`PER_ROW`, a function of the row.

    | choose           | which                                                                |
    |------------------|----------------------------------------------------------------------|
    | balanced         | outputs differ in number by one at most                              |
    | per_label        | ``shots`` of every output                                            |
    | nearest          | by cosine, the most similar last (KATE)                              |
    | diverse          | far apart (k-center)                                                 |
    | relevant_diverse | near the row and unlike each other (maximal marginal relevance)      |
    | perplexity       | the least surprising to the model (Gonen et al. 2023, section 3)     |
    | information      | of some random sets, the one whose answers tell most about the input |
    |                  | (Sorensen et al. 2022, section 3)                                    |

    Likeness is that of ``encoder``'s vectors, or of bags of words without one. Raises ConfigError.
    """
    if choose not in CHOICES:
        raise UnknownName("choice", choose, CHOICES, field="evaluation.choose")
    if choose == "random":
        return drawn(turns, shots, seed)
    count = len(turns.rows)
    k = min(shots, count)
    if not k:
        return []
    if choose in PER_ROW:
        return _per_row(choose, turns, held, k, encoder, search)
    rows: Sequence[int] = range(k)
    if choose in ("balanced", "per_label"):
        outputs = [tuple(turns.turn(r).output) for r in range(count)]
        rows = balanced(outputs, k, seed, per_label=choose == "per_label")
    elif choose == "diverse":
        (vectors,) = _vectors(turns, None, encoder)
        rows = diverse(vectors, k)
    elif choose == "perplexity":
        rows = _least_surprising(turns, k, seed, backbone)
    elif choose == "information":
        rows = _most_telling(turns, k, seed, backbone)
    return [turns.turn(r) for r in rows]


def _vectors(turns: Turns, held: Rows | None, encoder: str | None) -> list[np.ndarray]:
    """Vectors of the pool, and of ``held`` where it is given."""
    text = turns.coder.text
    texts = [[text(list(turns.turn(r).input)) for r in range(len(turns.rows))]]
    if held is not None:
        texts.append([text(held[i].shared.tolist()) for i in range(len(held))])
    if encoder is not None:
        return [encoded(encoder, part) for part in texts]
    return list(bag_of_words(texts[0], *texts[1:]))


def _per_row(
    choose: str, turns: Turns, held: Rows, k: int, encoder: str | None, search: str
) -> PerRow:
    known, wanted = _vectors(turns, held, encoder)
    if choose == "nearest":
        places = nearest(wanted, known, k, search=search)
        return lambda row: [turns.turn(r) for r in places[row]]
    return lambda row: [turns.turn(r) for r in relevant_and_diverse(wanted[row], known, k)]


def _least_surprising(turns: Turns, k: int, seed: int, backbone: Backbone | None) -> list[int]:
    """The ``k`` of :data:`ASKED` drawn rows with the lowest perplexity; the least last."""
    from ..backbones.lm import LanguageModel
    from ..scoring.requests import Coded

    layout = turns.coder.layout
    if not isinstance(backbone, LanguageModel) or layout.kind != "causal":
        raise ConfigError(
            "the perplexity of demonstrations", got=f"a {layout.kind} model",
            expected="a causal model", fix="evaluation.choose=random",
        )  # fmt: skip
    asked = chosen(turns.name, len(turns.rows), max(k, ASKED), seed)
    first = layout.bos if layout.bos is not None else layout.eos
    before = layout.single_before or (() if first is None else (first,))
    coded = []
    for r in asked:
        turn = turns.turn(r)
        coded.append(Coded((*before, *turn.input, *turn.output), max(1, len(before))))
    scores = backbone.scorer().score_coded(coded)
    order = sorted(range(len(asked)), key=lambda i: -scores[i].logprob / scores[i].tokens)
    different: dict[object, int] = {}  # rows that say the same are shown once
    for i in order:
        different.setdefault(coded[i].ids, asked[i])
    first_of = list(different.values())
    rest = [asked[i] for i in order if asked[i] not in set(first_of)]
    return [*first_of, *rest][:k][::-1]


def _most_telling(turns: Turns, k: int, seed: int, backbone: Backbone | None) -> list[int]:
    from .probing import label_probabilities

    count = len(turns.rows)
    sets = [random_k(count, k, seed * SETS + i) for i in range(SETS)]
    used = {r for rows in sets for r in rows}
    free = [r for r in chosen(turns.name, count, count, seed) if r not in used]
    probes = (free or list(range(count)))[:PROBES]
    table = label_probabilities(
        backbone, turns, [[turns.turn(r) for r in rows] for rows in sets],
        [turns.turn(r).input for r in probes],
    )  # fmt: skip
    return sets[int(mutual_information(table).argmax())]
