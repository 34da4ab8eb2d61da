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
from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise

from .errors import RowError
from .instances import EntailInstance, ExtractInstance, GenerateInstance, Raw, Scores
from .layout import Coder
from .passages import passage_rows
from .rows import MOST_VARIANTS, FeatureRow, Group, cut_middle

__all__ = [
    "MOST_VARIANTS",
    "FeatureRow",
    "Group",
    "as_generate",
    "cut_middle",
    "featurize",
    "yes_odds",
]

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
        yield from passage_rows(listed, coder)  # type: ignore[arg-type]
    elif isinstance(flat[0], EntailInstance):
        yield from _entail(listed, coder)  # type: ignore[arg-type]
    else:
        yield from _generate(listed, coder, train)  # type: ignore[arg-type]


def _generate(
    listed: list[tuple[int, list[GenerateInstance]]], coder: Coder, train: bool
) -> Iterator[FeatureRow]:
    flat = [(row, n, i) for row, instances in listed for n, i in enumerate(instances)]
    sources, bounds = coder.flat([i.source for _, _, i in flat])
    wanted: list[tuple[str, ...]] = []
    for _, _, i in flat:
        target = () if i.target is None else (i.target,)
        # The blanks of a masked model are as many as its longest option has tokens.
        whole_list = coder.layout.kind == "masked" and i.target in i.options
        wanted.append(i.options if i.options and (whole_list or not train) else target)
    ids = iter(coder.ids([coder.target(t) for texts in wanted for t in texts]))
    layout = coder.layout
    end = [layout.eos] if layout.eos is not None and layout.kind != "masked" else []
    for (row, n, instance), (begin, stop), texts in zip(
        flat, pairwise(bounds), wanted, strict=True
    ):
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
        kept = cut_middle(sources[begin:stop], room)
        cut += stop - begin - len(kept)
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
