"""Linear models over bags of words: what a training on the same rows has to beat.

Each is fitted to a task's training rows and answers other rows in the task's own answer space:

- classes, label sets, relations, options: logistic regression over TF-IDF of words and word pairs;
  of two texts also over the words that they share, and those of the second alone;
- ratings: ridge regression over the same, and over the cosine of the two texts;
- entities: logistic regression per word over it, two neighbours on each side, and their shapes;
- questions: the run of words with the highest sum of log-odds of being answer, by logistic
  regression over the word, its neighbours, their shapes, the question word, and how many of the
  question's words stand near;
- texts: what the most alike training row was answered, by TF-IDF cosine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

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

STRENGTH = 10.0  # C of the logistic regressions over TF-IDF; the usual for short texts
LONGEST = 12  # words of an answer
ASKING = frozenset("who whom whose what which when where why how".split())


def _words(text: str) -> list[str]:
    return [text[a:b].lower() for a, b in word_spans(text)]


def _bag(text: str, place: str = "") -> list[str]:
    """Words and pairs of neighbours, marked with where they stand."""
    words = _words(text)
    pairs = (f"{a} {b}" for a, b in pairwise(words))
    return [f"{place}:{w}" for w in (*words, *pairs)]


def _pair(one: str, two: str | None) -> list[str]:
    if two is None:
        return _bag(one)
    first, second = set(_words(one)), set(_words(two))
    shared = [f"both:{w}" for w in sorted(first & second)]
    return [
        *_bag(one, "1"),
        *_bag(two, "2"),
        *shared,
        *(f"new:{w}" for w in sorted(second - first)),
    ]


def _related(e: RelationClassification) -> list[str]:
    left, right = sorted([e.head, e.tail])
    between = e.text[left.end : right.start]
    ends = [*_bag(e.head.of(e.text), "head"), *_bag(e.tail.of(e.text), "tail")]
    return [*_bag(e.text), *_bag(between, "between"), *ends]


def _option(e: MultipleChoice, option: str) -> list[str]:
    asked = f"{e.context or ''} {e.question}"
    crossed = (f"{q}&{o}" for q in set(_words(asked)) for o in set(_words(option)))
    shared = set(_words(asked)) & set(_words(option))
    return [*_bag(option), *crossed, *(f"both:{w}" for w in shared)]


def _tfidf(bags: Iterable[list[str]]) -> tuple[Any, Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    made = TfidfVectorizer(analyzer=lambda bag: bag, sublinear_tf=True)
    return made, made.fit_transform(bags)


def _logistic(strength: float = STRENGTH, **more: Any) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=300, **more)


def _classes(train: Sequence[Any], test: Sequence[Any]) -> list[Answer]:
    def bag(e: Any) -> list[str]:
        return _related(e) if isinstance(e, RelationClassification) else _pair(e.text, e.text_b)

    vectors, known = _tfidf(map(bag, train))
    model = _logistic().fit(known, [e.gold for e in train])
    return [str(a) for a in model.predict(vectors.transform(map(bag, test)))]


def _label_sets(train: Sequence[Any], test: Sequence[Any]) -> list[Answer]:
    """One model per label, and one threshold: the best for micro-F1 in threefold
    cross-validation of the training rows."""
    from sklearn.metrics import f1_score
    from sklearn.model_selection import cross_val_predict
    from sklearn.multiclass import OneVsRestClassifier

    names = train[0].labels.names
    gold = np.array([[n in e.gold for n in names] for e in train])
    vectors, known = _tfidf(_pair(e.text, e.text_b) for e in train)
    model = OneVsRestClassifier(_logistic(solver="liblinear"))
    tried = cross_val_predict(model, known, gold, cv=3, method="predict_proba")
    steps = np.linspace(0.05, 0.6, 23)
    best = max(steps, key=lambda t: f1_score(gold, tried >= t, average="micro", zero_division=0))
    asked = vectors.transform(_pair(e.text, e.text_b) for e in test)
    found = model.fit(known, gold).predict_proba(asked) >= best
    return [frozenset(n for n, yes in zip(names, row, strict=True) if yes) for row in found]


def _choices(train: Sequence[Any], test: Sequence[Any]) -> list[Answer]:
    pairs = [(_option(e, o), k == e.gold) for e in train for k, o in enumerate(e.options)]
    vectors, known = _tfidf(bag for bag, _ in pairs)
    model = _logistic().fit(known, [right for _, right in pairs])
    return [
        int(model.decision_function(vectors.transform(_option(e, o) for o in e.options)).argmax())
        for e in test
    ]


def _ratings(train: Sequence[Any], test: Sequence[Any]) -> list[Answer]:
    from scipy.sparse import csr_matrix, hstack
    from sklearn.linear_model import Ridge

    vectors, known = _tfidf(_pair(e.text, e.text_b) for e in train)
    single, _ = _tfidf(_bag(t) for e in train for t in (e.text, e.text_b) if t)

    def matrix(rows: Sequence[Any], bags: Any) -> Any:
        one, two = (single.transform(_bag(t or "") for t in texts)
                    for texts in ([e.text for e in rows], [e.text_b for e in rows]))  # fmt: skip
        return hstack([bags, csr_matrix(one.multiply(two).sum(1))]).tocsr()

    model = Ridge(alpha=1.0).fit(matrix(train, known), [e.gold for e in train])
    asked = matrix(test, vectors.transform(_pair(e.text, e.text_b) for e in test))
    given = zip(test, model.predict(asked), strict=True)
    return [float(np.clip(value, e.low, e.high)) for e, value in given]


def _shape(word: str) -> str:
    """``McCain-2`` -> ``AaAa-0``."""
    marks = re.sub(r"[^\W\d_]", lambda m: "A" if m.group().isupper() else "a", word)
    return re.sub(r"(.)\1+", r"\1", re.sub(r"\d", "0", marks))


def _around(words: Sequence[str], k: int) -> dict[str, float]:
    """The word, two neighbours on each side, and their shapes."""
    found: dict[str, float] = {"end:" + words[k][-3:].lower(): 1.0}
    for d in (-2, -1, 0, 1, 2):
        word = words[k + d] if 0 <= k + d < len(words) else ""
        found[f"{d}:{word.lower()}"] = 1.0
        found[f"{d}~{_shape(word)}"] = 1.0
    return found


def _per_word(rows: Iterable[list[dict[str, float]]], gold: Iterable[list[str]]) -> Any:
    """A fitted pipeline from features of words to classes."""
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(DictVectorizer(), _logistic(1.0))
    return model.fit([f for row in rows for f in row], [g for row in gold for g in row])


def _tokens(e: TokenClassification) -> list[tuple[int, int]]:
    return list(e.tokens) if e.tokens else [m.span() for m in re.finditer(r"\S+", e.text)]


def _entities(train: Sequence[Any], test: Sequence[Any]) -> list[Answer]:
    def rows(e: Any) -> list[dict[str, float]]:
        words = [e.text[a:b] for a, b in _tokens(e)]
        return [_around(words, k) for k in range(len(words))]

    def tags(e: Any) -> list[str]:
        found = []
        for start, end in _tokens(e):
            over = [s for s in e.gold if s.start < end and start < s.end]
            found.append(("B-" if over[0].start >= start else "I-") + over[0].type if over else "O")
        return found

    model = _per_word(map(rows, train), map(tags, train))
    return [_spans(e, list(model.predict(rows(e)))) for e in test]


def _spans(e: TokenClassification, tags: Sequence[str]) -> frozenset[Span]:
    """Runs of one type; ``B-`` begins one, and so does ``I-`` after another type."""
    runs: list[list[Any]] = []
    before = "O"
    for (start, end), tag in zip(_tokens(e), tags, strict=True):
        if tag != "O":
            if tag[0] == "I" and before[2:] == tag[2:]:
                runs[-1][1] = end
            else:
                runs.append([start, end, tag[2:]])
        before = tag
    return frozenset(Span(*run) for run in runs)


def _asked(e: QuestionAnswering) -> list[dict[str, float]]:
    """Features of the passage's words."""
    words = [e.passage[a:b] for a, b in word_spans(e.passage)]
    question = _words(e.question)
    asking = next((w for w in question if w in ASKING), "")
    after = " ".join(question[question.index(asking) :][:2]) if asking else ""
    wanted = {w for w in question if len(w) > 3}
    held = [w.lower() in wanted for w in words]
    found = []
    for k, word in enumerate(words):
        own = _around(words, k)
        for d in (-1, 0, 1):
            near = words[k + d] if 0 <= k + d < len(words) else ""
            own[f"{asking}?{d}~{_shape(near)}"] = own[f"{after}?{d}~{_shape(near)}"] = 1.0
        own[f"{asking}?{word.lower()}"] = 1.0
        for width in (3, 8, 20):
            own[f"near{width}"] = sum(held[max(0, k - width) : k + width + 1]) / 3
        own["asked"] = float(held[k])
        found.append(own)
    return found


def _answers(train: Sequence[Any], test: Sequence[Any]) -> list[Answer]:
    def inside(e: Any) -> list[str]:
        gold = e.gold[0]
        return ["yn"[not any(s.start < b and a < s.end for s in gold)]
                for a, b in word_spans(e.passage)]  # fmt: skip

    model = _per_word(map(_asked, train), map(inside, train))
    out: list[Answer] = []
    for e in test:
        odds = model.decision_function(_asked(e))
        total = np.concatenate([[0.0], np.cumsum(odds)])
        places = word_spans(e.passage)
        runs = ((total[j] - total[i], i, j) for i in range(len(places))
                for j in range(i + 1, min(i + LONGEST, len(places)) + 1))  # fmt: skip
        _, first, last = max(runs)
        out.append(frozenset([e.passage[places[first][0] : places[last - 1][1]]]))
    return out


def _nearest(train: Sequence[Any], test: Sequence[Any]) -> list[Answer]:
    vectors, known = _tfidf(_bag(e.source) for e in train)
    alike = vectors.transform(_bag(e.source) for e in test) @ known.T
    return [train[int(k)].gold[0] for k in np.asarray(alike.argmax(1)).ravel()]


ANSWER: dict[type, Callable[[Sequence[Any], Sequence[Any]], list[Answer]]] = {
    TextClassification: _classes,
    RelationClassification: _classes,
    MultiLabelClassification: _label_sets,
    MultipleChoice: _choices,
    Regression: _ratings,
    TokenClassification: _entities,
    QuestionAnswering: _answers,
    TextGeneration: _nearest,
}


def answers(train: Sequence[Example], test: Sequence[Example]) -> list[Answer]:
    """The bag of words' answers to ``test``, fitted to ``train``: examples of one task."""
    return ANSWER[type(train[0])](train, test)
