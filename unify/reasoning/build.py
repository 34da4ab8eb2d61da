"""A method from its settings: the one place where a method's name becomes an object."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from formats.errors import ConfigError, UnknownName
from tasks.task import Task
from unify.scoring import Writing

from . import auto_cot
from .chain import Chain, Outcome, Sampling, ZeroShot
from .demos import Demo, answered, nearest_to, select, worked
from .layout import Layout
from .least_to_most import Decomposed, LeastToMost
from .lm import LM
from .questions import Question, questions
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


def _pool(task: Task, settings: Mapping[str, Any]) -> list[Question]:
    """Questions that may become demonstrations: the task's training rows."""
    split = settings["demos_split"]
    if split not in task.splits():
        raise ConfigError(
            f"{task.name} has no rows to demonstrate with",
            got=split,
            expected=" or ".join(task.splits()),
            fix="demos_from=<a task with training rows>, or worked examples under reasoning.worked",
        )
    return questions(task.examples(split, settings["pool"], on_bad_row="skip"), task)


def _demos(settings: Mapping[str, Any], source: Task, direct: bool) -> tuple[Demo, ...]:
    """Those of the configuration; else the source's rows with their own solutions."""
    if settings["worked"]:
        made = tuple(Demo(**{k: str(v) for k, v in d.items()}) for d in settings["worked"])
        return tuple(dataclasses.replace(d, rationale="") for d in made) if direct else made
    found = [answered(q) if direct else worked(q) for q in _pool(source, settings)]
    return tuple(d for d in found if d is not None)


def _auto(
    lm: LM, source: Task, settings: Mapping[str, Any], layout: Layout, writing: Writing, seed: int
) -> auto_cot.Found:
    asked = _pool(source, settings)
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
    settings: Mapping[str, Any], lm: LM, source: Task, writing: Writing, seed: int
) -> Built:
    """The method ``settings['name']`` (a file of ``conf/reasoning``) with demonstrations from
    ``source``. Raises ConfigError."""
    name = settings["name"]
    layout = Layout(**settings["layout"])
    sampling = Sampling(settings["samples"], settings["weighted"], settings["among"])
    common: dict[str, Any] = {"layout": layout, "writing": writing, "sampling": sampling}
    if name == "zero_shot_cot":
        given = (settings["trigger"], settings["answer_trigger"])
        return Built(ZeroShot(*given, **common))
    if name == "least_to_most":
        split = tuple(
            Decomposed(d["question"], tuple((p["question"], p["answer"]) for p in d["parts"]))
            for d in settings["decomposed"]
        )
        return Built(LeastToMost(split, marker=layout.marker, writing=writing))
    if name == "self_ask":
        shown = tuple(
            Asked(
                d["question"],
                tuple((t["question"], t["answer"]) for t in d["turns"]),
                str(d["answer"]),
            )
            for d in settings["asked"]
        )
        return Built(SelfAsk(shown, writing=writing))
    if name == "auto_cot":
        found = _auto(lm, source, settings, layout, writing, seed)
        notes = {"auto_cot_tried": found.tried, "auto_cot_without": found.without}
        return Built(Chain(found.demos, **common), notes, found.demos)
    if name not in ("cot", "direct"):
        known = ("cot", "direct", "zero_shot_cot", "auto_cot", "least_to_most", "self_ask")
        raise UnknownName("method", name, known)
    if not settings["demos"]:
        return Built(Chain((), **common))
    pool = _demos(settings, source, direct=name == "direct")
    if settings["select"] == "nearest":
        near = Near(Chain((), **common), pool, settings["demos"], settings["encoder"])
        return Built(near, {"pool": len(pool)})
    chosen = select(pool, settings["demos"], settings["select"], seed)
    return Built(Chain(chosen, **common), {"pool": len(pool)}, chosen)
