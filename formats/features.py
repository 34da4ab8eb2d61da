"""Instances to token ids, in batches. One feature row holds a shared text once and its variants.

| format   | shared  | variants                  | labels                                        |
|----------|---------|---------------------------|-----------------------------------------------|
| generate | source  | options, or the target    | ``gold`` marks the target                     |
| extract  | passage | questions                 | ``spans``: (variant, first, last token, type) |
| entail   | premise | hypotheses                | ``gold`` is the probability of yes            |

A passage over the window becomes several rows (windows with a stride); any other text that is too
long loses tokens from its middle, which ``cut`` counts.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from .errors import RowError
from .instances import EntailInstance, ExtractInstance, GenerateInstance, Instance, Raw, Scores
from .layout import Coder

MOST_VARIANTS = 64  # a feature row holds at most so many; a larger group becomes several rows


class Group(NamedTuple):
    """The instances of one example; ``row`` is its number in its task's split."""

    row: int
    instances: Sequence[Instance]


@dataclass
class FeatureRow:
    """One shared text and its variants as ids.

    ``instance`` is the group's first instance that this row speaks of, ``window`` the number of
    its passage window. ``offsets`` holds (start, end) characters per passage token, flattened;
    ``spans`` (variant, first token, last token, type) and ``closed`` (candidate, first, last; a
    candidate may have several places), flattened, tokens counted within ``shared``.
    ``candidates`` is how many the instance has. ``length`` is the longest sequence in tokens,
    ``size`` the tokens of all of them, ``cut`` how many tokens were cut.
    """

    row: int
    instance: int
    window: int
    shared: list[int]
    offsets: list[int]
    variants: list[list[int]]
    gold: list[float]
    spans: list[int]
    closed: list[int]
    candidates: int
    length: int
    size: int
    cut: int


YES, NO = "yes", "no"


def as_generate(instance: EntailInstance) -> GenerateInstance:
    """Entailment for a language model: the words yes and no after premise and hypothesis."""
    gold = None if instance.gold is None else (YES if instance.gold >= 0.5 else NO)
    source = f"{instance.premise}\n{instance.hypothesis}\nyes or no?"
    return GenerateInstance(source, gold, (YES, NO))


def yes_odds(raw: Raw) -> float:
    """Log-odds of yes from the scores of :func:`as_generate`'s options."""
    assert isinstance(raw, Scores)
    return raw.values[0] - raw.values[1]


def cut_middle(ids: list[int], room: int) -> list[int]:
    """The first and the last of ``ids``, ``room`` in all: what stands at either end (a question,
    an instruction) is what a prompt cannot do without."""
    if len(ids) <= room:
        return ids
    head = room // 2
    return ids[:head] + ids[len(ids) - (room - head) :]


def featurize(
    groups: Iterable[Group], coder: Coder, *, train: bool = False
) -> Iterator[FeatureRow]:
    """Feature rows of ``groups``, in order; all texts are tokenized in three batched calls.

    ``train=True`` leaves out what only scoring needs (the options that are not the target).
    Raises RowError (row=...) when a text that may not be cut fills the window.
    """
    listed = [(g.row, list(g.instances)) for g in groups]
    if coder.layout.kind != "encoder":
        listed = [
            (row, [as_generate(i) if isinstance(i, EntailInstance) else i for i in instances])
            for row, instances in listed
        ]
    flat = [i for _, instances in listed for i in instances]
    if not flat:
        return
    if isinstance(flat[0], ExtractInstance):
        yield from _extract(listed, coder)  # type: ignore[arg-type]
    elif isinstance(flat[0], EntailInstance):
        yield from _entail(listed, coder)  # type: ignore[arg-type]
    else:
        yield from _generate(listed, coder, train)  # type: ignore[arg-type]


def _generate(
    listed: list[tuple[int, list[GenerateInstance]]], coder: Coder, train: bool
) -> Iterator[FeatureRow]:
    flat = [(row, n, i) for row, instances in listed for n, i in enumerate(instances)]
    sources = coder.ids([i.source for _, _, i in flat])
    wanted: list[tuple[str, ...]] = []
    for _, _, i in flat:
        target = () if i.target is None else (i.target,)
        wanted.append(target if train or not i.options else i.options)
    ids = iter(coder.ids([coder.target(t) for texts in wanted for t in texts]))
    layout = coder.layout
    end = [layout.eos] if layout.eos is not None and layout.kind != "masked" else []
    for (row, n, instance), source, texts in zip(flat, sources, wanted, strict=True):
        closed = bool(instance.options)
        variants = [next(ids) for _ in texts]
        cut = 0
        for v, variant in enumerate(variants):
            if len(variant) + len(end) > layout.max_target:
                if closed:
                    raise RowError(
                        "an option longer than the model can score",
                        row=row,
                        got=f"{len(variant)} tokens",
                        field="options",
                        expected=f"at most {layout.max_target - len(end)} tokens",
                        fix="raise model.max_target, or drop the row",
                    )
                cut += len(variant) - (layout.max_target - len(end))
                variants[v] = variant[: layout.max_target - len(end)]
        variants = [v + end for v in variants]
        # What is written freely may be as long as max_target, however short its gold is.
        known = closed or train
        longest = max(map(len, variants), default=0) if known else layout.max_target
        # A seq2seq target has the decoder to itself.
        room = layout.single_room - (0 if layout.kind == "seq2seq" else longest)
        if room < 8:
            raise RowError(
                "the target leaves no room for the source",
                row=row,
                field="target",
                got=f"{longest} target tokens in a window of {layout.window}",
                expected="at least 8 tokens of source",
                fix="use a longer window",
            )
        kept = cut_middle(source, room)
        cut += len(source) - len(kept)
        frame = len(layout.single_before) + len(layout.single_after)
        length = len(kept) + frame + max((len(v) for v in variants), default=0)
        yield FeatureRow(
            row,
            n,
            0,
            kept,
            [],
            variants,
            [
                float(t == instance.target) if instance.target is not None else math.nan
                for t in texts
            ],
            [],
            [],
            len(texts) if closed and not train else 0,
            length,
            sum(map(len, variants)) + len(kept),
            cut,
        )


def _entail(listed: list[tuple[int, list[EntailInstance]]], coder: Coder) -> Iterator[FeatureRow]:
    runs: list[tuple[int, int, list[EntailInstance]]] = []
    for row, instances in listed:
        for at in range(0, len(instances), MOST_VARIANTS):
            chunk = instances[at : at + MOST_VARIANTS]
            offset = at
            for _, same in groupby(chunk, key=lambda i: i.premise):
                run = list(same)
                runs.append((row, offset, run))
                offset += len(run)
    premises = coder.ids([run[0].premise for _, _, run in runs])
    ids = iter(coder.ids([i.hypothesis for _, _, run in runs for i in run]))
    layout = coder.layout
    half = layout.pair_room // 2
    for (row, first, run), premise in zip(runs, premises, strict=True):
        variants = [next(ids) for _ in run]
        cut = sum(max(0, len(v) - half) for v in variants)
        variants = [cut_middle(v, half) for v in variants]
        longest = max(map(len, variants))
        kept = cut_middle(premise, layout.pair_room - longest)
        cut += len(premise) - len(kept)
        frame = layout.window - layout.pair_room
        size = sum(map(len, variants)) + len(run) * (len(kept) + frame)
        gold = [math.nan if i.gold is None else i.gold for i in run]
        yield FeatureRow(
            row,
            first,
            0,
            kept,
            [],
            variants,
            gold,
            [],
            [],
            0,
            len(kept) + longest + frame,
            size,
            cut,
        )


def _tokens(starts: list[int], ends: list[int], start: int, end: int) -> tuple[int, int] | None:
    """First and last token that touch characters ``start:end``; None where none does.

    ``starts`` and ``ends`` ascend (not strictly: one character may be several byte tokens).
    """
    first = bisect_right(ends, start)
    last = bisect_left(starts, end) - 1
    return (first, last) if first <= last < len(starts) and first < len(starts) else None


def _extract(listed: list[tuple[int, list[ExtractInstance]]], coder: Coder) -> Iterator[FeatureRow]:
    runs: list[tuple[int, int, list[ExtractInstance]]] = []
    for row, instances in listed:
        first = 0
        for _, same in groupby(instances, key=lambda i: (i.passage, i.candidates)):
            run = list(same)
            for at in range(0, len(run), MOST_VARIANTS):
                runs.append((row, first + at, run[at : at + MOST_VARIANTS]))
            first += len(run)
    passages, flat = coder.places([run[0].passage for _, _, run in runs])
    ids = iter(coder.ids([i.question for _, _, run in runs for i in run]))
    layout = coder.layout
    half = layout.pair_room // 2
    frame = layout.window - layout.pair_room
    for (row, first, run), passage, places in zip(runs, passages, flat, strict=True):
        variants = [next(ids) for _ in run]
        cut = sum(max(0, len(v) - half) for v in variants)
        variants = [cut_middle(v, half) for v in variants]
        longest = max(map(len, variants))
        room = layout.pair_room - longest
        starts, ends = places[::2], places[1::2]
        marked: list[tuple[int, ...]] = []
        for v, instance in enumerate(run):
            for span in instance.gold or ():
                found = _tokens(starts, ends, span.start, span.end)
                if found is not None:
                    kind = instance.types.index(span.type) if instance.types else 0
                    marked.append((v, *found, kind))
        listed_spans: list[tuple[int, ...]] = []
        for c, span in (*enumerate(run[0].candidates), *run[0].elsewhere):
            found = _tokens(starts, ends, span.start, span.end)
            if found is not None:
                listed_spans.append((c, *found))
        labelled = run[0].gold is not None
        for w, at in enumerate(_windows(len(passage), room, layout.stride)):
            stop = min(at + room, len(passage))

            def inside(tuples: list[tuple[int, ...]], a: int = at, b: int = stop) -> list[int]:
                kept = (t for t in tuples if t[1] >= a and t[2] < b)
                return [x for v, s, e, *more in kept for x in (v, s - a, e - a, *more)]

            yield FeatureRow(
                row,
                first,
                w,
                passage[at:stop],
                places[2 * at : 2 * stop],
                variants,
                [1.0 if labelled else math.nan] * len(run),
                inside(marked),
                inside(listed_spans),
                len(run[0].candidates),
                stop - at + longest + frame,
                sum(map(len, variants)) + len(run) * (stop - at + frame),
                cut if w == 0 else 0,
            )


def _windows(length: int, room: int, stride: float) -> Iterator[int]:
    """Starts of windows of ``room`` tokens that cover ``length``; neighbours share
    ``room * (1 - stride)`` tokens."""
    step = max(1, int(room * stride))
    at = 0
    yield at
    while at + room < length:
        at += step
        yield at
