"""What a prompt is pre-trained on before it meets a task: three kinds of rows that texts make by
themselves (pre-trained prompt tuning, Gu et al. 2022, arXiv 2109.04332, section 3).

| kind   | asks                            | answers                                              |
|--------|---------------------------------|------------------------------------------------------|
| pair   | two sentences of texts          | neighbours, of one text, of two texts                |
| choice | a sentence                      | which of four sentences follows                      |
| single | a text                          | a label that a small model is confident of           |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from tasks.plain_text import last_phrase, sentences

Row = dict[str, Any]
RELATIONS = ("yes", "maybe", "no")  # neighbours, of one text, of two texts
OPTIONS = 4
WORDS = 12  # of an option at most


def passages(texts: Sequence[str]) -> list[list[str]]:
    """The sentences of each text; a text of one sentence is parted before its end. What cannot be
    parted is left out."""
    found = []
    for text in texts:
        parts = sentences(text)
        if len(parts) == 1:
            parts = list(last_phrase(parts[0]) or ())
        if len(parts) > 1:
            found.append(parts)
    return found


def pairs(parted: Sequence[Sequence[str]], seed: int) -> Iterator[Row]:
    """One row per passage, its relation drawn among those that the passage has."""
    draw = Random(f"{seed}/pair")
    for k, parts in enumerate(parted):
        known = [r for r in RELATIONS if r != "maybe" or len(parts) > 2]
        label = draw.choice(known if len(parted) > 1 else known[:-1])
        at = draw.randrange(len(parts) - 1)
        first, second = parts[at], parts[at + 1]
        if label == "maybe":
            away = [j for j in range(len(parts)) if abs(j - at) > 1]
            if not away:  # the middle one of three has neighbours only
                at, away = 0, [2]
                first = parts[0]
            second = parts[draw.choice(away)]
        elif label == "no":
            other = parted[(k + draw.randrange(1, len(parted))) % len(parted)]
            second = draw.choice(list(other))
        yield {"text": first, "text_b": second, "label": label}


def choices(parted: Sequence[Sequence[str]], seed: int) -> Iterator[Row]:
    """One row per passage: what follows a sentence, among sentences of other passages."""
    draw = Random(f"{seed}/choice")
    for k, parts in enumerate(parted):
        at = draw.randrange(len(parts) - 1)
        right = cut(parts[at + 1])
        options = {right: None}
        for _ in range(10 * OPTIONS):
            if len(options) == OPTIONS or len(parted) == 1:
                break
            other = parted[(k + draw.randrange(1, len(parted))) % len(parted)]
            options.setdefault(cut(draw.choice(list(other))))
        if len(options) < 2:
            continue
        shown = list(options)
        draw.shuffle(shown)
        yield {"question": parts[at], "options": shown, "answer": shown.index(right)}


def cut(text: str) -> str:
    """The first words of ``text``, as many as an option may have."""
    return " ".join(text.split()[:WORDS])


def singles(
    texts: Sequence[str], known: Sequence[tuple[str, str]], confident: float = 0.7
) -> Iterator[Row]:
    """The texts that a bag-of-words model of the ``known`` (text, label) rows is ``confident`` of
    (probability), with its label; nothing where fewer than two labels are known."""
    labels = sorted({label for _, label in known})
    if len(labels) < 2 or not texts:
        return
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = LogisticRegression(C=30.0, max_iter=1000)
    model.fit(words.fit_transform([t for t, _ in known]), [label for _, label in known])
    for text, line in zip(texts, model.predict_proba(words.transform(texts)), strict=True):
        best = int(line.argmax())
        if line[best] >= confident:
            yield {"text": text, "label": str(model.classes_[best])}


def unified(row: Row, labels: Sequence[str]) -> Row:
    """A ``pair`` or ``single`` row as a choice among its ``labels`` (Unified PPT, 3.3)."""
    question = " / ".join(row[k] for k in ("text", "text_b") if k in row)
    return {
        "question": question,
        "options": list(labels),
        "answer": list(labels).index(row["label"]),
    }
