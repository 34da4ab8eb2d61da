"""One writer per task flavour: each draws a few facts of a domain and asks about them.

A writer takes the domain, the names it may use and a random generator, and returns one row.
Labels, offsets and answers are read off the facts that were written, so they hold by
construction. Every text states several competing facts, so choosing a value only because it is
mentioned is not enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from .domains import (
    SHARED_COUNT_FRAMES,
    SHARED_GOODS_FRAMES,
    SHARED_RELATION_FRAMES,
    SHARED_STATE_FRAMES,
    WHO_ASKS,
    Domain,
)
from .text import draw, draw_names, find_word, join_facts, one

Row = dict[str, Any]
Writer = Callable[[Domain, Sequence[str], Random], Row]

FACTS = 3
SCALE = (0, 9)
VERDICTS = ("true", "false", "unknown")
UNANSWERABLE_SHARE = 0.2
COMMON_SHARE = 0.5
SHARED_FRAMES_SHARE = 0.3


def _frame(rng: Random, own: Sequence[str], shared: Sequence[str]) -> str:
    """A sentence frame: mostly one of the domain's own, else one that all domains share."""
    return one(rng, shared if rng.random() < SHARED_FRAMES_SHARE else own)


def _open_words(common: Sequence[str], pool: Sequence[str], rng: Random, k: int) -> list[str]:
    """``k`` different values for an open question: common words, or words of this world alone."""
    if rng.random() < COMMON_SHARE:
        return draw(rng, common, k)
    return [name.lower() for name in draw_names(rng, pool, k)]


def _state(domain: Domain, rng: Random, name: str, value: str) -> str:
    """A fact that gives ``name`` a state."""
    return _frame(rng, domain.state_frames, SHARED_STATE_FRAMES).format(e=name, v=value)


def _goods(domain: Domain, rng: Random, name: str, values: Sequence[str]) -> str:
    """A fact that gives ``name`` one or more goods."""
    return _frame(rng, domain.goods_frames, SHARED_GOODS_FRAMES).format(
        e=name, v=" and ".join(values)
    )


def _states_of(
    domain: Domain, rng: Random, names: Sequence[str], values: Sequence[str] = ()
) -> tuple[list[str], str]:
    """A different state for each name, and the text that says so."""
    values = list(values) or draw(rng, domain.states, len(names))
    facts = [_state(domain, rng, name, value) for name, value in zip(names, values, strict=True)]
    return values, join_facts(rng, facts)


def _goods_of(domain: Domain, rng: Random, names: Sequence[str], values: Sequence[str]) -> str:
    """One sentence that gives each name its good."""
    facts = [_goods(domain, rng, name, [value]) for name, value in zip(names, values, strict=True)]
    return join_facts(rng, facts, one_sentence=1.0)


def _span(text: str, word: str) -> dict[str, Any]:
    """The answer ``word`` with its place in ``text``."""
    return {"text": word, "start": find_word(text, word)}


def state_label(domain: Domain, pool: Sequence[str], rng: Random) -> Row:
    """TextClassification: the state of the one asked about."""
    names = draw_names(rng, pool, FACTS)
    values, text = _states_of(domain, rng, names)
    return {"text": text, "text_b": names[0], "label": values[0]}


def goods_label(domain: Domain, pool: Sequence[str], rng: Random) -> Row:
    """TextClassification: the good of the one asked about."""
    names = draw_names(rng, pool, FACTS)
    values = draw(rng, domain.goods, FACTS)
    text = _goods_of(domain, rng, names, values)
    return {"text": text, "text_b": names[0], "label": values[0]}


def claim(domain: Domain, pool: Sequence[str], rng: Random) -> Row:
    """TextClassification: a claim that the text states, contradicts or does not speak of."""
    names = draw_names(rng, pool, FACTS + 1)
    values, text = _states_of(domain, rng, names[:FACTS])
    verdict = one(rng, VERDICTS)
    about = names[FACTS] if verdict == "unknown" else names[0]
    value = values[0] if verdict == "true" else values[1]
    return {"text": text, "text_b": f"{about} {value}", "label": verdict}


def goods_labels(domain: Domain, pool: Sequence[str], rng: Random) -> Row:
    """MultiLabelClassification: all goods of the one asked about."""
    names = draw_names(rng, pool, FACTS)
    values = draw(rng, domain.goods, 2 * FACTS)
    shares = [values[2 * i : 2 * i + 1 + int(rng.random() * 2)] for i in range(FACTS)]
    facts = [_goods(domain, rng, name, share) for name, share in zip(names, shares, strict=True)]
    labels = [value for value in domain.goods if value in shares[0]]
    return {"text": join_facts(rng, facts), "text_b": names[0], "labels": labels}


def who_choice(domain: Domain, pool: Sequence[str], rng: Random) -> Row:
    """MultipleChoice: who has a state; one option is a name that the text does not mention."""
    names = draw_names(rng, pool, FACTS + 1)
    words = _open_words(domain.states, pool, rng, FACTS)
    values, text = _states_of(domain, rng, names[:FACTS], words)
    options = draw(rng, names, len(names))
    question = one(rng, WHO_ASKS).format(v=values[0])
    answer = options.index(names[0])
    return {"question": question, "context": text, "options": options, "answer": answer}


def what_choice(domain: Domain, pool: Sequence[str], rng: Random) -> Row:
    """MultipleChoice: what someone has; the options are all goods of the text and another."""
    names = draw_names(rng, pool, FACTS + 1)
    values = _open_words(domain.goods, pool, rng, FACTS + 1)
    facts = [_goods(domain, rng, names[i], [values[i]]) for i in range(FACTS)]
    options = draw(rng, values, len(values))
    question = f"{names[0]}: {domain.goods_ask}"
    text, answer = join_facts(rng, facts), options.index(values[0])
    return {"question": question, "context": text, "options": options, "answer": answer}


def who_answer(domain: Domain, pool: Sequence[str], rng: Random) -> Row:
    """QuestionAnswering: the name that has a good."""
    names = draw_names(rng, pool, FACTS + 1)
    values = _open_words(domain.goods, pool, rng, len(names))
    text = _goods_of(domain, rng, names, values)
    question = one(rng, WHO_ASKS).format(v=values[0])
    return {"question": question, "passage": text, "answers": [_span(text, names[0])]}


def what_answer(domain: Domain, pool: Sequence[str], rng: Random) -> Row:
    """QuestionAnswering: the good of a name, which a fifth of the passages do not mention."""
    names = draw_names(rng, pool, FACTS + 1)
    values = _open_words(domain.goods, pool, rng, FACTS)
    text = _goods_of(domain, rng, names[:FACTS], values)
    known = rng.random() >= UNANSWERABLE_SHARE
    question = f"{names[0] if known else names[FACTS]}: {domain.goods_ask}"
    answers = [_span(text, values[0])] if known else []
    return {"question": question, "passage": text, "answers": answers}


def all_who_answer(domain: Domain, pool: Sequence[str], rng: Random) -> Row:
    """QuestionAnswering: every name that has a good: one, two or none of four."""
    names = draw_names(rng, pool, FACTS + 1)
    asked, *others = _open_words(domain.goods, pool, rng, 4)
    chance = rng.random()
    holders = 0 if chance < UNANSWERABLE_SHARE else 1 if chance < 0.6 else 2
    values = [asked] * holders + [others[i % len(others)] for i in range(len(names) - holders)]
    text = _goods_of(domain, rng, names, values)
    answers = sorted((_span(text, name) for name in names[:holders]), key=lambda a: a["start"])
    return {"question": one(rng, WHO_ASKS).format(v=asked), "passage": text, "answers": answers}


def kinds_tags(domain: Domain, pool: Sequence[str], rng: Random) -> Row:
    """TokenClassification: names told apart by the word of their kind next to them."""
    names = draw_names(rng, pool, 4)
    kinds = [one(rng, domain.kinds) for _ in names[1:]]
    called = [names[0]]
    for name, kind in zip(names[1:], kinds, strict=True):
        called.append(f"the {kind} {name}" if rng.random() < 0.7 else f"{name} the {kind}")
    a, b, c, d = draw(rng, called, len(called))
    word_one, word_two = draw(rng, domain.relations, 2)
    facts = [
        _frame(rng, domain.relation_frames, SHARED_RELATION_FRAMES).format(a=a, b=b, r=word_one),
        _frame(rng, domain.relation_frames, SHARED_RELATION_FRAMES).format(a=c, b=d, r=word_two),
    ]
    text = join_facts(rng, facts)
    spans = []
    for name, kind in zip(names[1:], kinds, strict=True):
        start = find_word(text, name)
        spans.append({"start": start, "end": start + len(name), "type": kind})
    return {"text": text, "spans": sorted(spans, key=lambda span: span["start"])}


def relation_label(domain: Domain, pool: Sequence[str], rng: Random) -> Row:
    """RelationClassification: two other pairs of the text share a name with the pair asked."""
    head, tail, third, fourth = draw_names(rng, pool, 4)
    words = draw(rng, domain.relations, FACTS)
    pairs = [(head, tail), (head, third), (fourth, tail)]
    facts = [
        _frame(rng, domain.relation_frames, SHARED_RELATION_FRAMES).format(a=a, b=b, r=word)
        for (a, b), word in zip(pairs, words, strict=True)
    ]
    text = join_facts(rng, facts)
    at = text.index(facts[0][1:]) - 1  # the first letter may have been raised
    head_at, tail_at = find_word(text, head, at), find_word(text, tail, at)
    return {
        "text": text,
        "head": {"start": head_at, "end": head_at + len(head)},
        "tail": {"start": tail_at, "end": tail_at + len(tail)},
        "label": words[0],
    }


def count_value(domain: Domain, pool: Sequence[str], rng: Random) -> Row:
    """Regression: the number that the text states for the one asked about."""
    names = draw_names(rng, pool, FACTS)
    values = draw(rng, range(SCALE[0], SCALE[1] + 1), FACTS)
    facts = [
        _frame(rng, domain.count_frames, SHARED_COUNT_FRAMES).format(e=name, n=value)
        for name, value in zip(names, values, strict=True)
    ]
    return {"text": join_facts(rng, facts), "text_b": names[0], "value": values[0]}


def goods_card(domain: Domain, pool: Sequence[str], rng: Random) -> Row:
    """TextGeneration: the name asked about with its goods."""
    names = draw_names(rng, pool, FACTS)
    values = _open_words(domain.goods, pool, rng, 2 * FACTS)
    shares = [values[2 * i : 2 * i + 1 + int(rng.random() * 2)] for i in range(FACTS)]
    facts = [_goods(domain, rng, name, share) for name, share in zip(names, shares, strict=True)]
    source = f"Card for {names[0]}. {join_facts(rng, facts)}"
    return {"source": source, "targets": [f"{names[0]}: {', '.join(shares[0])}"]}


def state_card(domain: Domain, pool: Sequence[str], rng: Random) -> Row:
    """TextGeneration: the name asked about with its state."""
    names = draw_names(rng, pool, FACTS)
    values, text = _states_of(domain, rng, names)
    return {"source": f"Card for {names[0]}. {text}", "targets": [f"{names[0]}: {values[0]}"]}
