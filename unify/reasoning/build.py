"""A method from its settings: the one place where a method's name becomes an object."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from formats.errors import UnknownName
from tasks.task import Task

from ..scoring import Writing
from . import auto_cot, pool
from .chain import Chain, Outcome, Sampling, ZeroShot
from .demos import Demo, nearest_to, select
from .layout import Layout
from .least_to_most import Decomposed, LeastToMost
from .lm import LM
from .questions import Question
from .self_ask import Asked, SelfAsk

Method = Callable[[LM, Sequence[Question], Sequence[int]], list[Outcome]]


@dataclass(frozen=True)
class Built:
    """A method and what a report should know of how it was made."""

    method: Method
    notes: Mapping[str, Any] = field(default_factory=dict)
    demos: tuple[Demo, ...] = ()


@dataclass(frozen=True)
class Near:
    """A chain whose demonstrations are chosen anew for every question."""

    chain: Chain
    pool: tuple[Demo, ...]
    k: int
    encoder: str | None = None

    def __call__(
        self, lm: LM, questions: Sequence[Question], numbers: Sequence[int]
    ) -> list[Outcome]:
        chosen = nearest_to([q.text for q in questions], self.pool, self.k, self.encoder)
        prompts = [
            self.chain.layout.prompt(d, q.text) for d, q in zip(chosen, questions, strict=True)
        ]
        return self.chain.answer(lm, questions, prompts, numbers)


def _auto(
    lm: LM, task: Task, settings: Mapping[str, Any], split: str, layout: Layout,
    writing: Writing, seed: int,
) -> auto_cot.Found:  # fmt: skip
    asked = pool.asked(task, settings, split)
    vectors = auto_cot.vectors_of([q.text for q in asked], settings["encoder"])
    by = ZeroShot(
        trigger=settings["trigger"],
        answer_trigger=settings["answer_trigger"],
        layout=layout,
        writing=dataclasses.replace(writing, temperature=0.0),
    )
    limits = auto_cot.Limits(settings["question_tokens"], settings["steps"])
    groups = auto_cot.clusters(vectors, settings["demos"], seed)
    return auto_cot.demonstrate(lm, asked, groups, by, limits)


def build(
    settings: Mapping[str, Any], lm: LM, task: Task, split: str, writing: Writing, seed: int
) -> Built:
    """The method ``settings['name']`` (a file of ``conf/reasoning``) for the questions of
    ``split`` of ``task``. Raises ConfigError."""
    name = settings["name"]
    layout = Layout(**settings["layout"])
    sampling = Sampling(settings["samples"], settings["weighted"], settings["among"])
    common: dict[str, Any] = {"layout": layout, "writing": writing, "sampling": sampling}
    if name == "zero_shot_cot":
        given = (settings["trigger"], settings["answer_trigger"])
        return Built(ZeroShot(*given, **common))
    if name == "least_to_most":
        decomposed = tuple(
            Decomposed(d["question"], tuple((p["question"], p["answer"]) for p in d["parts"]))
            for d in settings["decomposed"][: settings["demos"]]
        )
        return Built(LeastToMost(decomposed, marker=layout.marker, writing=writing))
    if name == "self_ask":
        shown = tuple(
            Asked(
                d["question"],
                tuple((t["question"], t["answer"]) for t in d["turns"]),
                str(d["answer"]),
            )
            for d in settings["asked"][: settings["demos"]]
        )
        return Built(SelfAsk(shown, writing=writing))
    if name == "auto_cot":
        made = _auto(lm, task, settings, split, layout, writing, seed)
        notes = {"auto_cot_tried": made.tried, "auto_cot_without": made.without}
        return Built(Chain(made.demos, **common), notes, made.demos)
    if name not in ("cot", "direct"):
        known = ("cot", "direct", "zero_shot_cot", "auto_cot", "least_to_most", "self_ask")
        raise UnknownName("method", name, known)
    if not settings["demos"]:
        return Built(Chain((), **common))
    found = pool.demonstrations(task, settings, split, direct=name == "direct")
    k = found.most(settings["demos"])
    origin: dict[str, Any] = {"demonstrations_from": found.origin, "pool": len(found.demos)}
    if settings["select"] == "nearest":
        return Built(Near(Chain((), **common), found.demos, k, settings["encoder"]), origin)
    chosen = select(found.demos, k, settings["select"], seed)
    return Built(Chain(chosen, **common), origin, chosen)
