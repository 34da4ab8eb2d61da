"""Answers without a model: what a score has to beat.

``majority`` is fitted to the gold answers of the very rows it answers. On an unseen task that is
an upper bound of the constant answer, which nobody could know beforehand; beating it means more.
The others read no gold, except that ``overlap`` takes the mean where a rating has no second text.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from formats.candidates import candidates
from formats.candidates import words as word_spans
from formats.examples import (
    Answer,
    Example,
    MultiLabelClassification,
    MultipleChoice,
    QuestionAnswering,
    Regression,
    RelationClassification,
    Span,
    TextClassification,
    TextGeneration,
    TokenClassification,
)

from .metrics import Metric, Record

Baseline = Callable[[Sequence[Example], int], list[Answer]]

_RUN = 8  # words of a candidate answer at most
_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？]*")


def _words(text: str) -> list[str]:
    return [text[a:b].lower() for a, b in word_spans(text) if text[a:b].isalnum()]


def _share(part: str, whole: Iterable[str]) -> float:
    """The share of the words of ``part`` that are among ``whole``."""
    own = set(_words(part))
    return len(own & set(whole)) / len(own) if own else 0.0


def _mean(examples: Sequence[Example]) -> float:
    golds = [e.gold for e in examples if isinstance(e, Regression) and e.gold is not None]
    return sum(golds) / len(golds) if golds else 0.0


def _gold(example: Example) -> Answer:
    """The gold answer as one that could be given: the first alternative or reference."""
    if isinstance(example, QuestionAnswering):
        return example.gold_texts()[0]
    if isinstance(example, TextGeneration):
        return example.gold[0] if example.gold else None
    return example.gold


def majority(examples: Sequence[Example], seed: int = 0) -> list[Answer]:
    """The most frequent gold answer of these rows, first come on ties; the mean for ratings.

    Entities: none at all, since no set of places is shared by rows.
    """
    labelled = [e for e in examples if e.gold is not None]
    if not labelled:
        return [None] * len(examples)
    if isinstance(labelled[0], TokenClassification):
        return [frozenset[Span]()] * len(examples)
    if isinstance(labelled[0], Regression):
        return [_mean(labelled)] * len(examples)
    ((common, _),) = Counter(map(_gold, labelled)).most_common(1)
    return [common] * len(examples)


def _random(example: Example, rng: random.Random) -> Answer:
    if isinstance(example, (TextClassification, RelationClassification)):
        return rng.choice(example.labels.names)
    if isinstance(example, MultiLabelClassification):
        return frozenset(n for n in example.labels.names if rng.random() < 0.5)
    if isinstance(example, MultipleChoice):
        return rng.randrange(len(example.options))
    if isinstance(example, Regression):
        return rng.uniform(example.low, example.high)
    if isinstance(example, TextGeneration):
        return rng.choice(_SENTENCE.findall(example.source) or [example.source]).strip()
    text = example.passage if isinstance(example, QuestionAnswering) else example.text
    spans = list(candidates(text, _RUN))
    if not spans:
        return frozenset[str]()
    start, end = rng.choice(spans)
    if isinstance(example, QuestionAnswering):
        return frozenset([text[start:end]])
    return frozenset([Span(start, end, rng.choice(example.types.names))])


def uniform(examples: Sequence[Example], seed: int = 0) -> list[Answer]:
    """Uniform over the answer space: labels, subsets, options, the scale, runs of words.

    Entities: one run of words of a random type. Generation: a sentence of the source. Each row's
    answer depends on the seed and its id alone.
    """
    return [_random(e, random.Random(f"{seed}/{e.id}")) for e in examples]


def _sentences(text: str) -> list[tuple[int, str]]:
    return [(m.start(), m.group()) for m in _SENTENCE.finditer(text) if m.group().strip()]


def _answer_of(example: QuestionAnswering) -> Answer:
    """In the sentence that shares most words with the question, the longest run of other words."""
    asked = set(_words(example.question))
    best = max(_sentences(example.passage), key=lambda s: len(asked & set(_words(s[1]))))[1]
    runs: list[list[tuple[int, int]]] = [[]]
    for start, end in word_spans(best):
        word = best[start:end]
        if word.isalnum() and word.lower() not in asked:
            runs[-1].append((start, end))
        else:
            runs.append([])
    longest = max(runs, key=len)[:_RUN]
    return frozenset([best[longest[0][0] : longest[-1][1]] if longest else best.strip()])


def _entities(example: TokenClassification) -> Answer:
    """Runs of capitalised words, of the type whose words the text shares most."""
    text = set(_words(example.text))
    types = example.types
    kind = max(zip(types.names, types.words, strict=True), key=lambda t: _share(t[1], text))[0]
    runs = re.finditer(r"\b[A-Z]\w*(?:[ -][A-Z]\w*)*", example.text)
    return frozenset(Span(m.start(), m.end(), kind) for m in runs)


def _request(example: TextGeneration) -> Answer:
    """The sentence that shares most words with the last one, which is taken for the request."""
    *others, request = [s.strip() for _, s in _sentences(example.source)] or [example.source]
    asked = set(_words(request))
    return max(others or [request], key=lambda s: len(asked & set(_words(s))))


def _overlap(example: Example, mean: float) -> Answer:
    if isinstance(example, QuestionAnswering):
        return _answer_of(example)
    if isinstance(example, TokenClassification):
        return _entities(example)
    if isinstance(example, TextGeneration):
        return _request(example)
    if isinstance(example, MultipleChoice):
        text = set(_words(f"{example.context or ''} {example.question}"))
        shares = [_share(option, text) for option in example.options]
        return shares.index(max(shares))
    if isinstance(example, Regression):
        if example.text_b is None:
            return mean
        one, two = set(_words(example.text)), set(_words(example.text_b))
        return example.low + len(one & two) / max(len(one | two), 1) * (example.high - example.low)
    second = None if isinstance(example, RelationClassification) else example.text_b
    text = set(_words(f"{example.text} {second or ''}"))
    named = zip(example.labels.names, example.labels.words, strict=True)
    scored = [(name, _share(word, text)) for name, word in named]
    if isinstance(example, MultiLabelClassification):
        return frozenset(name for name, share in scored if share > 0.5)
    return max(scored, key=lambda s: s[1])[0]


def overlap(examples: Sequence[Example], seed: int = 0) -> list[Answer]:
    """Word overlap: the option, label or sentence most of whose words the text holds.

    Label sets: the labels of which more than half the words are in the text. Ratings of a pair:
    the Jaccard overlap of both texts on the scale. The first one wins on ties.
    """
    mean = _mean(examples)
    return [_overlap(e, mean) for e in examples]


def copy(examples: Sequence[Example], seed: int = 0) -> list[Answer]:
    """The whole source or passage; None (always wrong) where there is nothing to copy."""
    out: list[Answer] = []
    for example in examples:
        if isinstance(example, TextGeneration):
            out.append(example.source)
        elif isinstance(example, QuestionAnswering):
            out.append(frozenset([example.passage]))
        else:
            out.append(None)
    return out


BASELINES: dict[str, Baseline] = {
    "majority": majority,
    "random": uniform,
    "overlap": overlap,
    "copy": copy,
}


def values(metric: Metric, records: Sequence[Record], seed: int = 0) -> dict[str, float]:
    """What each of :data:`BASELINES` is worth by ``metric`` on the rows of ``records``."""
    examples = [r.example for r in records]
    return {
        name: metric.reduce(metric.rows([
            replace(r, answer=a, scores=None)
            for r, a in zip(records, baseline(examples, seed), strict=True)
        ]))
        for name, baseline in BASELINES.items()
    }  # fmt: skip
