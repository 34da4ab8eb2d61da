"""What a few-shot run leaves beside its model, and the same answers from it in another process.

`prompt.json` in the model's folder holds a :class:`Kept`, or the reason why the answers hang on
more than one model with a prompt or a linear head; `method.safetensors` holds what the method
trained beside the model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from formats.errors import ConfigError, RunError
from formats.examples import Example, LabelSpace

from ..backbones import Backbone
from ..files import write_whole
from ..runs import PROMPT
from ..tuning.virtual import Virtual
from .cloze import Asking, Cloze
from .head import LinearHead
from .patterns import Pattern, Slotted
from .pet import PatternVerbalizer, predicted
from .shots import CLOSED
from .words import Words

TENSORS = "method.safetensors"
CLOZE, LINEAR = "cloze", "linear"
Scores = Callable[[Sequence[Example]], Tensor]  # examples -> [examples, labels]


@dataclass(frozen=True)
class Kept:
    """All that the answers of one model depend on beside its weights.

    ``way``: ``cloze``, or ``linear`` (a layer on the first token). Of a cloze: ``pattern`` and
    ``instruction``; ``words[k]`` stand for label ``k``, with ``weights``; ``score`` is that of a
    token; ``triggers`` are tokens right before the blank; ``soft`` counts the trained vectors
    before the text; ``prior`` is taken from the words' scores.
    """

    way: str = LINEAR
    pattern: str = ""
    instruction: str = ""
    words: tuple[tuple[str, ...], ...] = ()
    weights: tuple[tuple[float, ...], ...] = ()
    score: str = "log_odds"
    triggers: tuple[int, ...] = ()
    soft: int = 0
    prior: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.way not in (CLOZE, LINEAR):
            raise ConfigError("unknown way to answer", got=self.way, expected=f"{CLOZE}, {LINEAR}")
        if self.way == CLOZE and not (self.pattern and self.words):
            raise ConfigError(
                "a cloze without a pattern or without label words",
                got=self,
                expected="pattern and words",
                fix="train the run again: its prompt.json is not whole",
            )
        for name in ("words", "weights"):
            object.__setattr__(self, name, tuple(map(tuple, getattr(self, name))))
        for name in ("triggers", "prior"):
            object.__setattr__(self, name, tuple(getattr(self, name)))


def kept_of(scorer: PatternVerbalizer, **more: Any) -> Kept:
    """The :class:`Kept` of a pattern-verbalizer pair; ``more`` are further fields of it."""
    asked = scorer.asked
    if not isinstance(asked, Asking):
        raise ConfigError(
            "a question that no pattern asks",
            got=type(asked).__name__,
            expected="one asked by a pattern, which a run can keep",
        )
    given: dict[str, Any] = {
        "way": CLOZE, "pattern": asked.pattern.source, "instruction": asked.instruction,
        "words": scorer.words.words, "weights": scorer.words.weights, "score": scorer.cloze.kind,
    }  # fmt: skip
    return Kept(**{**given, **more})


class Prompted(PatternVerbalizer):
    """A pattern-verbalizer pair with tokens right before the blank, and a prior of its words."""

    def __init__(
        self, cloze: Cloze, asked: Asking, words: Words, triggers: Sequence[int] = (),
        prior: Sequence[float] = (),
    ) -> None:  # fmt: skip
        super().__init__(cloze, asked, words)
        self.triggers = tuple(triggers)
        self.prior = torch.tensor(prior) if prior else None

    def rows(self, examples: Sequence[Example], blanks: int) -> list[Slotted]:
        """The texts as tokens, the triggers behind what stands before the blank."""
        sides = [self.asked(e) for e in examples]
        found = self.cloze.rows(sides, blanks + len(self.triggers))
        return [r._replace(before=(*r.before, *self.triggers)) for r in found]

    def scores(self, examples: Sequence[Example]) -> Tensor:
        found = self.cloze.scores_of(lambda blanks: self.rows(examples, blanks), self.ids)
        if self.prior is not None:
            found = found - self.prior.to(found)
        return found @ self.table.to(found)


def scorer_of(
    kept: Kept, backbone: Backbone, labels: int, tensors: dict[str, Tensor] | None = None
) -> Scores:
    """How ``backbone`` answers as ``kept`` says; ``tensors`` are what the method trained."""
    if kept.way == LINEAR:
        head = LinearHead(backbone, labels)
        head.head.load_state_dict(tensors or {})
        return head.answers()
    cloze = Cloze(backbone, kept.score)
    if kept.soft:
        vectors = (tensors or {})["vectors"]
        virtual = Virtual(backbone, before=[kept.soft])
        virtual.rows = lambda words: vectors.to(words)
    asking = Asking(Pattern(kept.pattern), kept.instruction)
    made = Prompted(cloze, asking, Words(kept.words, kept.weights), kept.triggers,
                    kept.prior)  # fmt: skip
    return lambda examples: predicted(made, examples)


def write(
    place: Path, kept: Kept | str, kind: str, labels: LabelSpace, notes: Sequence[str],
    extra: nn.Module | None,
) -> None:  # fmt: skip
    """Writes :data:`PROMPT` and :data:`TENSORS` into the model's folder ``place``."""
    from safetensors.torch import save_file

    told: dict[str, Any] = {
        "kind": kind, "labels": labels.names, "words": labels.words, "notes": list(notes),
        "kept": asdict(kept) if isinstance(kept, Kept) else None,
        "why": None if isinstance(kept, Kept) else kept,
    }  # fmt: skip
    place.mkdir(parents=True, exist_ok=True)
    if extra is not None:
        tensors = {k: t.detach().contiguous() for k, t in extra.state_dict().items()}
        save_file(tensors, place / TENSORS)
    write_whole(place / PROMPT, json.dumps(told, ensure_ascii=False, indent=1))


@dataclass(frozen=True)
class OneTask:
    """A few-shot model that was read again: ``asked`` gives the scores of its own ``labels``, for
    examples of task type ``kind``."""

    backbone: Backbone
    kind: str
    labels: LabelSpace
    asked: Scores
    instruction: str
    notes: tuple[str, ...]

    def order(self, example: Example) -> list[int]:
        """The numbers of this model's labels in the order of the example's. Raises ConfigError
        where the example is of another type, or has other labels."""
        if example.kind != self.kind:
            raise ConfigError(
                "a few-shot model of another task type", got=example.kind, expected=self.kind
            )
        assert isinstance(example, CLOSED)
        space = example.labels
        for theirs in (space.names, space.words):
            for own in (self.labels.names, self.labels.words):
                if set(theirs) == set(own):
                    return [own.index(x) for x in theirs]
        raise ConfigError(
            "a few-shot model knows its own labels only",
            got=list(space.names),
            expected=str(list(self.labels.names)),
            fix="give these labels, or train the method on a task with the others",
        )

    def scores(self, examples: Sequence[Example]) -> Tensor:
        """``[examples, labels]``, the labels in the order of each example's."""
        order = torch.tensor([self.order(e) for e in examples])
        return self.asked(examples).gather(1, order)


def load(folder: Path, device: torch.device | str = "cpu") -> OneTask:
    """The model that a few-shot method left in the model folder ``folder``, on ``device``. Raises
    RunError where it cannot answer again, and says why."""
    from safetensors.torch import load_file

    from .. import backbones

    if not (folder / PROMPT).exists():
        several = sorted(p.parent.name for p in folder.rglob(PROMPT))
        raise RunError(
            "a few-shot run of several tasks", file=str(folder), got=", ".join(several),
            expected="one task", fix="train the method on each task in a run of its own",
        )  # fmt: skip
    try:
        told = json.loads((folder / PROMPT).read_text(encoding="utf-8"))
        kept, why = told["kept"], told["why"]
        made = Kept(**kept) if kept else None
        labels = LabelSpace(tuple(told["labels"]), tuple(told["words"]))
        kind, notes = str(told["kind"]), tuple(told["notes"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{PROMPT} cannot be read", file=str(folder / PROMPT), got=error, fix="train it anew"
        ) from None
    if made is None:
        raise RunError(
            "a few-shot run that only its own process could score", file=str(folder), got=why,
            expected="one model with a pattern and label words, or with a linear head",
            fix="its scores stand in report.json; learner.ensemble=distill or best makes one model",
        )  # fmt: skip
    tensors = load_file(folder / TENSORS) if (folder / TENSORS).exists() else None
    backbone = backbones.load(folder).to(device).eval()
    scores = scorer_of(made, backbone, len(labels.names), tensors)
    return OneTask(backbone, kind, labels, scores, made.instruction, notes)
