"""KPT: label words from a knowledge base, refined (Hu et al. 2022, arXiv 2108.02035)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from formats.errors import DataError

from .cloze import Asking, Cloze
from .patterns import DEFAULTS, Pattern
from .shots import Learned, Shots
from .weighted import learn_weighted
from .words import Words, manual


def read_graph(path: str | Path) -> dict[str, tuple[str, ...]]:
    """A word graph: lines ``word<tab>related<tab>related…``. Raises DataError."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(
            "a word graph that cannot be read",
            file=str(path),
            got=error,
            expected="a readable file of related words",
        ) from None
    found: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(lines):
        word, *related = (part.strip() for part in line.split("\t"))
        if not line.strip() or line.startswith("#"):
            continue
        if not word or not any(related):
            raise DataError("a line without related words", file=str(path), row=number,
                            got=line, expected="word<tab>related<tab>…")  # fmt: skip
        found[word] = (*found.get(word, ()), *(r for r in related if r))
    return found


def expanded(words: Words, graph: Mapping[str, Sequence[str]], most: int = 100) -> Words:
    """Each label's words and their neighbours, ``most`` at most; a word that two labels have is
    the first one's."""
    met = {w for own in words.words for w in own}
    found = []
    for own in words.words:
        more = list(own)
        for word in own:
            for related in graph.get(word, ()):
                if related not in met and len(more) < most:
                    met.add(related)
                    more.append(related)
        found.append(tuple(more))
    return Words(tuple(found))


def prior_of(log_probs: Tensor) -> Tensor:
    """The mean *probability* of each word over unlabelled rows ``[n, words]``, as its logarithm:
    ``[words]`` (contextual calibration, section 3.3)."""
    return log_probs.logsumexp(0) - math.log(len(log_probs))


def frequent(prior: Tensor, share: float) -> list[bool]:
    """Which words are among the ``share`` that the model expects most."""
    kept = max(1, round(share * len(prior)))
    chosen = set(prior.topk(kept).indices.tolist())
    return [k in chosen for k in range(len(prior))]


def relevance(probabilities: Tensor, owner: Sequence[int], names: Sequence[int]) -> Tensor:
    """R(v) of each word: how like its probabilities over the rows ``[n, words]`` are to those of
    its own label's name (column ``names[label]``), over the mean likeness to the other names.
    Likeness is the cosine. ``[words]``."""
    unit = normalize(probabilities, dim=0)
    similar = (unit.T @ unit[:, list(names)]).clamp(min=1e-12)  # [words, labels]
    own = similar[torch.arange(len(owner)), torch.tensor(list(owner))]
    rest = (similar.sum(1) - own).clamp(min=1e-12) / max(1, len(names) - 1)
    return own / rest


def refined(words: Words, kept: Sequence[bool]) -> tuple[Words, list[int]]:
    """The words that are kept, each label's first one (its name) always; and their numbers."""
    found, numbers, at = [], [], 0
    for own in words.words:
        here = [(w, at + k) for k, w in enumerate(own) if k == 0 or kept[at + k]]
        found.append(tuple(w for w, _ in here))
        numbers += [n for _, n in here]
        at += len(own)
    return Words(tuple(found)), numbers


def kpt(shots: Shots, settings: Mapping[str, Any]) -> Learned:
    """``graph`` names the word graph (none: the labels' words alone); ``frequency`` is the share of
    the words that is kept, ``relevance`` the least that a word needs; unlabelled rows (else the
    training rows) measure both."""
    graph = read_graph(settings["graph"]) if settings.get("graph") else {}
    words = expanded(manual(shots.labels), graph)
    before = len(words.flat)
    pattern = (settings.get("patterns") or DEFAULTS)[0]
    cloze = Cloze(shots.start, "log_prob")
    asked = Asking(Pattern(pattern), shots.instruction)
    support = list(shots.unlabelled[: int(settings.get("support", 200))]) or list(shots.train)
    ids = words.ids(cloze.coder)
    shots.start.eval()
    with torch.inference_mode():
        table = torch.cat([cloze.scores([asked(e) for e in support[k : k + 32]], ids)
                           for k in range(0, len(support), 32)]).clone()  # fmt: skip
    owner = [k for k, own in enumerate(words.words) for _ in own]
    names = [owner.index(k) for k in range(len(words.words))]
    common = frequent(prior_of(table), float(settings.get("frequency", 0.5)))
    near = relevance(table.exp(), owner, names) >= float(settings.get("relevance", 1.0))
    words, numbers = refined(words, [a and bool(b) for a, b in zip(common, near, strict=True)])
    prior = prior_of(table)[numbers]
    notes = [f"{before} words expanded, {len(words.flat)} kept, from {len(support)} rows"]
    return learn_weighted(shots, {**settings, "score": "log_prob"}, words, prior, notes)
